r"""Judges every model and baseline on a study, and prints Tables I and II.

    python -m pipelines.evaluate --corpus=corpus --study=studies/paper.toml \
        --features=features/vgg16 --features=features/resnet50 \
        --split=random_pair --split=cold_user --output=runs/evaluation

Leaves behind in --output: the prediction of every judged pair (`predictions/`, and
`proxies/` for Table I), `manifest.json` (each pair with its label and the videos that
each side may see), `config.json`, and the tables as JSON and Markdown (`tables/`). A
stopped run goes on at the fold where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from pipelines import app, inputs, options

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from dc_keras.corpus.grid import Grid
    from dc_keras.corpus.store import Corpus

_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_STUDY = flags.DEFINE_string("study", None, "Study file (TOML).", required=True)
_FEATURES = flags.DEFINE_multi_string(
    "features", None, "Directory of feature records; repeatable.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Directory of the run.", required=True)
_SPLIT = flags.DEFINE_multi_enum(
    "split",
    ["random_pair"],
    ["random_pair", "cold_user"],
    "What is held out: pairs (the paper) or users; repeatable.",
)
_MODELS = flags.DEFINE_multi_enum(
    "models",
    ["all"],
    ["all", "deepChallenger", "proxies", "paper", "simple"],
    "Rows wanted: deepChallenger, the proxies of Table I, the paper's baselines, the "
    "simple ones; repeatable.",
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds of each fold.", lower_bound=1)
_WORKERS = flags.DEFINE_integer(
    "workers",
    1,
    "Processes that fit folds side by side; each holds the features in memory.",
    lower_bound=1,
)
_TRUTH = flags.DEFINE_string(
    "truth", None, "truth.json of a simulated world: adds the Bayes-optimal row."
)
_KEY_FILE = flags.DEFINE_string(
    "key_file", None, "Key of the pseudonyms, needed with --truth."
)
options.define_all()


def main() -> None:
    """Trains, predicts, and prints the tables."""
    from pathlib import Path

    from dc_keras.corpus.store import Corpus, write_text
    from dc_keras.evaluation.baselines import history_documents
    from dc_keras.evaluation.experiment import Experiment
    from dc_keras.evaluation.runner import run_experiment
    from dc_keras.models.config import ModelOptions, ProtocolOptions, TrainingOptions

    corpus = Corpus.open(_CORPUS.value)
    grid = inputs.load_grid(corpus, _STUDY.value)
    app.say(grid.describe())
    output = Path(_OUTPUT.value)
    experiment = Experiment(
        grid=grid,
        table=inputs.load_features(_FEATURES.value),
        documents=history_documents(grid, corpus.videos),
        model=options.resolve(ModelOptions),
        training=options.resolve(TrainingOptions),
        protocol=options.resolve(ProtocolOptions),
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
    write_text(output / "manifest.json", grid.to_json())
    _print_tables(output, grid)


def _load_truth(corpus: Corpus, grid: Grid) -> np.ndarray | None:
    from pathlib import Path

    from dc_keras.evaluation.truth import load_truth

    if _TRUTH.value is None:
        return None
    pseudonymizer = inputs.load_pseudonymizer(corpus, _KEY_FILE.value)
    return load_truth(Path(_TRUTH.value), grid, pseudonymizer)


def _print_tables(output: Path, grid: Grid) -> None:
    from dc_keras.corpus.store import write_text
    from dc_keras.evaluation.results import table_one, table_two

    kind = "synthetic world" if _TRUTH.value else "corpus"
    dataset = f"{kind}, study {grid.settings['name']}"
    tables = {}
    if "random_pair" in _SPLIT.value and {"all", "proxies"} & set(_MODELS.value):
        tables["table_1"] = table_one(output, dataset)
    if set(_MODELS.value) != {"proxies"}:
        for split in _SPLIT.value:
            tables[f"table_2_{split}"] = table_two(output, split, dataset)
    (output / "tables").mkdir(exist_ok=True)
    for name, table in tables.items():
        app.say("\n" + table.to_console())
        for ending, text in (("md", table.to_markdown()), ("json", table.to_json())):
            write_text(output / "tables" / f"{name}.{ending}", text)
    app.say(f"\n{output}: predictions, manifest.json, tables as Markdown and JSON")


if __name__ == "__main__":
    app.run(main)
