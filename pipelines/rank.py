r"""Ranks the users most likely to join a challenge, and forecasts how many join.

    python -m pipelines.rank --bundle=run/export --corpus=run/corpus \
        --challenge=distancedance --budget=20 --output=run/seeds.csv

--brief or --video describe a challenge that is not in the bundle. --users keeps the
users for the next challenge, in --num_shards Parquet files that several processes or
machines can write. With --communities, a CSV file with the columns user_id and
community such as `survey_graph` writes, the budget is spread over communities. --output
receives rank, user_id, community and probability.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dc_keras.errors import DataError
from pipelines._cli import app, bundles, raw_posts, user_shards

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import polars as pl

    from dc_keras.corpus.store import Corpus
    from dc_keras.serving.predictor import Predictor

bundles.define()
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
_USERS = flags.DEFINE_string(
    "users", None, "Directory that keeps the users' representations."
)
_MEDIA_ROOT = raw_posts.define_media_root()
_OUTPUT = flags.DEFINE_string(
    "output", None, "CSV file of the chosen users.", required=True
)
_BRIEF, _VIDEOS = raw_posts.define_challenge_flags()
user_shards.define(1, "Number of Parquet files in --users.")


def main() -> None:
    """Ranks the users, writes the chosen ones and prints the forecasts."""
    from dc_keras.corpus.store import write_answers
    from dc_keras.escaping import format_csv
    from dc_keras.serving.bundle_config import read_config
    from tfrecords.unit_runs import use_one_thread

    _require_one_challenge()
    user_shards.require_shards()
    if _USERS.value:
        if Path(_USERS.value).resolve() == Path(_OUTPUT.value).resolve():
            raise DataError(
                "--users and --output must be two places. "
                f"Received: users={_USERS.value}, output={_OUTPUT.value}"
            )
        use_one_thread()
    corpus = user_shards.open_corpus(Path(_CORPUS.value))
    community_of = _read_communities()
    new_posts = None
    if not _CHALLENGE.value:
        config = read_config(Path(bundles.source().bundle))
        new_posts = raw_posts.of_challenge(_BRIEF.value, _VIDEOS.value, config)
    predictor = bundles.open_bundle([_CHALLENGE.value] if _CHALLENGE.value else [])
    if new_posts is not None:
        challenge = predictor.represent_challenge(new_posts)
    else:
        challenge = predictor.find_challenges([str(_CHALLENGE.value)])[0]
    with _users_directory() as directory:
        shards = _prepare_users(directory, corpus)
        candidates, probability = _score(predictor, challenge, shards, community_of)
    if candidates.is_empty():
        raise raw_posts.without_posts(f"corpus={corpus.directory}")
    corpus.require_unchanged()
    table = _choose(candidates, has_communities=community_of is not None)
    write_answers(Path(_OUTPUT.value), format_csv(table))
    _report(predictor, probability, table["probability"].to_numpy())


def _score(
    predictor: Predictor,
    challenge: np.ndarray,
    shards: Sequence[Path],
    community_of: Mapping[str, str] | None,
) -> tuple[pl.DataFrame, np.ndarray]:
    """Returns the users who can be chosen, and the probabilities of all users."""
    import numpy as np
    import polars as pl

    from dc_keras.serving.ranking import Ranker, keep_best, read_users

    candidates, probabilities = pl.DataFrame(), [np.empty(0, np.float32)]
    for path in shards:
        users, prepared = read_users(path)
        if not users:
            continue
        ranker = Ranker(prepared, predictor.model)
        probabilities.append(ranker.score(challenge))
        columns = {
            "user_id": users,
            "community": [(community_of or {}).get(user, "") for user in users],
            "probability": probabilities[-1],
        }
        merged = pl.concat([candidates, pl.DataFrame(columns)], how="diagonal")
        candidates = keep_best(merged, _BUDGET.value)
    return candidates, np.concatenate(probabilities)


def _choose(candidates: pl.DataFrame, *, has_communities: bool) -> pl.DataFrame:
    """Returns the chosen users in order of choice, as --output receives them."""
    import polars as pl

    from dc_keras.serving.ranking import choose_seeds

    groups = candidates["community"].to_list() if has_communities else None
    chosen = choose_seeds(candidates["probability"].to_numpy(), _BUDGET.value, groups)
    ranks = pl.Series("rank", range(1, len(chosen) + 1), pl.Int64)
    best: pl.DataFrame = candidates[chosen.tolist()]
    return best.select(ranks, "user_id", "community", "probability")


def _report(predictor: Predictor, probability: np.ndarray, chosen: np.ndarray) -> None:
    """Prints the forecasts."""
    from dc_keras.serving.calibration import forecast_participants

    for group, given in (("all", probability), ("the chosen", chosen)):
        forecast = forecast_participants(given, predictor.calibration, _CHALLENGE.value)
        app.say(
            f"of {group} {len(given):,} users {forecast.expected:,.1f} are expected to "
            f"join, {forecast.level:.0%} between {forecast.low:,} and "
            f"{forecast.high:,}"
        )
    order = "spread over communities" if _COMMUNITIES.value else "the likeliest first"
    app.say(f"{_OUTPUT.value}: {len(chosen)} users, {order}")


def _require_one_challenge() -> None:
    if bool(_CHALLENGE.value) == bool(_BRIEF.value or _VIDEOS.value):
        raise DataError(
            "give either --challenge, for a challenge of the bundle, or --brief or "
            f"--video, for a new one. Received: challenge={_CHALLENGE.value}"
        )


@contextmanager
def _users_directory() -> Iterator[Path]:
    """Locks --users, or makes a temporary directory."""
    import tempfile

    from tfrecords.storage.locking import writing

    if _USERS.value:
        app.require_kind(Path(_USERS.value), "users", "predictions")
        with writing(Path(_USERS.value)):
            yield Path(_USERS.value)
        return
    if flags.FLAGS["runner"].value == "ray":
        raise DataError(
            "--runner=ray needs --users, which all machines see. Received: runner=ray"
        )
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def _prepare_users(directory: Path, corpus: Corpus) -> list[Path]:
    from dc_keras.serving.ranking import USER_COLUMNS, prepare_users

    shards = user_shards.UserShards(
        directory, "users", "users", prepare_users, USER_COLUMNS, {}
    )
    users = corpus.users["user_id"].to_list()
    return shards.write(corpus, users, _MEDIA_ROOT.value, "rank")


def _read_communities() -> dict[str, str] | None:
    """Returns the community of each user of --communities; None without it."""
    if _COMMUNITIES.value is None:
        return None
    import polars as pl

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
