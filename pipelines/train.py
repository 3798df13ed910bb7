r"""Trains a model for keeps: a proxy, or the whole of deepChallenger.

    python -m pipelines.train --task=participation --corpus=corpus \
        --study=studies/paper.toml --features=features/vgg16 \
        --features=features/resnet50 --output=runs/deep_challenger

Leaves behind in --output: `model.keras`, `config.json` (every resolved choice),
`history.csv`, `predictions.parquet` (validation rows), `tensorboard/` and
`MODEL_CARD.md`; for --task=participation also `challenge_proxy/` and `user_proxy/`,
alike, and `challenges.npz`. A stopped training goes on at its last finished epoch.
"""

from __future__ import annotations

from absl import flags

from pipelines import app, inputs, options

_TASK = flags.DEFINE_enum(
    "task",
    "participation",
    ["challenge", "user", "participation"],
    "What to train: a proxy of one side, or both and the fusion model.",
)
_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.", required=True)
_STUDY = flags.DEFINE_string("study", None, "Study file (TOML).", required=True)
_FEATURES = flags.DEFINE_multi_string(
    "features", None, "Directory of feature records; repeatable.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Model directory.", required=True)
options.define_all()


def main() -> None:
    """Trains the model that the flags describe."""
    from pathlib import Path

    from dc_keras.corpus.store import Corpus
    from dc_keras.models.config import ModelOptions, ProtocolOptions, TrainingOptions
    from dc_keras.training.model_card import CorpusFacts, write_model_cards
    from dc_keras.training.runs import TrainingRun, train_participation, train_proxy

    corpus = Corpus.open(_CORPUS.value)
    grid = inputs.load_grid(corpus, _STUDY.value)
    app.say(grid.describe())
    run = TrainingRun(
        grid=grid,
        table=inputs.load_features(_FEATURES.value),
        model=options.resolve(ModelOptions),
        training=options.resolve(TrainingOptions),
        protocol=options.resolve(ProtocolOptions),
        directory=Path(_OUTPUT.value),
    )
    if _TASK.value == "participation":
        train_participation(run)
    else:
        train_proxy(run, _TASK.value)
    write_model_cards(run.directory, CorpusFacts.of(corpus), grid)
    app.say(f"{run.directory}: model.keras, config.json, history.csv, MODEL_CARD.md")
    app.say(f"curves: tensorboard --logdir={run.directory}")


if __name__ == "__main__":
    app.run(main)
