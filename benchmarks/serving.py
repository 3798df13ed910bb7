"""Measures a bundle in process: a request, and the ranking of a million users.

    python -m benchmarks.serving

The model has the default preset's fusion of videos, all context features and 75 trees,
in the sizes of a real study. Its weights, users and posts are synthetic, seed 0, and
its text encoder is an embedding table of words. Prints CPU seconds over all cores and
wall seconds, as medians of interleaved runs: of a request with eight posts with facts
and without frames, and of ranking a million prepared users for one challenge, with and
without trees, compared with one product of the same users with a matrix of 128 columns.
"""

from __future__ import annotations

import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.turns import interleaved
from dc_keras import __version__
from dc_keras.context.combination import Combination
from dc_keras.context.context_model import TREES, VIDEOS, ContextModel
from dc_keras.context.pair_features import NAMES, PairFeatures, PairLayout
from dc_keras.context.post_vectors import PostSpace
from dc_keras.context.set_vectors import HABITS, SetLayout
from dc_keras.context.terms import NUM_BUCKETS
from dc_keras.context.trees import BoostedTrees
from dc_keras.encoders import register_text
from dc_keras.encoders.text import TextSpec, build_text_encoder
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.models.proxy import UserProxy, embedding_model
from dc_keras.serving.bundle import tables_of, write_saved_model
from dc_keras.serving.calibration import Calibration
from dc_keras.serving.challenge_table import ChallengeTable
from dc_keras.serving.local_model import LocalModel
from dc_keras.serving.ranking import Ranker
from dc_keras.serving.raw_requests import RawPost, RawUser, pack_posts, pack_users
from dc_keras.serving.serving_model import ServingModel
from dc_keras.serving.signatures import endpoints
from dc_keras.serving.video_graph import CaptionReader, VideoGraph
from dc_keras.training.participation_model import ParticipationModel
from tfrecords.memory import aligned_empty, keep_freed_memory

_NUM_USERS = 1_000_000
_NUM_RUNS = 5
_NUM_ANSWERS = 50
_PIECE = 2**14
_HISTORY, _SUPPORT, _NUM_CHALLENGES = 25, 50, 20
_BLOCKS = (128, 128, 0)
_CAPTION_DIM = 16
_NUM_TERMS = 10_000
_NAME = np.array([b"challenge0"], object)


def main() -> None:
    """Prints the table."""
    keep_freed_memory()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        whole, plain = (
            _export(_make_model(has_trees), Path(scratch) / str(has_trees))
            for has_trees in (True, False)
        )
    print(f"dc_keras {__version__}, {platform.machine()}, {os.cpu_count()} cores")
    print("| | CPU s | clock s |")
    print("|---|---|---|")
    _measure_answers(whole)
    _measure_ranking(whole, plain, rng)


def _pack_user() -> dict[str, np.ndarray]:
    """Returns the inputs for a user of eight posts with facts, without frames."""
    posts = [
        RawPost(
            f"word{n} word{n + 1} word{n + 2} so good #tag{n} #fyp",
            sound=str(n),
            sound_title="A Song",
            create_time=1_600_000_000 + 86_400 * n,
            duration=15.0,
            counts=(1000.0, 100.0, 10.0, 1.0),
        )
        for n in range(8)
    ]
    user = RawUser(posts, (100.0, 1000.0, 50.0), ["challenge1"], 1_610_000_000)
    return pack_posts([posts], "user") | pack_users([user])


def _measure_answers(model: LocalModel) -> None:
    request = {"challenge": _NAME, **_pack_user()}
    answer = partial(model.predict, "serving_default", request)
    _print("a request of eight posts", answer, _NUM_ANSWERS)


def _measure_ranking(
    whole: LocalModel, plain: LocalModel, rng: np.random.Generator
) -> None:
    width = whole.predict("embed_user", _pack_user())["user"].shape[1]
    start = time.process_time()
    # Scaled, because most vectors have about unit length; no value is unknown.
    prepared = np.empty((0, 0), np.float32)
    for first in range(0, _NUM_USERS, _PIECE):
        users = rng.standard_normal((_PIECE, width), np.float32) / 10
        piece = whole.predict("prepare_users", {"user": users})["prepared"]
        if first == 0:  # As `read_users` returns it.
            prepared = aligned_empty((_NUM_USERS, piece.shape[1]), np.float32)
        prepared[first : first + _PIECE] = piece[: _NUM_USERS - first]
    prepare_s = time.process_time() - start
    [challenge] = whole.predict("find_challenge", {"name": _NAME})["challenge"]
    kernel = tf.constant(rng.standard_normal((prepared.shape[1], 128), np.float32))
    for label, model in (("with trees", whole), ("without", plain)):
        ranker = Ranker(prepared, model)
        _print(f"a million users, {label}", partial(ranker.score, challenge), 1)
        del ranker
    _print(
        "one product with 128 columns",
        lambda: [
            (prepared[i : i + _PIECE] @ kernel).numpy()
            for i in range(0, _NUM_USERS, _PIECE)
        ],
        1,
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"preparing them took {prepare_s:.1f} CPU s, with the drawing of users;")
    print(f"{prepared.shape[1]} numbers per user, peak memory {memory:.1f} GiB")


