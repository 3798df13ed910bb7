"""Data, options and place of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dc_keras.context.post_features import PostFacts
from dc_keras.study.pairs import Pairs
from dc_keras.study.study import Grid
from dc_keras.models.config import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from dc_keras.training.callbacks import training_callbacks
from dc_keras.training.dataset import FeatureTable
from dc_keras.training.proxy_training import (
    Variant,
)
from dc_keras.training.recipe import Recipe
from dc_keras.training.summaries import (
    log_config,
    log_frames,
)


@dataclass(frozen=True)
class TrainingRun:
    """Data, options and place of a training.

    Attributes:
        grid: users, challenges, labels, and the videos that each side may see.
        table: cached features.
        model: shape of the models.
        training: how they are fitted.
        protocol: which videos and pairs they see.
        directory: the model directory.
        facts: facts of the posts, for a participation model with context.
        context: what a participation model sees beside the videos.
        overwrite: whether a training of other settings in the directory is replaced.
        profile_steps: first and last step for TensorFlow's profiler, of each model.
        sample_frames: by name, uint8 RGB (num_frames, height, width, 3), pictures for
            TensorBoard.
        key_fingerprint: of the corpus's pseudonyms, to remember posts by keyed codes;
            None remembers none.
    """

    grid: Grid
    table: FeatureTable
    model: ModelOptions
    training: TrainingOptions
    protocol: ProtocolOptions
    directory: Path
    facts: PostFacts | None = None
    context: ContextOptions = field(default_factory=ContextOptions)
    profile_steps: tuple[int, int] | None = None
    sample_frames: Mapping[str, np.ndarray] = field(default_factory=dict)
    key_fingerprint: str | None = None
    overwrite: bool = False

    @property
    def recipe(self) -> Recipe:
        """What a participation model sees and how it is fitted."""
        return Recipe.of(self.model, self.training, self.context)

    def config(self, task: str, variants: dict[str, Variant]) -> dict[str, Any]:
        """Returns every resolved choice, as plain values."""
        caption = self.table.caption_spec
        sides = {}
        for side, variant in variants.items():
            vision = self.table.vision[variant.vision] if variant.vision else None
            sides[side] = {
                "vision": dict(vision.spec) if vision else None,
                "sampling": dict(vision.sampling) if vision else None,
                "text": dict(caption) if variant.use_text and caption else None,
            }
        return {
            "task": task,
            "model": self.model.to_dict(),
            "training": self.training.to_dict(),
            "protocol": self.protocol.to_dict(),
            "context": self.context.to_dict(),
            "study": dict(self.grid.settings),
            "grid_sha256": self.grid.sha256,
            "sides": sides,
        }

    def start_logs(self, config: dict[str, Any]) -> list[keras.callbacks.Callback]:
        """Writes what is known before training, and returns its callbacks."""
        logs = self.directory / "tensorboard"
        log_config(logs, config)
        if self.sample_frames:
            log_frames(logs, self.sample_frames)
        return training_callbacks(self.directory, _hparams(config), self.profile_steps)


def _hparams(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the single values of a configuration, by the names of their flags."""
    values = {"task": config["task"], "grid": config["grid_sha256"][:8]}
    for options in ("model", "training", "protocol"):
        values |= config[options]
    for side, sees in config["sides"].items():
        for kind in ("vision", "text"):
            values[f"{side}_{kind}"] = (sees[kind] or {}).get("name", "none")
    return values


def users_of(grid: Grid, pairs: Pairs, rows: np.ndarray) -> list[str]:
    """Returns the ids of the users of some pairs."""
    return [grid.users[user] for user in np.unique(pairs.user[rows])]
