"""Ranking metrics: challenges ranked for a user, and users ranked for a challenge.

A list has all test pairs of one user (or one challenge) in one fold, without sampling.
All metrics are expected values under random order of ties: each position in a tie
counts as the share of positives in the tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

USER_CUTOFFS = (1, 3, 5)
CHALLENGE_CUTOFFS = (10, 50)
LIFT_SHARES = (0.01, 0.05, 0.1)


@dataclass(frozen=True)
class RankedLists:
    """Concatenated lists in order of score; see `rank_lists`.

    Attributes:
        starts: int (num_lists,), first row of each list.
        sizes: int (num_lists,), number of rows of each list.
        relevance: float (num_rows,), probability that the row is a positive.
        ties: int (num_rows,), number of the row's tie.
        num_skipped: number of lists left out because all their labels are the same.
    """

    starts: np.ndarray
    sizes: np.ndarray
    relevance: np.ndarray
    ties: np.ndarray
    num_skipped: int

    def __len__(self) -> int:
        """Returns the number of lists."""
        return len(self.starts)

    @cached_property
    def positions(self) -> np.ndarray:
        """Position of each row in its list, from 0."""
        starts = np.repeat(self.starts, self.sizes)
        return np.asarray(np.arange(len(self.relevance)) - starts)

    @cached_property
    def num_positives(self) -> np.ndarray:
        """Number of positives in each list, (num_lists,), at least one."""
        return self._sum(self.relevance)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        if not len(self):  # `reduceat` needs at least one start
            return np.zeros(0)
        return np.asarray(np.add.reduceat(values, self.starts))

    def _num_in_first(self, cutoffs: np.ndarray) -> np.ndarray:
        """Returns the positives in the first positions; one cutoff per list."""
        is_in = self.positions < np.repeat(cutoffs, self.sizes)
        return self._sum(self.relevance * is_in)

    def precision(self, k: int) -> np.ndarray:
        """Returns the positives among the first k, over k; (num_lists,)."""
        return np.asarray(self._num_in_first(np.full(len(self), k)) / k)

    def recall(self, k: int) -> np.ndarray:
        """Returns the positives among the first k, over all positives; (num_lists,)."""
        in_first = self._num_in_first(np.full(len(self), k))
        return np.asarray(in_first / self.num_positives)

    def ndcg(self, k: int) -> np.ndarray:
        """Returns the NDCG of the first k, discount 1/log2(1 + rank); (num_lists,)."""
        discounts = 1 / np.log2(np.arange(2, self.sizes.max(initial=0) + 2))
        gained = self.relevance * discounts[self.positions] * (self.positions < k)
        best = np.cumsum(discounts)[
            np.minimum(self.num_positives.round().astype(int), k) - 1
        ]
        return np.asarray(self._sum(gained) / best)

    def reciprocal_rank(self) -> np.ndarray:
        """Returns the expected 1 / rank of the first positive; (num_lists,)."""
        # The first positive is in the first tie with one: s rows come before the tie,
        # which has m rows and r positives.
        size = np.bincount(self.ties)
        positives = np.bincount(self.ties, self.relevance).round().astype(int)
        tie_starts = np.concatenate([[0], np.cumsum(size)[:-1]])
        with_any = np.flatnonzero(positives > 0)
        firsts = with_any[
            np.searchsorted(tie_starts[with_any], self.starts, side="left")
        ]
        m, r = size[firsts], positives[firsts]
        s = tie_starts[firsts] - self.starts
        value, none_yet = np.zeros(len(self)), np.ones(len(self))
        for x in range(int((m - r).max(initial=0)) + 1):
            # The next row is a positive with probability r / (number of rows left).
            chance = np.where(x <= m - r, r / np.maximum(m - x, 1), 0.0)
            value += none_yet * chance / (s + x + 1)
            none_yet *= 1 - chance
        return value

    def lift(self, share: float) -> np.ndarray:
        """Returns the precision in the first part of each list over its prevalence.

        Args:
            share: length of the part, as a share of the list; rounded up to positions.
        """
        # Floating point gives 0.1 × 30 > 3.
        cutoffs = np.ceil((share * self.sizes).round(9)).astype(int)
        prevalence = self.num_positives / self.sizes
        return np.asarray(self._num_in_first(cutoffs) / cutoffs / prevalence)

    def gain(self, shares: np.ndarray) -> np.ndarray:
        """Returns the mean recall in the first part of a list (cumulative gain).

        Args:
            shares: lengths of the part as a share of the list, in [0, 1],
                (num_points,).

        Returns:
            Mean share of a list's positives, (num_points,), interpolated linearly.
        """
        total = np.zeros(len(shares))
        for start, size in zip(self.starts, self.sizes, strict=True):
            gained = np.cumsum(self.relevance[start : start + size])
            at = np.linspace(0, 1, size + 1)
            total += np.interp(shares, at, np.concatenate([[0.0], gained / gained[-1]]))
        return total / len(self)


def rank_lists(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray
) -> RankedLists:
    """Sorts the pairs of each group by score.

    Args:
        labels: 0/1 (num_pairs,).
        scores: float (num_pairs,), higher comes first.
        groups: (num_pairs,), user or challenge of each pair.

    Returns:
        One list per group. Groups whose labels are all the same are left out and
        counted, because their metrics do not depend on the order.
    """
    _, number = np.unique(groups, return_inverse=True)
    size = np.bincount(number)
    joined = np.bincount(number, labels)
    is_mixed = (joined > 0) & (joined < size)
    rows = np.flatnonzero(is_mixed[number])
    rows = rows[np.lexsort((-scores[rows], number[rows]))]
    number, scores = number[rows], scores[rows]
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (number[1:] != number[:-1]) | (scores[1:] != scores[:-1])
    ties = np.cumsum(is_new) - 1
    mean = np.bincount(ties, labels[rows]) / np.maximum(np.bincount(ties), 1)
    sizes = size[is_mixed]
    return RankedLists(
        starts=np.cumsum(sizes) - sizes,
        sizes=sizes,
        relevance=mean[ties],
        ties=ties,
        num_skipped=int(np.sum(~is_mixed)),
    )


def rank_challenges(lists: RankedLists) -> dict[str, np.ndarray]:
    """Returns the metrics of the ranking of challenges for each user, (num_lists,)."""
    return {
        **{f"NDCG@{k}": lists.ndcg(k) for k in USER_CUTOFFS},
        **{f"recall@{k}": lists.recall(k) for k in USER_CUTOFFS},
        "MRR": lists.reciprocal_rank(),
    }


def rank_users(lists: RankedLists) -> dict[str, np.ndarray]:
    """Returns the metrics of the ranking of users for each challenge, (num_lists,)."""
    return {
        **{f"precision@{k}": lists.precision(k) for k in CHALLENGE_CUTOFFS},
        **{f"recall@{k}": lists.recall(k) for k in CHALLENGE_CUTOFFS},
        **{f"NDCG@{k}": lists.ndcg(k) for k in CHALLENGE_CUTOFFS},
        **{f"lift@{share:.0%}": lists.lift(share) for share in LIFT_SHARES},
    }
