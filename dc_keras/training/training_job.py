"""The data, options and output directory of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dc_keras.context.post_features import PostFacts
from dc_keras.features import Features
from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from dc_keras.study.participation import Grid
from dc_keras.training.callbacks import EpochLines, training_callbacks
from dc_keras.training.proxy_training import Variant, side_variants
from dc_keras.training.recipe import Recipe
from dc_keras.training.summaries import log_config, log_frames

# The network of each task, in the lines about epochs.
_NAMES = {
    "challenge": "challenge proxy",
    "user": "user proxy",
    "participation": "fusion of videos",
}


@dataclass(frozen=True)
class TrainingRun:
    """Data, options and output directory of a training.

    Attributes:
        grid: users, challenges, labels, and the videos of each side.
        table: features of the videos.
        model: architecture of the models.
        training: training options of the models.
        protocol: selection of the training data.
        directory: the model directory.
        facts: facts of the posts, for a participation model.
        context: context features and videos of a participation model.
        baseline: name of the baseline of the paper to train in place of deepChallenger,
            without context; see `Recipe`.
        profile_steps: first and last step for TensorFlow's profiler, for each model.
        sample_frames: frames for TensorBoard, uint8 RGB (num_frames, height, width, 3)
            by name.
        key_fingerprint: fingerprint of the corpus's pseudonymization key, for the codes
            of posts; None stores no codes.
        overwrite: whether to replace a model with other settings in the directory.
        progress: called with a line about each epoch.
    """

    grid: Grid
    table: Features
    model: ModelOptions
    training: TrainingOptions
    protocol: ProtocolOptions
    directory: Path
    facts: PostFacts | None = None
    context: ContextOptions = field(default_factory=ContextOptions)
    baseline: str | None = None
    profile_steps: tuple[int, int] | None = None
    sample_frames: Mapping[str, np.ndarray] = field(default_factory=dict)
    key_fingerprint: str | None = None
    overwrite: bool = False
    progress: Callable[[str], None] = lambda _: None

    @property
    def recipe(self) -> Recipe:
        """The recipe of a participation model."""
        return Recipe.of(self.model, self.training, self.context, self.baseline)

    @property
    def variants(self) -> dict[str, Variant]:
        """The input variant of each side of a participation model."""
        return side_variants(self.table, self.baseline)

    def config(self, task: str, variants: dict[str, Variant]) -> dict[str, Any]:
        """Returns all resolved settings, as plain values.

        Args:
            task: "challenge", "user" or "participation".
            variants: input variant of each side.
        """
        caption = self.table.caption_spec
        context = ContextOptions("none") if self.baseline else self.context
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
            "context": context.to_dict(),
            "baseline": self.baseline,
            "study": dict(self.grid.settings),
            "grid_sha256": self.grid.sha256,
            "features_sha256": list(self.table.sha256),
            "facts_sha256": self.facts.sha256 if self.facts else None,
            "sides": sides,
        }

    def start_logs(self, config: dict[str, Any]) -> list[keras.callbacks.Callback]:
        """Writes configuration and frames for TensorBoard, and returns callbacks."""
        logs = self.directory / "tensorboard"
        log_config(logs, config)
        if self.sample_frames:
            log_frames(logs, self.sample_frames)
        callbacks = training_callbacks(
            self.directory, _hparams(config), self.profile_steps
        )
        is_baseline = self.baseline and config["task"] == "participation"
        name = self.baseline if is_baseline else _NAMES[config["task"]]
        return [*callbacks, EpochLines(str(name), self.progress)]


def _hparams(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a configuration by flag name, for TensorBoard's HParams."""
    values = {"task": config["task"], "grid": config["grid_sha256"][:8]}
    for options in ("model", "training", "protocol"):
        values |= config[options]
    for side, encoders in config["sides"].items():
        for kind in ("vision", "text"):
            values[f"{side}_{kind}"] = (encoders[kind] or {}).get("name", "none")
    return values
