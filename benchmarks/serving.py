"""Measures a SavedModel in process: one score, and the ranking of a million users.

    python -m benchmarks.serving

It has the default preset's head, 512-wide representations and random weights; users are
made up, seed 0. Prints, as medians of interleaved runs, the latency of `score` at batch
1, and of ranking a million users for one challenge once they are loaded, beside a bare
product of the same users with one 512 × 128 matrix: what a dense layer alone would cost
if nothing were prepared.
"""

from __future__ import annotations

import platform
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.turns import interleaved
from dc_keras import __version__
from dc_keras.allocation import keep_freed_memory

if TYPE_CHECKING:
    import keras

_NUM_USERS = 1_000_000
_WIDTH = 512
_NUM_RUNS = 7
_NUM_SCORES = 200
_PIECE = 50_000


def main() -> None:
    """Prints the table."""
    keep_freed_memory()
    import tensorflow as tf

    from dc_keras.models.config import ModelOptions
    from dc_keras.models.deep_challenger import build_head
    from dc_keras.serving.ranking import Ranker

    rng = np.random.default_rng(0)
    head = build_head((_WIDTH,), (_WIDTH,), ModelOptions())
    with tempfile.TemporaryDirectory() as scratch:
        model = _export(head, Path(scratch))
    signatures = model.signatures
    users = rng.standard_normal((_NUM_USERS, _WIDTH)).astype(np.float32)
    start = time.perf_counter()
    prepared = np.concatenate(
        [
            signatures["prepare_users"](user=tf.constant(users[i : i + _PIECE]))[
                "prepared"
            ].numpy()
            for i in range(0, _NUM_USERS, _PIECE)
        ]
    )
    prepare_s = time.perf_counter() - start
    ranker = Ranker(prepared, signatures["rank_users"])
    challenge = rng.standard_normal(_WIDTH).astype(np.float32)
    kernel = tf.constant(rng.standard_normal((_WIDTH, 128)).astype(np.float32))
    pieces = [tf.constant(users[i : i + _PIECE]) for i in range(0, _NUM_USERS, _PIECE)]
    one = {
        "user": tf.constant(users[:1]),
        "challenge": tf.constant(challenge[None, :]),
    }
    ranked, bare, score = interleaved(
        lambda: ranker.score(challenge),
        lambda: [(piece @ kernel).numpy() for piece in pieces],
        lambda: [signatures["score"](**one) for _ in range(_NUM_SCORES)],
        num_rounds=_NUM_RUNS,
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"dc_keras {__version__}, {platform.processor() or platform.machine()}")
    print(f"| rank {_NUM_USERS:,} users | {ranked:.3f} s | {ranked / bare:.2f} |")
    print(f"| one product with 512 × 128 | {bare:.3f} s | 1 |")
    print(f"| prepare them, once | {prepare_s:.1f} s | |")
    print(f"| score, batch 1 | {1000 * score / _NUM_SCORES:.2f} ms | |")
    print(f"prepared users {prepared.nbytes / 2**20:.0f} MiB, peak {memory:.1f} GiB")


def _export(head: keras.Model, place: Path) -> Any:
    """Writes and loads a SavedModel of the head's signatures alone."""
    import keras
    import tensorflow as tf

    from dc_keras.serving.split_head import SplitHead

    split = SplitHead(head)
    wide = tf.TensorSpec((None, _WIDTH), tf.float32)
    ready = tf.TensorSpec((None, split.width), tf.float32)
    archive = keras.export.ExportArchive()
    archive.track(head)
    for name, inputs, function in (
        (
            "prepare_users",
            {"user": wide},
            lambda user: {"prepared": split.prepare(user)},
        ),
        (
            "rank_users",
            {"prepared": ready, "challenge": wide},
            lambda prepared, challenge: {
                "probability": split.score(prepared, challenge)
            },
        ),
        (
            "score",
            {"user": wide, "challenge": wide},
            lambda user, challenge: {"probability": head([challenge, user])},
        ),
    ):
        specs = [tf.TensorSpec(s.shape, s.dtype, name=k) for k, s in inputs.items()]
        archive.add_endpoint(name, function, input_signature=specs)
    archive.write_out(str(place / "head"), verbose=False)
    return tf.saved_model.load(str(place / "head"))


if __name__ == "__main__":
    main()
