r"""Ranks the users most likely to join a challenge, and forecasts how many join.

    python -m pipelines.rank --bundle=run/export --corpus=run/corpus \
        --challenge=distancedance --budget=20 --output=run/seeds.csv

--brief or --video describe a challenge that is not in the bundle. --users_file caches
the users for the next challenge. With --communities, a CSV file with the columns
user_id and community such as `survey_graph` writes, the budget is spread over
communities. --output receives rank, user_id, community and probability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from pipelines._cli import app, bundles, raw_posts

if TYPE_CHECKING:
    from dc_keras.corpus.store import Corpus
    from dc_keras.serving.predictor import Predictor
    from dc_keras.serving.ranking import UserTable

_OPEN_BUNDLE = bundles.define_bundle_flags()
_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_CHALLENGE = flags.DEFINE_string(
    "challenge", None, "Name of a challenge of the bundle."
)
_BUDGET = flags.DEFINE_integer(
    "budget", 20, "Number of users to choose.", lower_bound=1
)
_COMMUNITIES = flags.DEFINE_string(
    "communities",
    None,
    "CSV file with user_id and community, to spread the budget over communities.",
)
_USERS_FILE = flags.DEFINE_string(
    "users_file", None, "Cache of the users' representations, .parquet."
)
_MEDIA_ROOT = raw_posts.define_media_root()
_LEVEL = flags.DEFINE_float(
    "level",
    0.9,
    "Confidence level of the interval of the expected number.",
    0.5,
    0.999,
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "CSV file of the chosen users.", required=True
)
_BRIEF, _VIDEOS = raw_posts.define_challenge_flags()


def main() -> None:
    """Ranks the users, writes the chosen ones and prints the forecasts."""
    from pathlib import Path

    import polars as pl

    from dc_keras.corpus.store import Corpus, write_answers
    from dc_keras.escaping import format_csv

    _require_one_challenge()
    corpus = Corpus.open(_CORPUS.value)
    community_of = _read_communities()
    # Read before TensorFlow is loaded.
    new_posts = None
    if not _CHALLENGE.value:
        config = bundles.read_bundle_config()
        new_posts = raw_posts.of_challenge(_BRIEF.value, _VIDEOS.value, config)
    predictor = _OPEN_BUNDLE([_CHALLENGE.value] if _CHALLENGE.value else [])
    # Only now: TensorFlow takes seconds.
    from dc_keras.serving.calibration import forecast_participants
    from dc_keras.serving.ranking import Ranker, choose_seeds

    if new_posts is None:
        [challenge] = predictor.find_challenges([str(_CHALLENGE.value)])
    else:
        challenge = predictor.represent_challenge(new_posts)
    users = _load_users(corpus, predictor)
    groups = None
    if community_of is not None:
        groups = [community_of.get(user, "") for user in users.users]
    ranker = Ranker(users.prepared, predictor.signatures["rank_users"])
    probability = ranker.score(challenge)
    chosen = choose_seeds(probability, _BUDGET.value, groups)
    table = pl.DataFrame(
        {
            "rank": range(1, len(chosen) + 1),
            "user_id": [users.users[i] for i in chosen],
            "community": [groups[i] if groups else "" for i in chosen],
            "probability": probability[chosen],
        }
    )
    write_answers(Path(_OUTPUT.value), format_csv(table))
    for group, given in (("all", probability), ("the chosen", probability[chosen])):
        forecast = forecast_participants(
            given, predictor.calibration, _CHALLENGE.value, level=_LEVEL.value
        )
        app.say(
            f"of {group} {len(given):,} users {forecast.expected:,.1f} are expected to "
            f"join, {forecast.level:.0%} between {forecast.low:,} and "
            f"{forecast.high:,}"
        )
    app.say(f"{_OUTPUT.value}: {len(chosen)} users, the likeliest first")
    app.suggest(
        "reach",
        graph="GRAPH",
        corpus=_CORPUS.value,
        study="STUDY",
        seeds=_OUTPUT.value,
        output=Path(_OUTPUT.value).parent / "reach",
    )


def _require_one_challenge() -> None:
    from dc_keras.errors import DataError

    if bool(_CHALLENGE.value) == bool(_BRIEF.value or _VIDEOS.value):
        raise DataError(
            "give either --challenge, for a challenge of the bundle, or --brief or "
            f"--video, for a new one. Received: challenge={_CHALLENGE.value}"
        )


def _load_users(corpus: Corpus, predictor: Predictor) -> UserTable:
    """Reads the users from --users_file, or prepares them and writes that file."""
    from pathlib import Path

    from dc_keras.serving.ranking import UserTable
    from tfrecords.storage.locking import writing

    path = Path(_USERS_FILE.value) if _USERS_FILE.value else None
    if path is None:
        return _prepare_users(corpus, predictor)
    if path.exists():
        return UserTable.load(path, predictor.sha256, corpus.sha256)
    with writing(path):
        table = _prepare_users(corpus, predictor)
        table.save(path)
    return table


def _prepare_users(corpus: Corpus, predictor: Predictor) -> UserTable:
    import numpy as np

    from dc_keras.errors import DataError
    from dc_keras.serving.ranking import UserTable
    from dc_keras.study.resolution import user_histories

    all_users = tuple(corpus.users["user_id"])
    histories = user_histories(predictor.study, corpus.videos, all_users)
    if not histories:
        raise DataError(
            "a user must have posts of no focal challenge, before the cutoff if the "
            f"study has one. Received: corpus={corpus.directory}"
        )
    if len(histories) < len(all_users):
        app.progress(f"{len(all_users) - len(histories)} users have no usable posts")
    ordered = dict(sorted(histories.items()))
    parts = [
        predictor.prepare_users(predictor.represent_users(raw_users))
        for _, raw_users in raw_posts.of_users(
            corpus, ordered, _MEDIA_ROOT(corpus), predictor
        )
    ]
    prepared = np.concatenate(parts)
    return UserTable(tuple(ordered), prepared, predictor.sha256, corpus.sha256)


def _read_communities() -> dict[str, str] | None:
    """Returns the community of each user of --communities; None without it."""
    if _COMMUNITIES.value is None:
        return None
    from pathlib import Path

    import polars as pl

    from dc_keras.errors import DataError
    from tfrecords.storage.integrity import verify_file
    from tfrecords.storage.read_errors import POLARS_ERRORS

    columns = ["user_id", "community"]
    verify_file(Path(_COMMUNITIES.value), "survey_graph")
    try:
        table = pl.read_csv(_COMMUNITIES.value, columns=columns, infer_schema=False)
    except (*POLARS_ERRORS, ValueError) as error:
        raise DataError(
            f"communities must be a CSV file with the columns {' and '.join(columns)}. "
            f"Received: communities={_COMMUNITIES.value}"
        ) from error
    return dict(table.drop_nulls().iter_rows())


if __name__ == "__main__":
    app.run(main, writes="output")
