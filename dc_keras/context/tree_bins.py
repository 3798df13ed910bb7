"""Bins of features for boosted trees, for several fits on parts of the same rows."""

from __future__ import annotations

import numpy as np

# Largest number of bins of a feature in scikit-learn, without that of unknown values.
MAX_BINS = 255
UNKNOWN_BIN = 255


class RankedFeatures:
    """Features whose values are sorted once.

    scikit-learn sorts all values for each fit, and again for each weighted quantile.
    Here a fit adds the weights of its rows for each distinct value, and gets the
    thresholds of scikit-learn.

    Args:
        values: float32 (num_rows, num_features), NaN where unknown.

    Attributes:
        values: as the argument.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self._distinct: list[np.ndarray] = []
        # The last rank is that of unknown values.
        self._ranks = np.empty(values.shape[::-1], np.int32)
        for ranks, column in zip(self._ranks, values.T, strict=True):
            distinct, ranks[:] = np.unique(column, return_inverse=True)
            self._distinct.append(distinct[~np.isnan(distinct)].astype(np.float64))

    def edges(self, rows: np.ndarray, weight: np.ndarray) -> dict[int, np.ndarray]:
        """Returns the thresholds between the bins of each feature that varies.

        Args:
            rows: positions of the rows to fit on.
            weight: float (len(rows),), positive.

        Returns:
            float64 (num_edges,) by feature, ascending; a bin contains its upper edge.
            There are no edges if only known and unknown values can be separated.
        """
        found = {}
        for feature, distinct in enumerate(self._distinct):
            ranks, count = self._ranks[feature, rows], len(distinct)
            total = np.bincount(ranks, weight, minlength=count + 1)
            present = np.flatnonzero(total[:count])
            has_unknown = total[count] > 0
            if len(present) + has_unknown > 1 and len(present) > 0:
                found[feature] = _edges(distinct[present], total[present])
        return found

    def bins(self, rows: np.ndarray, edges: dict[int, np.ndarray]) -> np.ndarray:
        """Returns the bins of rows, uint8 (len(rows), len(edges)), in columns.

        Args:
            rows: positions of the rows.
            edges: thresholds by feature.
        """
        bins = np.empty((len(rows), len(edges)), np.uint8, order="F")
        for column, (feature, thresholds) in zip(bins.T, edges.items(), strict=True):
            distinct = self._distinct[feature]
            starts = np.searchsorted(distinct, thresholds, side="right")
            sizes = np.diff(starts, prepend=0, append=len(distinct))
            numbers = np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)
            of_rank = np.append(numbers, np.uint8(UNKNOWN_BIN))
            column[:] = of_rank[self._ranks[feature, rows]]
        return bins


def _edges(distinct: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns the thresholds between the bins of a feature.

    Args:
        distinct: float64 (num_values,), ascending.
        weight: float64 (num_values,), weight of the rows with each value.
    """
    if len(distinct) <= MAX_BINS:
        return np.asarray((distinct[1:] + distinct[:-1]) / 2)
    total = np.cumsum(weight)
    quantiles = np.linspace(0, 100, MAX_BINS + 1)[1:-1] / 100 * total[-1]
    place = np.minimum(np.searchsorted(total, quantiles), len(distinct) - 1)
    is_exact = total[place] - quantiles <= np.finfo(np.float64).eps
    following = np.minimum(place + is_exact, len(distinct) - 1)
    return np.unique((distinct[place] + distinct[following]) / 2)
