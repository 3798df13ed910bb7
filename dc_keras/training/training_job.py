"""A training: its data, options and output directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dc_keras.options import ProtocolOptions
from dc_keras.training.callbacks import EpochLines, training_callbacks
from dc_keras.training.fold import FoldData
from dc_keras.training.proxy_training import side_variants
from dc_keras.training.recipe import Recipe
from dc_keras.training.summaries import log_config, log_frames

# The network of each task, in the lines about epochs.
_NAMES = {
    "challenge": "challenge proxy",
    "user": "user proxy",
    "participation": "fusion of videos",
}


def describe_training(
    data: FoldData, recipe: Recipe, protocol: ProtocolOptions, task: str
) -> dict[str, Any]:
    """Returns the settings of a model directory, as plain values.

    The task is "challenge" or "user" for a proxy, or "participation".
    """
    table, sides = data.table, {}
    for side, variant in side_variants(table, recipe.baseline).items():
        if task in (side, "participation"):
            vision = table.vision[variant.vision] if variant.vision else None
            caption = table.caption_spec if variant.use_text else None
            sides[side] = {
                "vision": dict(vision.spec) if vision else None,
                "sampling": dict(vision.sampling) if vision else None,
                "text": dict(caption) if caption else None,
            }
    return {
        "task": task,
        "model": recipe.model.to_dict(),
        "training": recipe.training.to_dict(),
        "protocol": protocol.to_dict(),
        "context": recipe.context.to_dict(),
        "baseline": recipe.baseline,
        "study": dict(data.grid.settings),
        "grid_sha256": data.grid.sha256,
        "features_sha256": list(table.sha256),
        "facts_sha256": data.facts.sha256,
        "sides": sides,
    }


@dataclass(frozen=True)
class TrainingRun:
    """A training and its output directory.

    Attributes:
        data: the training and validation pairs, and their videos.
        recipe: inputs and options of the model; proxies have the same options.
        protocol: selection of the training data.
        directory: the model directory.
        profile_steps: first and last step for TensorFlow's profiler, for each model.
        sample_frames: frames for TensorBoard, uint8 RGB (num_frames, height, width, 3)
            by name.
        overwrite: whether to replace a model with other settings in the directory.
        progress: called with a line about each epoch.
    """

    data: FoldData
    recipe: Recipe
    protocol: ProtocolOptions
    directory: Path
    profile_steps: tuple[int, int] | None = None
    sample_frames: Mapping[str, np.ndarray] = field(default_factory=dict)
    overwrite: bool = False
    progress: Callable[[str], None] = lambda _: None

    def config(self, task: str) -> dict[str, Any]:
        """Returns all resolved settings; see `describe_training`."""
        return describe_training(self.data, self.recipe, self.protocol, task)

    def start_logs(self, config: dict[str, Any]) -> list[keras.callbacks.Callback]:
        """Writes configuration and frames for TensorBoard, and returns callbacks."""
        logs = self.directory / "tensorboard"
        log_config(logs, config)
        if self.sample_frames:
            log_frames(logs, self.sample_frames)
        callbacks = training_callbacks(
            self.directory, _hparams(config), self.profile_steps
        )
        name = self.recipe.baseline or _NAMES[config["task"]]
        return [*callbacks, EpochLines(name, self.progress)]


def _hparams(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a configuration by flag name, for TensorBoard's HParams."""
    values = {"task": config["task"], "grid": config["grid_sha256"][:8]}
    for options in ("model", "training", "protocol"):
        values |= config[options]
    for side, encoders in config["sides"].items():
        for kind in ("vision", "text"):
            values[f"{side}_{kind}"] = (encoders[kind] or {}).get("name", "none")
    return values