def _print(label: str, run: Callable[[], object], repeats: int) -> None:
    def several() -> None:
        for _ in range(repeats):
            run()

    [used] = interleaved(several, num_rounds=_NUM_RUNS, clock=time.process_time)
    [clock] = interleaved(several, num_rounds=_NUM_RUNS)
    print(f"| {label} | {used / repeats:.4f} | {clock / repeats:.4f} |", flush=True)


def _export(model: ServingModel, place: Path) -> LocalModel:
    """Writes and loads a SavedModel."""
    write_saved_model(endpoints(model), tables_of(model), place)
    return LocalModel(place)


def _make_model(has_trees: bool) -> ServingModel:
    """A serving model that reads captions and facts, with random weights."""
    rng = np.random.default_rng(0)
    register_text("table_of_words")(_table_of_words)
    reader = CaptionReader(build_text_encoder(TextSpec("table_of_words")))
    embedding = embedding_model(UserProxy(9, caption_dim=_CAPTION_DIM))
    width = int(embedding.output.shape[-1])
    fusion = DeepChallenger(_SUPPORT, width, _HISTORY, width)
    context = _make_context(has_trees, rng)
    model = ParticipationModel(fusion, context)
    videos = VideoGraph(embedding, None, reader)
    names = tuple(f"challenge{n}" for n in range(_NUM_CHALLENGES))
    table = rng.standard_normal((len(names) + 1, model.challenge_width)) / 10
    posts = np.zeros((len(names), _SUPPORT, width + context.space.width), np.float32)
    return ServingModel(
        videos,
        videos,
        model,
        ChallengeTable(
            names,
            table.astype(np.float32),
            posts,
            np.ones((len(names), _SUPPORT), bool),
        ),
        _HISTORY,
        _SUPPORT,
        Calibration(),
    )


def _table_of_words() -> Any:
    captions = keras.Input((), dtype="string")
    words = keras.layers.TextVectorization(
        vocabulary=[f"word{n}" for n in range(100)], output_sequence_length=16
    )(captions)
    table = keras.layers.Embedding(102, _CAPTION_DIM)
    return keras.Model(captions, keras.layers.GlobalAveragePooling1D()(table(words)))


def _make_context(has_trees: bool, rng: np.random.Generator) -> ContextModel:
    layout = PairLayout(
        SetLayout(_BLOCKS, _HISTORY), SetLayout(_BLOCKS, _SUPPORT), _NUM_CHALLENGES
    )
    names = [*NAMES, *([TREES] if has_trees else []), VIDEOS]
    count = len(names)
    return ContextModel(
        _make_space(rng),
        PairFeatures(layout, _pair_weights(layout, rng)),
        NAMES,
        BoostedTrees(_tree_weights(rng)) if has_trees else None,
        Combination(
            names,
            {
                "mean": np.zeros(count),
                "scale": np.ones(count),
                "weights": rng.standard_normal(count) / 10,
                "intercept": np.array(-2.0),
            },
        ),
    )


def _make_space(rng: np.random.Generator) -> Any:
    topics, directions, _ = _BLOCKS
    return PostSpace(
        {
            "idf": np.ones(NUM_BUCKETS),
            "term_row": np.arange(NUM_BUCKETS) % _NUM_TERMS,
            "topics": rng.standard_normal((_NUM_TERMS + 1, topics)),
            "captions_centre": np.zeros(_CAPTION_DIM),
            "captions_directions": rng.standard_normal((_CAPTION_DIM, directions)),
            "frames_centre": np.zeros(0),
            "frames_directions": np.zeros((0, 0)),
            "origin": np.array(18_000.0),
        }
    )


def _pair_weights(
    layout: PairLayout, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    return {
        "habit_mean": np.zeros(len(HABITS)),
        "habit_scale": np.ones(len(HABITS)),
        "propensity": rng.standard_normal(layout.challenge_widths["taste"]) / 100,
        "propensity_bias": np.array(0.1),
        "pairs_per_user": np.array(float(_NUM_CHALLENGES)),
        "latest": np.array(300.0),
    }


def _tree_weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    splits = (75, 7)
    return {
        "feature": rng.integers(0, len(NAMES), splits),
        "threshold": rng.standard_normal(splits),
        "unknown_left": rng.integers(0, 2, splits).astype(float),
        "leaf": rng.standard_normal((75, 8)) / 10,
        "scale": np.ones(len(NAMES)),
        "bias": np.array(-3.0),
    }


if __name__ == "__main__":
    main()
