"""What is judged: data and options of a run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np

from dc_keras.context.post_features import PostFacts
from dc_keras.study.study import Grid
from dc_keras.evaluation.variants import (
    list_recipes,
)
from dc_keras.models.config import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from dc_keras.training.dataset import FeatureTable
from dc_keras.training.recipe import Recipe


@dataclass(frozen=True)
class Experiment:
    """Data and options of a run.

    Attributes:
        grid: users, challenges, labels, and the videos that each side may see.
        table: cached features of all those videos.
        facts: words, sounds, times and counts of those videos, for simple models.
        model: shape of the models.
        training: how they are fitted.
        protocol: which videos and pairs they see.
        context: which context features are weighed with the videos.
        temporal: a grid of several cutoffs (`corpus.temporal`), for that split.
        truth: true probabilities (num_users, num_challenges) of a simulated world.
        models: rows wanted: `all`, or some of "deepChallenger", "videos_only",
            "context_only", "deepChallenger_paper", "ablations" (see `contenders`),
            "support_sizes" (deepChallenger with fewer challenge videos),
            "captions_only" (deepChallenger and context only, asked with captions and
            frames alone), "proxies", "paper" (its four baselines), "simple". `all`
            leaves ablations, support sizes and captions only out.
    """

    grid: Grid
    table: FeatureTable
    facts: PostFacts
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    protocol: ProtocolOptions = field(default_factory=ProtocolOptions)
    context: ContextOptions = field(default_factory=ContextOptions)
    temporal: Grid | None = None
    truth: np.ndarray | None = None
    models: tuple[str, ...] = ("all",)

    def wants(self, group: str) -> bool:
        """Whether a group of rows is wanted."""
        is_usual = group not in ("ablations", "support_sizes", "captions_only")
        return group in self.models or ("all" in self.models and is_usual)

    def on(self, grid: Grid) -> Experiment:
        """Returns the experiment on another grid of the same corpus."""
        if grid is self.grid:
            return self
        return replace(self, grid=grid, truth=None)

    def recipes(self) -> list[Recipe]:
        """Returns the forms of deepChallenger that are wanted."""
        options = (self.models, self.model, self.training, self.context)
        sources = {"past": self.grid.user_cutoffs, "frames": self.table.vision}
        absent = [group for group, source in sources.items() if not source]
        return list_recipes(*options, absent)

    def config(self) -> dict[str, Any]:
        """Returns what decides the predictions, as plain values."""
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
            "facts_sha256": self.facts.sha256,
            "truth_sha256": None if truth is None else sha256(truth).hexdigest(),
        }
