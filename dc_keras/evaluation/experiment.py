"""The data and options of an evaluation run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np

from dc_keras.context.post_features import PostFacts
from dc_keras.evaluation.variants import list_recipes
from dc_keras.features import Features
from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from dc_keras.study.participation import Grid
from dc_keras.training.proxy_training import available_variants
from dc_keras.training.recipe import Recipe


@dataclass(frozen=True)
class Experiment:
    """Data and options of an evaluation run.

    Attributes:
        grid: users, challenges, labels, and the videos of each side.
        table: features of these videos.
        facts: words, sounds, times and counts of these videos, for context features and
            simple baselines.
        model: architecture of the models.
        training: training options of the models.
        protocol: selection of the training data.
        context: context features that are combined with the videos.
        temporal: a grid of several cutoffs (`study.temporal`), for the temporal split.
        truth: true probabilities of a simulated world, float64 (num_users,
            num_challenges); None for other data.
        models: groups of models to evaluate: "all", or some of "deepChallenger" (with
            the options of the run), "videos_only" (without context), "context_only"
            (without videos), "deepChallenger_paper" (the paper's architecture and loss,
            the batch size and epochs of the run), "without_frames" (as if there were
            captions only), "ablations" (each without one group of context features, or
            without frames), "support_sizes" (fewer challenge videos), "captions_only"
            (deepChallenger and context only, for users without facts besides captions
            and frames), "proxies", "paper" (its four baselines) and "simple". "all"
            excludes those from "without_frames" to "captions_only".
        is_synthetic: whether the data are simulated.
    """

    grid: Grid
    table: Features
    facts: PostFacts
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    protocol: ProtocolOptions = field(default_factory=ProtocolOptions)
    context: ContextOptions = field(default_factory=ContextOptions)
    temporal: Grid | None = None
    truth: np.ndarray | None = None
    models: tuple[str, ...] = ("all",)
    is_synthetic: bool = False

    def includes(self, group: str) -> bool:
        """Returns whether a group of models is evaluated; see `models`."""
        is_in_all = group not in ("ablations", "support_sizes", "captions_only")
        return group in self.models or ("all" in self.models and is_in_all)

    def on_grid(self, grid: Grid) -> Experiment:
        """Returns the experiment on another grid of the same corpus."""
        if grid is self.grid:
            return self
        return replace(self, grid=grid, truth=None)

    def recipes(self) -> list[Recipe]:
        """Returns the recipes of the baselines of the paper and of deepChallenger."""
        options = (self.models, self.model, self.training, self.context)
        sources = {"past": self.grid.user_cutoffs, "frames": self.table.vision}
        absent = [group for group, source in sources.items() if not source]
        baselines = [variant.name for variant in available_variants(self.table)]
        return list_recipes(*options, absent, baselines)

    def config(self) -> dict[str, Any]:
        """Returns the settings that determine the predictions, as plain values."""
        vision = {
            name: {**v.spec, "sampling": dict(v.sampling)}
            for name, v in self.table.vision.items()
        }
        caption = self.table.caption_spec
        truth = None if self.truth is None else self.truth.tobytes()
        return {
            "model": self.model.to_dict(),
            "training": self.training.to_dict(),
            "protocol": self.protocol.to_dict(),
            "models": list(self.models),
            "grid_sha256": self.grid.sha256,
            "temporal_sha256": None if self.temporal is None else self.temporal.sha256,
            "vision": vision,
            "text": None if caption is None else dict(caption),
            "context": self.context.to_dict(),
            "features_sha256": list(self.table.sha256),
            "facts_sha256": self.facts.sha256,
            "truth_sha256": None if truth is None else sha256(truth).hexdigest(),
            "is_synthetic": self.is_synthetic or truth is not None,
        }
