r"""Judges every model and baseline on a study, and prints Tables I and II.

    python -m pipelines.evaluate --corpus=corpus --study=studies/paper.toml \
        --features=features/vgg16 --features=features/resnet50 \
        --split=random_pair --split=cold_user --output=runs/evaluation

Leaves behind in --output: the prediction of every judged pair (`predictions/`, and
`proxies/` for Table I), `manifests/` (each pair with its label, its part in each fold
and the videos that each side may see), `config.json`, and the tables (`tables/`). A
stopped run goes on at the fold where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from dc_keras.options import ContextOptions
from pipelines._cli import app, inputs, option_flags

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from dc_keras.corpus.store import Corpus
    from dc_keras.options import TrainingOptions
    from dc_keras.study.participation import Grid

_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_STUDY = flags.DEFINE_string("study", None, "Study file (TOML).", required=True)
_FEATURES = flags.DEFINE_multi_string(
    "features", None, "Directory of feature records; repeatable.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Directory of the run.", required=True)
_SPLIT = flags.DEFINE_multi_enum(
    "split",
    ["random_pair"],
    ["random_pair", "cold_user", "cold_challenge", "cold_both", "temporal"],
    "What is held out: pairs (the paper), users, challenges, both, or what happens "
    "after the study's cutoff; repeatable.",
)
_MODELS = flags.DEFINE_multi_enum(
    "models",
    ["all"],
    [
        "all",
        "deepChallenger",
        "deepChallenger_paper",
        "videos_only",
        "context_only",
        "ablations",
        "support_sizes",
        "captions_only",
        "proxies",
        "paper",
        "simple",
    ],
    "Rows wanted: deepChallenger, the paper's own shape and loss, videos without "
    "context, context without videos, deepChallenger without one group of context "
    "features each, with fewer videos a challenge, or asked with captions and frames "
    "alone; the proxies of Table I, the paper's baselines, the simple ones; "
    "repeatable. `all` leaves ablations, support_sizes and captions_only out.",
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds of each fold.", lower_bound=1)
_WORKERS = flags.DEFINE_integer(
    "workers",
    1,
    "Processes that fit folds side by side, each on its share of the cores, and with "
    "the features in memory.",
    lower_bound=1,
)
_TRUTH = flags.DEFINE_string(
    "truth", None, "truth.json of a simulated world: adds the Bayes-optimal row."
)
_KEY_FILE = flags.DEFINE_string(
    "key_file", None, "Key of the pseudonyms, needed with --truth."
)
_HORIZON_DAYS = flags.DEFINE_integer(
    "horizon_days",
    28,
    "temporal: days after a cutoff in which joining counts.",
    lower_bound=1,
)
_NUM_PAST = flags.DEFINE_integer(
    "num_past", 3, "temporal: earlier cutoffs, a horizon apart.", lower_bound=1
)
option_flags.define_all()
option_flags.define(ContextOptions)


def main() -> None:
    """Trains, predicts, and prints the tables."""
    from pathlib import Path

    from dc_keras.corpus.store import Corpus
    from dc_keras.options import ModelOptions, ProtocolOptions
    from tfrecords.memory import keep_freed_memory

    keep_freed_memory()
    corpus = Corpus.open(_CORPUS.value)
    grid = inputs.load_grid(corpus, _STUDY.value)
    temporal = _load_temporal(corpus)
    joins = None if temporal is None else inputs.load_joins(corpus, _STUDY.value)
    app.show(grid.describe())
    # After what can be refused at once: TensorFlow takes seconds.
    from dc_keras.context.post_features import read_facts
    from dc_keras.evaluation.experiment import Experiment
    from dc_keras.evaluation.fold_runner import run_experiment
    from dc_keras.features import Features

    output = Path(_OUTPUT.value)
    experiment = Experiment(
        grid=grid,
        table=Features.load(*_FEATURES.value),
        facts=read_facts(
            corpus.videos,
            *([grid] if temporal is None else [grid, temporal]),
            users=corpus.users,
            joins=joins,
        ),
        model=option_flags.resolve(ModelOptions),
        training=_training(),
        protocol=option_flags.resolve(ProtocolOptions),
        context=option_flags.resolve(ContextOptions),
        temporal=temporal,
        truth=_load_truth(corpus, grid),
        models=tuple(_MODELS.value),
    )
    run_experiment(
        experiment,
        _SPLIT.value,
        _SEEDS.value,
        output,
        app.progress,
        workers=_WORKERS.value,
    )
    _print_tables(output)


def _training() -> TrainingOptions:
    from dc_keras.errors import DataError
    from dc_keras.options import TrainingOptions

    training = option_flags.resolve(TrainingOptions)
    if training.strategy == "multi_worker":
        raise DataError(
            "`strategy` of evaluate must be one of a single machine; --workers fits "
            "folds side by side. Received: strategy=multi_worker."
        )
    return training


def _load_temporal(corpus: Corpus) -> Grid | None:
    if "temporal" not in _SPLIT.value:
        return None
    return inputs.load_temporal_grid(
        corpus, _STUDY.value, _HORIZON_DAYS.value, _NUM_PAST.value
    )


def _load_truth(corpus: Corpus, grid: Grid) -> np.ndarray | None:
    from pathlib import Path

    from dc_keras.evaluation.known_truth import load_truth

    if _TRUTH.value is None:
        return None
    pseudonymizer = inputs.load_pseudonymizer(corpus, _KEY_FILE.value)
    return load_truth(Path(_TRUTH.value), grid, pseudonymizer)


def _print_tables(output: Path) -> None:
    from dc_keras.evaluation.saved_run import SavedRun

    run = SavedRun.open(output)
    for name, table in run.tables.items():
        if name.startswith("table_"):
            app.show("\n" + table.to_console())
    app.say()
    app.say(
        f"{output}: predictions, manifests; every metric, rankings and challenges in "
        f"{run.write_tables()} (Markdown, JSON, LaTeX)"
    )


if __name__ == "__main__":
    app.run(main, writes="output", kind="evaluation")
