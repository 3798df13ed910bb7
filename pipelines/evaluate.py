r"""Evaluates models and baselines on a study, and prints Tables I and II.

    python -m pipelines.evaluate --corpus=corpus --study=studies/paper.toml \
        --features=features/vgg16 --features=features/resnet50 \
        --split=random_pair --split=cold_user --output=runs/evaluation

Writes to --output: the prediction of every test pair (`predictions/`, and `proxies/`
for Table I), `manifests/` (each pair with its label, its role in each fold and the
videos that each side may use), `config.json`, and the tables (`tables/`). The same
command resumes an interrupted run at the fold where it stopped.
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
    StudyOptions,
    TrainingOptions,
)
from pipelines._cli import app, inputs, option_flags, sharding

if TYPE_CHECKING:
    import numpy as np

    from dc_keras.corpus.store import Corpus
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
    "Held-out part: pairs (as in the paper), users, challenges, both, or "
    "participations after the study's cutoff; repeatable.",
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
        "without_frames",
        "ablations",
        "support_sizes",
        "captions_only",
        "proxies",
        "paper",
        "simple",
    ],
    "Models to evaluate: deepChallenger; the architecture and loss of the paper; "
    "videos without context; context without videos; deepChallenger without frames, "
    "without one group of context features each, with fewer videos per challenge, or "
    "with captions and frames only at prediction; the proxies of Table I, the paper's "
    "baselines, the simple baselines; repeatable. `all` excludes without_frames, "
    "ablations, support_sizes and captions_only.",
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Number of seeds per fold.", lower_bound=1)
_WORKERS = flags.DEFINE_integer(
    "workers",
    1,
    "Number of processes that fit folds in parallel, each with one thread.",
    lower_bound=1,
)
_TRUTH = flags.DEFINE_string(
    "truth",
    None,
    "truth.json of a simulated world, to add the Bayes-optimal predictor.",
)
_KEY_FILE = flags.DEFINE_string(
    "key_file", None, "Key file of the pseudonyms, required with --truth."
)
_HORIZON_DAYS = flags.DEFINE_integer(
    "horizon_days",
    28,
    "Of --split=temporal: number of days after a cutoff in which joining counts.",
    lower_bound=1,
)
_NUM_PAST = flags.DEFINE_integer(
    "num_past",
    3,
    "Of --split=temporal: number of earlier cutoffs, one horizon apart.",
    lower_bound=1,
)
sharding.define_runner("fold", gpus=True)
option_flags.define_all()


def main() -> None:
    """Runs the evaluation and prints the tables."""
    from dc_keras.corpus.store import Corpus
    from dc_keras.study.resolution import named_joins
    from dc_keras.study.study import Study
    from tfrecords.unit_runs import use_one_thread

    use_one_thread()
    cluster = sharding.cluster(_WORKERS.value)
    corpus = Corpus.open(_CORPUS.value)
    grid = inputs.load_grid(corpus, _STUDY.value)
    temporal = _load_temporal(corpus)
    joins = None
    if temporal is not None:
        joins = named_joins(Study.load(_STUDY.value), corpus.videos)
    app.show(grid.describe())
    # Imported after the quick checks, because TensorFlow takes seconds to load.
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
        is_synthetic=corpus.is_synthetic,
    )
    run_experiment(
        experiment,
        _SPLIT.value,
        _SEEDS.value,
        output,
        app.progress,
        workers=_WORKERS.value,
        cluster=cluster,
    )
    _print_tables(output)


def _training() -> TrainingOptions:

    training = option_flags.resolve(TrainingOptions)
    if training.strategy == "multi_worker":
        raise DataError(
            "`strategy` of evaluate must be a strategy for one machine; --workers and "
            "--runner=ray fit folds in parallel. Received: strategy=multi_worker."
        )
    return training


def _load_temporal(corpus: Corpus) -> Grid | None:
    if "temporal" not in _SPLIT.value:
        return None
    from dc_keras.study.study import Study
    from dc_keras.study.temporal import resolve_temporal

    overrides = option_flags.resolve(StudyOptions).overrides()
    support = overrides.pop("support")
    return resolve_temporal(
        Study.load(_STUDY.value).with_settings(**overrides),
        corpus.videos,
        support,
        horizon_days=_HORIZON_DAYS.value,
        num_past=_NUM_PAST.value,
    )


def _load_truth(corpus: Corpus, grid: Grid) -> np.ndarray | None:

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
        f"{output}: predictions and manifests; all metrics, rankings and challenges "
        f"are in {run.write_tables()} (Markdown, JSON, LaTeX)"
    )
    app.suggest(
        "report", run=output, corpus=_CORPUS.value, output=output / "report.html"
    )


if __name__ == "__main__":
    app.run(main, writes="output", kind="evaluation")
