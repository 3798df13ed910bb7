"""What simple models say of the pairs of one fold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from dc_keras.corpus.grid import Grid
from dc_keras.evaluation.splits import Fold
from dc_keras.signals.evidence import Evidence
from dc_keras.signals.facts import PostFacts
from dc_keras.signals.folds import plan_steps
from dc_keras.signals.table import (
    SignalTable,
    add_ties,
    choose_signals,
    make_signals,
)
from dc_keras.signals.ties import GROUP as TIES


class FoldSignals:
    """Computes signals once and keeps them.

    Args:
        grid: users, challenges, and the videos that each side may see.
        facts: facts of those videos.
        captions: caption embedding by video id, or None.
        fold: which pairs are for training.
        seed: of inner folds and trees.
        frames: by vision network, the mean frame embedding by video id.

    Attributes:
        steps: who is scored by models fitted on whom.
    """

    def __init__(
        self,
        grid: Grid,
        facts: PostFacts,
        captions: Mapping[str, np.ndarray] | None,
        fold: Fold,
        seed: int,
        frames: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    ) -> None:
        evidence = Evidence.of(grid, facts, captions, fold.hidden_users, frames)
        self._evidence = evidence
        self._seed = seed
        self.steps = plan_steps(
            evidence, grid, fold.split, fold.train, fold.valid, seed
        )
        self._all = make_signals(evidence, fold.train, self.steps)
        self._chosen: dict[tuple[str, ...], SignalTable] = {}

    def of_groups(self, groups: tuple[str, ...]) -> SignalTable:
        """Returns the signals of some groups: `GROUPS`, `REFERENCE`, and `ties`."""
        if groups not in self._chosen:
            signals = self._with_ties if TIES in groups else self._all
            self._chosen[groups] = choose_signals(
                signals, groups, self._evidence.pairs.label, self.steps, self._seed
            )
        return self._chosen[groups]

    @cached_property
    def _with_ties(self) -> SignalTable:
        """Ties cost a graph: they are made where a model asks for them."""
        return add_ties(self._all, self._evidence, self.steps)
