"""Checks whether precision, recall and F1 values are arithmetically possible.

For two classes and a known prevalence of "yes", macro precision, recall and F1 are
functions of the true and the false positive rate. A row is impossible if no pair of
rates gives its values.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# A given prevalence is accurate to about two digits: .25, .0025 or .9975.
_PREVALENCE_SLACK = 0.05
# The rates are denser near 0 and 1, where precision changes fastest.
_RATES = np.concatenate(
    [[0.0], 1 / (1 + np.exp(-np.linspace(-14.0, 14.0, 2001))), [1.0]]
)

# Half a unit of the last of three decimals.
_ROUNDING = 0.0005

_Array = npt.NDArray[np.float64]


def broken_identities(
    precision: float,
    recall: float,
    f1: float,
    is_binary: bool,
    rounding: float = _ROUNDING,
) -> list[str]:
    """Returns the identities that macro precision, recall and F1 violate.

    For each class F1 = 2PR/(P+R), so F1 ≤ 2P, F1 ≤ 2R and F1 ≤ (P+R)/2. The same bounds
    apply to unweighted means over classes. For two classes, macro recall and macro
    precision lie on the same side of .5, since both exceed it if and only if
    TP·TN > FP·FN.

    Args:
        precision: macro precision, in [0, 1].
        recall: macro recall, in [0, 1].
        f1: macro F1, the mean of the F1 of the classes, in [0, 1].
        is_binary: whether the classes are {no, yes}.
        rounding: half a unit of the last printed decimal.

    Returns:
        A short text for each violated identity; empty if there is none.
    """
    slack = 3 * rounding
    broken = []
    if f1 > 2 * precision + slack:
        broken.append("F1 > 2P")
    if f1 > 2 * recall + slack:
        broken.append("F1 > 2R")
    if f1 > (precision + recall) / 2 + slack:
        broken.append("F1 > (P+R)/2")
    if is_binary and recall > 0.5 + slack and precision < 0.5 - slack:
        broken.append("R > .5 but P < .5")
    if is_binary and precision > 0.5 + slack and recall < 0.5 - slack:
        broken.append("P > .5 but R < .5")
    return broken


def macro_row_distance(
    precision: float, recall: float, f1: float, prevalence: float, rounding: float
) -> float:
    """Returns the distance between a macro row and the nearest possible row.

    Macro recall is (TPR + 1 − FPR) / 2, so one rate determines the other. The function
    searches all rates, recalls that round to the printed one and prevalences within 5 %
    of the given one.

    Args:
        precision: macro precision over {no, yes}, in [0, 1].
        recall: macro recall, in [0, 1].
        f1: macro F1, the mean of the two F1 values, in [0, 1].
        prevalence: share of "yes", between 0 and 1.
        rounding: half a unit of the last printed decimal.

    Returns:
        The larger of the differences in precision and in F1, for the nearest row.
    """
    slack = _PREVALENCE_SLACK * min(prevalence, 1 - prevalence)
    shares = (prevalence + slack * np.linspace(-1, 1, 17))[:, None, None]
    recalls = np.clip(recall + rounding * np.linspace(-1, 1, 5), 0, 1)[None, :, None]
    difference = 2 * recalls - 1  # TPR − FPR
    low, high = np.maximum(difference, 0), np.minimum(1 + difference, 1)
    true_rate = low + (high - low) * _RATES
    precisions, f1s = _macro(true_rate, true_rate - difference, shares)
    distance = np.maximum(abs(precisions - precision), abs(f1s - f1))
    return float(distance.min())


def smallest_precision(recall: float, prevalence: float) -> float:
    """Returns the precision of "yes" at a recall if every "no" is a false positive."""
    share = prevalence - _PREVALENCE_SLACK * min(prevalence, 1 - prevalence)
    return share * recall / (share * recall + 1 - share)


def _macro(
    true_rate: _Array, false_rate: _Array, share: _Array
) -> tuple[_Array, _Array]:
    """Returns macro precision and F1; precision is 0 for a class never predicted."""
    cells = (
        (share * true_rate, (1 - share) * false_rate, share),
        ((1 - share) * (1 - false_rate), share * (1 - true_rate), 1 - share),
    )
    precisions, f1s = [], []
    for right, wrong, size in cells:
        predicted = np.maximum(right + wrong, 0)
        precisions.append(
            np.divide(right, predicted, np.zeros_like(predicted), where=predicted > 0)
        )
        f1s.append(2 * right / (predicted + size))
    return (precisions[0] + precisions[1]) / 2, (f1s[0] + f1s[1]) / 2
