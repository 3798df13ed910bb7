r"""Predicts with an exported bundle how likely users are to join challenges.

    python -m pipelines.predict --bundle=run/export --corpus=run/corpus \
        --user=0f3a60d1c52b7e94a8d0c9b1e27f4455 --challenge=distancedance \
        --output=run/predictions.csv

The input is the raw captions and JPEG frames of each user's newest posts, without posts
of focal challenges and posts after the cutoff, as in training. Prints one line per
pair, the likeliest challenge first; --output receives them as CSV (user_id, challenge,
probability). With --num_shards, nothing is printed, and --output is a directory of
Parquet files, which several processes or machines can write:

    python -m pipelines.predict --bundle=run/export --corpus=run/corpus \
        --num_shards=64 --workers=8 --output=run/predictions
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dc_keras.errors import DataError
from pipelines._cli import app, bundles, inputs, raw_posts, user_shards

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from dc_keras.corpus.store import Corpus
    from dc_keras.serving.predictor import Predictor
    from dc_keras.serving.raw_requests import RawUser

bundles.define()
_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_USER = flags.DEFINE_multi_string(
    "user",
    [],
    "Pseudonym in users.parquet; with --key_file also a platform id, secUid or handle; "
    "repeatable. Default: all users with usable posts.",
)
_CHALLENGE = flags.DEFINE_multi_string(
    "challenge", [], "Name of a challenge; repeatable. Default: all of the bundle."
)
_KEY_FILE = flags.DEFINE_string(
    "key_file", None, "Key file of the pseudonyms, for a --user given by other ids."
)
_MEDIA_ROOT = raw_posts.define_media_root()
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "CSV file for the predictions; with --num_shards, directory of Parquet files.",
)
user_shards.define(None, "Number of Parquet files in --output.")


def main() -> None:
    """Predicts while no other process may write --output."""
    user_shards.require_shards()
    corpus = user_shards.open_corpus(Path(_CORPUS.value))
    users = inputs.find_users(corpus, _USER.value, _KEY_FILE.value)
    if flags.FLAGS["num_shards"].value is None:
        _predict(corpus, users)
    else:
        _predict_shards(corpus, users or corpus.users["user_id"].to_list())


def _predict_shards(corpus: Corpus, users: Sequence[str]) -> None:
    import polars as pl

    from dc_keras.serving.bundle_config import read_config
    from tfrecords.unit_runs import use_one_thread

    if not _OUTPUT.value:
        raise DataError("--num_shards needs --output. Received: output=None")
    use_one_thread()
    known = read_config(Path(bundles.check(_CHALLENGE.value).bundle))["challenges"]
    challenges = tuple(dict.fromkeys(_CHALLENGE.value)) or tuple(known)
    columns = {"user_id": pl.String, "challenge": pl.String, "probability": pl.Float32}
    shards = user_shards.UserShards(
        Path(_OUTPUT.value),
        "output",
        "predictions",
        partial(_answer, challenges),
        columns,
        {"challenges": challenges},
    )
    paths = shards.write(corpus, users, _MEDIA_ROOT.value, "predict")
    number = pl.scan_parquet(paths).select(pl.len()).collect().item()
    app.say(f"{_OUTPUT.value}: {number} predictions in {len(paths)} files")


def _answer(
    challenges: Sequence[str],
    predictor: Predictor,
    users: Sequence[str],
    raw_users: Sequence[RawUser],
) -> pl.DataFrame:
    """Returns the predictions about users, the likeliest challenge of each first."""
    import polars as pl

    table = pl.DataFrame(
        {
            "user_id": [user for user in users for _ in challenges],
            "challenge": [*challenges] * len(users),
            "probability": predictor.predict(raw_users, challenges).reshape(-1),
        }
    ).with_row_index("pair")
    user = pl.col("pair") // len(challenges)
    likeliest = table.sort(
        user, "probability", "challenge", descending=[False, True, False]
    )
    return likeliest.drop("pair")


def _predict(corpus: Corpus, users: Sequence[str]) -> None:
    import polars as pl

    from dc_keras.corpus.store import write_answers
    from dc_keras.escaping import format_csv
    from dc_keras.study.resolution import user_histories

    predictor = bundles.open_bundle(_CHALLENGE.value)
    challenges = tuple(dict.fromkeys(_CHALLENGE.value)) or predictor.challenges
    requested = users or tuple(corpus.users["user_id"])
    histories = user_histories(predictor.study, corpus.videos, requested)
    missing = [user for user in users if user not in histories]
    if missing or not histories:
        raise raw_posts.without_posts(f"user={missing[0] if missing else 'all users'}")
    ordered = {user: histories[user] for user in requested if user in histories}
    tables = []
    for batch, raw_users in raw_posts.of_users(
        corpus, ordered, _MEDIA_ROOT.value, predictor
    ):
        tables.append(_answer(challenges, predictor, batch, raw_users))
        width = max(map(len, challenges))
        for user, challenge, probability in tables[-1].iter_rows():
            app.say(f"{user}  {challenge:<{width}}  {probability:.3f}")
    if len(ordered) < len(requested):
        app.progress(f"{len(requested) - len(ordered)} users have no usable posts")
    if _OUTPUT.value:
        corpus.require_unchanged()
        table = pl.concat(tables)
        write_answers(Path(_OUTPUT.value), format_csv(table))
        app.say(f"{_OUTPUT.value}: {table.height} predictions")
    user, challenge, _ = tables[0].row(0)
    app.suggest(
        "explain",
        bundle=flags.FLAGS["bundle"].value,
        corpus=_CORPUS.value,
        user=user,
        challenge=challenge,
        output="explanation",
        **({"media_root": _MEDIA_ROOT.value} if _MEDIA_ROOT.value else {}),
    )


if __name__ == "__main__":
    app.run(main, writes="output", kind="predictions")
