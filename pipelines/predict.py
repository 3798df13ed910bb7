r"""Predicts with an exported bundle how likely users are to join challenges.

    python -m pipelines.predict --bundle=run/export --corpus=run/corpus \
        --user=0f3a60d1c52b7e94a8d0c9b1e27f4455 --challenge=distancedance \
        --output=run/predictions.csv

The input is the raw captions and JPEG frames of each user's newest posts, without posts
of focal challenges and posts after the cutoff, as in training. Prints one line per
pair, the likeliest challenge first; --output receives them as CSV (user_id, challenge,
probability).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from pipelines._cli import app, bundles, inputs, raw_posts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import polars as pl

_OPEN_BUNDLE = bundles.define_bundle_flags()
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
_OUTPUT = flags.DEFINE_string("output", None, "CSV file for the predictions.")


def main() -> None:
    """Predicts while no other process may write --output."""
    from pathlib import Path

    from tfrecords.storage.locking import writing

    with writing(*([Path(_OUTPUT.value)] if _OUTPUT.value else [])):
        _predict()


def _predict() -> None:
    from pathlib import Path

    import polars as pl

    from dc_keras.corpus.store import Corpus, write_answers
    from dc_keras.escaping import format_csv
    from dc_keras.study.resolution import user_histories

    corpus = Corpus.open(_CORPUS.value)
    users = inputs.find_users(corpus, _USER.value, _KEY_FILE.value)
    predictor = _OPEN_BUNDLE(_CHALLENGE.value)
    challenges = tuple(dict.fromkeys(_CHALLENGE.value)) or predictor.challenges
    requested = users or tuple(corpus.users["user_id"])
    histories = user_histories(predictor.study, corpus.videos, requested)
    _require_histories(users, histories)
    ordered = {user: histories[user] for user in requested if user in histories}
    tables = []
    for batch, raw_users in raw_posts.of_users(
        corpus, ordered, _MEDIA_ROOT(corpus), predictor
    ):
        rows = predictor.predict(raw_users, challenges)
        for user, row in zip(batch, rows, strict=True):
            tables.append(_print_predictions(user, challenges, row))
    if len(ordered) < len(requested):
        app.progress(f"{len(requested) - len(ordered)} users have no usable posts")
    if _OUTPUT.value:
        write_answers(Path(_OUTPUT.value), format_csv(pl.concat(tables)))
        app.say(f"{_OUTPUT.value}: {len(tables) * len(challenges)} predictions")
    user, challenge, _ = tables[0].row(0)
    app.suggest(
        "explain",
        bundle=flags.FLAGS["bundle"].value,
        corpus=_CORPUS.value,
        user=user,
        challenge=challenge,
        output="explanation",
    )


def _require_histories(users: Sequence[str], histories: Mapping[str, object]) -> None:
    from dc_keras.errors import DataError

    missing = [user for user in users if user not in histories]
    if missing or not histories:
        raise DataError(
            "a user must have posts of no focal challenge, before the cutoff if the "
            f"study has one. Received: user={missing[0] if missing else 'all users'}"
        )


def _print_predictions(
    user: str, challenges: Sequence[str], probabilities: np.ndarray
) -> pl.DataFrame:
    """Prints the predictions of a user, the likeliest first, and returns them."""
    import polars as pl

    frame = pl.DataFrame(
        {
            "user_id": [user] * len(challenges),
            "challenge": challenges,
            "probability": probabilities,
        }
    ).sort("probability", "challenge", descending=[True, False])
    width = max(map(len, challenges))
    for _, challenge, probability in frame.iter_rows():
        app.say(f"{user}  {challenge:<{width}}  {probability:.3f}")
    return frame


if __name__ == "__main__":
    app.run(main)
