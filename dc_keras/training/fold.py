"""The data of one fold: its pairs, the features and the facts of their videos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from dc_keras.context.context_fitting import ContextData, ContextFeatures
from dc_keras.context.cross_fit_plan import CrossFitStep, plan_steps
from dc_keras.context.fold_data import Evidence
from dc_keras.context.post_features import PostFacts
from dc_keras.features import Features
from dc_keras.study.pairs import Pairs, grid_pairs
from dc_keras.study.participation import Grid
from dc_keras.study.splits import TEST_FRACTION, Fold, split_rows
from dc_keras.training.proxy_training import (
    ProxyTask,
    challenge_task,
    side_variants,
    user_task,
)


@dataclass(frozen=True, eq=False)
class FoldData:
    """The data of one fold of a grid.

    Attributes:
        grid: users, challenges, labels, and the videos of each side.
        table: features of the videos.
        facts: facts of the videos.
        fold: the training, validation and test pairs.
        seed: random seed of the fold.
        key_fingerprint: fingerprint of the corpus's pseudonymization key, for the codes
            of posts; None stores no codes.
    """

    grid: Grid
    table: Features
    facts: PostFacts
    fold: Fold
    seed: int
    key_fingerprint: str | None = None

    @classmethod
    def without_test(
        cls,
        grid: Grid,
        table: Features,
        facts: PostFacts,
        validation_fraction: float,
        seed: int,
        key_fingerprint: str | None = None,
    ) -> FoldData:
        """Returns a fold that validates on a share of the users and tests on none."""
        pairs = grid_pairs(grid)
        train, valid = np.arange(len(pairs)), np.arange(0)
        if validation_fraction > 0:
            shuffle = GroupShuffleSplit(
                1, test_size=validation_fraction, random_state=seed
            )
            train, valid = next(shuffle.split(train, groups=pairs.user))
        hidden = frozenset(grid.users[user] for user in np.unique(pairs.user[valid]))
        fold = Fold("cold_user", 0, train, valid, valid[:0], hidden)
        return cls(grid, table, facts, fold, seed, key_fingerprint)

    def has_pairs_of(self, other: FoldData) -> bool:
        """Returns whether both have the same pairs in the same parts of one grid."""
        return self.grid is other.grid and all(
            np.array_equal(getattr(self.fold, part), getattr(other.fold, part))
            for part in ("train", "valid", "test")
        )

    @cached_property
    def pairs(self) -> Pairs:
        """The observed pairs."""
        return grid_pairs(self.grid)

    @cached_property
    def context(self) -> ContextData:
        """The data for fitting context features.

        Histories of the pool may be missing in the features.
        """
        grid, table, facts = self.grid, self.table, self.facts
        vision = side_variants(table)["user"].vision
        frames = table.vision[vision].mean_frames if vision else None
        rows = np.array([table.row_of.get(v, -1) for v in facts.video_ids], np.int64)
        caption_vectors, frame_vectors = (
            None if vectors is None else np.where(rows[:, None] < 0, 0, vectors[rows])
            for vectors in (table.captions, frames)
        )
        evidence = Evidence.of(grid, facts, self.fold.hidden_users)
        return ContextData(
            evidence,
            caption_vectors,
            frame_vectors,
            history_max=grid.settings["history_max"],
            support_max=min(
                grid.settings["support_max"], max(1, *map(len, evidence.support))
            ),
            focal_terms=tuple(_focal_terms(grid)),
        )

    @cached_property
    def steps(self) -> list[CrossFitStep]:
        """The cross-fitting plan."""
        fold = self.fold
        return plan_steps(
            self.context.evidence,
            self.grid,
            fold.split,
            fold.train,
            fold.valid,
            self.seed,
        )

    @cached_property
    def features(self) -> ContextFeatures:
        """The context features of all pairs, out of fold for training pairs."""
        return ContextFeatures(self.context, self.fold.train, self.steps, self.seed)

    def video_task(self, kind: str, user_classes: str = "train") -> ProxyTask:
        """Returns the videos and classes of a proxy, "challenge" or "user".

        For `user_classes` see `ProtocolOptions`.
        """
        grid, hidden = self.grid, self.fold.hidden_users
        if kind == "challenge":
            new = self.fold.hidden_challenges
            return challenge_task(grid, self.table, hidden, new)
        users = np.unique(self.pairs.user[self.fold.train]).tolist()
        if user_classes == "panel" and not hidden:
            users = list(range(len(grid.users)))
        return user_task(grid, self.table, users)

    def video_split(
        self, task: ProxyTask, validation_fraction: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the training, validation and test positions of a proxy's videos.

        On `random_pair`, 20 % of the videos are for testing, as in the paper. Other
        splits hide videos of held-out users and challenges from the task instead.
        """
        fraction = TEST_FRACTION if self.fold.split == "random_pair" else 0.0
        rest, test = split_rows(len(task.labels), fraction, self.seed)
        kept, valid = split_rows(len(rest), validation_fraction, self.seed)
        return rest[kept], rest[valid], test


def _focal_terms(grid: Grid) -> Iterator[str]:
    """Yields the hashtags and sounds of a grid's challenges as terms."""
    marks = grid.settings.get("challenges")
    for challenge in (marks or {}).values():
        for prefix, kind in (("#", "hashtags"), ("sound:", "sounds")):
            yield from (f"{prefix}{mark}".lower() for mark in challenge[kind])
