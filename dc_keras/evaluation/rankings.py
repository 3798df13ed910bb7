"""How well scores order challenges for a user, and users for a challenge.

A list is everything that was judged of one user (or one challenge) in one fold: full
rankings, never sampled candidates. Equal scores have no order of their own, so every
number is its expected value when ties are broken at random: each position inside a tie
holds the tie's share of positives.
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
    """Lists in order of score, one after the other; see `rank_lists`.

    Attributes:
        starts: int (num_lists,), where each list starts.
        sizes: int (num_lists,), how many it ranks.
        relevance: float (num_rows,), chance that the position holds a positive.
        ties: int (num_rows,), number of the tie that a position stands in.
        num_skipped: lists left out because all their labels are the same.
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
        """Positives of each list, (num_lists,), at least one."""
        return self._sum(self.relevance)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        if not len(self):  # reduceat refuses to start nowhere
            return np.zeros(0)
        return np.asarray(np.add.reduceat(values, self.starts))

    def _found(self, cutoffs: np.ndarray) -> np.ndarray:
        """Positives among the first positions, each list with a cutoff of its own."""
        is_in = self.positions < np.repeat(cutoffs, self.sizes)
        return self._sum(self.relevance * is_in)

    def precision(self, k: int) -> np.ndarray:
        """Positives among the first k, over k; (num_lists,)."""
        return np.asarray(self._found(np.full(len(self), k)) / k)

    def recall(self, k: int) -> np.ndarray:
        """Positives among the first k, over all positives; (num_lists,)."""
        return np.asarray(self._found(np.full(len(self), k)) / self.num_positives)

    def ndcg(self, k: int) -> np.ndarray:
        """DCG of the first k over the best one; discount 1/log2(1 + rank)."""
        discounts = 1 / np.log2(np.arange(2, self.sizes.max(initial=0) + 2))
        gained = self.relevance * discounts[self.positions] * (self.positions < k)
        best = np.cumsum(discounts)[
            np.minimum(self.num_positives.round().astype(int), k) - 1
        ]
        return np.asarray(self._sum(gained) / best)

    def reciprocal_rank(self) -> np.ndarray:
        """Expected 1 / rank of the first positive; (num_lists,)."""
        # The first tie with a positive decides: r positives among m places after s.
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
            # The next place holds a positive with chance r / (places left).
            chance = np.where(x <= m - r, r / np.maximum(m - x, 1), 0.0)
            value += none_yet * chance / (s + x + 1)
            none_yet *= 1 - chance
        return value

    def lift(self, share: float) -> np.ndarray:
        """Share of positives in the first `share` of a list, over that in all of it.

        The number of positions is rounded up: at least one.
        """
        # 0.1 × 30 is a little more than 3 in binary.
        cutoffs = np.ceil((share * self.sizes).round(9)).astype(int)
        prevalence = self.num_positives / self.sizes
        return np.asarray(self._found(cutoffs) / cutoffs / prevalence)

    def gain(self, shares: np.ndarray) -> np.ndarray:
        """Mean over lists of the positives found in the first shares of a list.

        Args:
            shares: in [0, 1], (num_points,).

        Returns:
            Share of a list's positives, (num_points,), linear between positions.
        """
        total = np.zeros(len(shares))
        for start, size in zip(self.starts, self.sizes, strict=True):
            found = np.cumsum(self.relevance[start : start + size])
            at = np.linspace(0, 1, size + 1)
            total += np.interp(shares, at, np.concatenate([[0.0], found / found[-1]]))
        return total / len(self)


def rank_lists(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray
) -> RankedLists:
    """Orders the pairs of each group by score.

    Args:
        labels: 0/1 (num_pairs,).
        scores: float (num_pairs,), higher comes first.
        groups: (num_pairs,), the user or the challenge whose list a pair stands in.

    Returns:
        One list a group. A group whose labels are all the same is left out and counted:
        any order of it is as good as any other.
    """
    _, number = np.unique(groups, return_inverse=True)
    size = np.bincount(number)
    joined = np.bincount(number, labels)
    is_judged = (joined > 0) & (joined < size)
    rows = np.flatnonzero(is_judged[number])
    rows = rows[np.lexsort((-scores[rows], number[rows]))]
    number, scores = number[rows], scores[rows]
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (number[1:] != number[:-1]) | (scores[1:] != scores[:-1])
    ties = np.cumsum(is_new) - 1
    mean = np.bincount(ties, labels[rows]) / np.maximum(np.bincount(ties), 1)
    sizes = size[is_judged]
    return RankedLists(
        starts=np.cumsum(sizes) - sizes,
        sizes=sizes,
        relevance=mean[ties],
        ties=ties,
        num_skipped=int(np.sum(~is_judged)),
    )


def rank_challenges(lists: RankedLists) -> dict[str, np.ndarray]:
    """Returns what each user's ranking of challenges is worth.

    Returns:
        `NDCG@k` and `recall@k` for k of `USER_CUTOFFS`, and `MRR`; each (num_lists,).
    """
    return {
        **{f"NDCG@{k}": lists.ndcg(k) for k in USER_CUTOFFS},
        **{f"recall@{k}": lists.recall(k) for k in USER_CUTOFFS},
        "MRR": lists.reciprocal_rank(),
    }


def rank_users(lists: RankedLists) -> dict[str, np.ndarray]:
    """Returns what each challenge's ranking of users is worth.

    Returns:
        `precision@k`, `recall@k` and `NDCG@k` for k of `CHALLENGE_CUTOFFS`, and
        `lift@1%`, … for `LIFT_SHARES`; each (num_lists,).
    """
    return {
        **{f"precision@{k}": lists.precision(k) for k in CHALLENGE_CUTOFFS},
        **{f"recall@{k}": lists.recall(k) for k in CHALLENGE_CUTOFFS},
        **{f"NDCG@{k}": lists.ndcg(k) for k in CHALLENGE_CUTOFFS},
        **{f"lift@{share:.0%}": lists.lift(share) for share in LIFT_SHARES},
    }
