r"""Trains a model and saves it: a proxy, deepChallenger, or a baseline of the paper.

    python -m pipelines.train --task=participation --corpus=corpus \
        --study=studies/paper.toml --features=features/vgg16 \
        --features=features/resnet50 --output=runs/deep_challenger

Writes to --output: `model.keras`, `config.json` (all resolved options), `history.csv`,
`predictions.parquet` (validation rows), `tensorboard/` and `MODEL_CARD.md`; for
--task=participation also `challenge_proxy/` and `user_proxy/` with the same files, and
`challenges.npz`. --baseline trains one of the paper's four baselines, which has no
proxies. The same command resumes an interrupted training after its last
finished epoch.

With --strategy=multi_worker, run the same command on each machine, with TF_CONFIG set;
the chief writes the result. See docs/scale.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dc_keras.errors import DataError
from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from pipelines._cli import app, inputs, option_flags

if TYPE_CHECKING:
    import numpy as np

    from dc_keras.corpus.store import Corpus
    from dc_keras.study.participation import Grid
    from dc_keras.training.train_model import TrainingRun

_TASK = flags.DEFINE_enum(
    "task",
    "participation",
    ["challenge", "user", "participation"],
    "Model to train: the proxy of one side, or both proxies and the fusion model.",
)
_BASELINE = flags.DEFINE_string(
    "baseline",
    None,
    "Baseline of the paper to train in place of deepChallenger, named by its features, "
    "such as VGG16 or VGG16+BERT: the user's videos alone, one output per challenge. "
    "--context and --videos do not apply.",
)
_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_STUDY = flags.DEFINE_string("study", None, "Study file (TOML).", required=True)
_FEATURES = flags.DEFINE_multi_string(
    "features", None, "Directory of feature records; repeatable.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Model directory.", required=True)
_RECORDS = flags.DEFINE_string(
    "records", None, "Directory of frame records, for sample frames in TensorBoard."
)
_PROFILE_STEPS = flags.DEFINE_string(
    "profile_steps",
    None,
    "First and last step of each model to record with TensorFlow's profiler, such as "
    "10,20.",
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replaces a model with other settings in --output."
)
option_flags.define_all()
_SAMPLES_PER_CHALLENGE = 2


def main() -> None:
    """Trains the model that the flags describe."""
    from dc_keras.corpus.store import Corpus
    from tfrecords.memory import keep_freed_memory

    keep_freed_memory()
    training, profile_steps = option_flags.resolve(TrainingOptions), _profile_steps()
    if _OVERWRITE.value and training.strategy == "multi_worker":
        raise DataError(
            "--overwrite needs a strategy for one machine, because other machines copy "
            "--output when they start; delete --output instead. "
            "Received: strategy=multi_worker"
        )
    if _BASELINE.value and _TASK.value != "participation":
        raise DataError(
            "--baseline needs --task=participation. Received: "
            f"baseline={_BASELINE.value}, task={_TASK.value}"
        )
    corpus = Corpus.open(_CORPUS.value)
    grid = inputs.load_grid(corpus, _STUDY.value)
    app.show(grid.describe())
    # Only now: TensorFlow takes seconds.
    from dc_keras.context.post_features import read_facts
    from dc_keras.features import Features
    from dc_keras.training.fold import FoldData
    from dc_keras.training.recipe import Recipe
    from dc_keras.training.strategies import make_strategy, writable_directory
    from dc_keras.training.train_model import TrainingRun

    # Workers must connect before any other use of TensorFlow.
    make_strategy(training.strategy, training.tpu_address)
    with writable_directory(Path(_OUTPUT.value), training.strategy) as directory:
        is_proxy = _TASK.value != "participation"
        data = FoldData.without_test(
            grid,
            Features.load(*_FEATURES.value),
            read_facts(corpus.videos, grid, users=corpus.users),
            0.0 if is_proxy else training.validation_fraction,
            training.seed,
            corpus.info["key_fingerprint"],
        )
        model = option_flags.resolve(ModelOptions)
        context = option_flags.resolve(ContextOptions)
        run = TrainingRun(
            data,
            Recipe.of(model, training, context, _BASELINE.value),
            option_flags.resolve(ProtocolOptions),
            directory,
            profile_steps=profile_steps,
            sample_frames=_load_sample_frames(grid),
            overwrite=_OVERWRITE.value,
            progress=app.progress,
        )
        _train(run, corpus)


def _train(run: TrainingRun, corpus: Corpus) -> None:
    from dc_keras.training.model_card import (
        summarize_score,
        write_model_cards,
    )
    from dc_keras.training.train_model import train_participation, train_proxy

    if _TASK.value == "participation":
        train_participation(run)
    else:
        train_proxy(run, _TASK.value)
    write_model_cards(run.directory, corpus, run.data.grid)
    place = _OUTPUT.value
    app.say(f"{place}: the model, config.json, predictions.parquet, MODEL_CARD.md")
    app.say(f"curves: tensorboard --logdir={place}")
    app.say(f"result: {summarize_score(run.directory)}")
    if _TASK.value == "participation":
        app.suggest("export_model", model=place, output=f"{place}-export")


def _load_sample_frames(grid: Grid) -> dict[str, np.ndarray]:
    """Returns frames of --records by "challenge/video id", uint8 RGB.

    They are those of the first videos that describe each challenge, of shape
    (num_frames, height, width, 3).
    """
    if _RECORDS.value is None:
        return {}
    import tensorflow as tf

    from tfrecords.reader import iter_frame_records, list_shard_paths
    from tfrecords.tensors import decode_images
    from tfrecords.writer import shard_of

    shards = list_shard_paths(Path(_RECORDS.value))
    frames = {}
    for challenge, videos in zip(grid.challenges, grid.support, strict=True):
        for video in videos[:_SAMPLES_PER_CHALLENGE]:
            shard = shards[shard_of(video, len(shards))]
            for record in iter_frame_records(shard):
                if record.video_id == video and record.jpegs:
                    pixels = decode_images(tf.constant(record.jpegs), record.height)
                    frames[f"{challenge}/{video}"] = pixels.numpy()
    return frames


def _profile_steps() -> tuple[int, int] | None:

    text = _PROFILE_STEPS.value
    if text is None:
        return None
    first, _, last = text.partition(",")
    is_range = first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)
    if not is_range:
        raise DataError(
            "`profile_steps` must be a first and a last step, from 1, such as 10,20. "
            f"Received: profile_steps={text}."
        )
    return int(first), int(last)


if __name__ == "__main__":
    app.run(main, writes="output", kind="model", locks=False)
