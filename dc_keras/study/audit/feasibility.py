"""Whether a row of precision, recall and F1 can come from any answers at all.

For two classes and a known share of "yes", macro precision, recall and F1 are functions
of two numbers, the true and the false positive rate. A row that none of them gives is
impossible.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# A prevalence that somebody typed is known to two digits: .25, .0025 or .9975.
_PREVALENCE_SLACK = 0.05
# Rates crowd near 0 and 1, where precision turns quickly.
_RATES = np.concatenate(
    [[0.0], 1 / (1 + np.exp(-np.linspace(-14.0, 14.0, 2001))), [1.0]]
)

_Array = npt.NDArray[np.float64]


def macro_row_distance(
    precision: float, recall: float, f1: float, prevalence: float, rounding: float
) -> float:
    """Returns how far a macro row is from the nearest possible one.

    Macro recall is (TPR + 1 − FPR) / 2, hence one rate follows from the other; all
    values of the other are tried, for recalls that round to the printed one and
    prevalences within a twentieth of the given one.

    Args:
        precision: macro precision over {no, yes}.
        recall: macro recall.
        f1: macro F1, the mean of the two F1s.
        prevalence: share of "yes", between 0 and 1.
        rounding: half a unit of the last printed decimal.

    Returns:
        The greater of the two differences in precision and F1, at the best place.
    """
    slack = _PREVALENCE_SLACK * min(prevalence, 1 - prevalence)
    shares = (prevalence + slack * np.linspace(-1, 1, 17))[:, None, None]
    recalls = np.clip(recall + rounding * np.linspace(-1, 1, 5), 0, 1)[None, :, None]
    difference = 2 * recalls - 1  # TPR − FPR
    low, high = np.maximum(difference, 0), np.minimum(1 + difference, 1)
    true_rate = low + (high - low) * _RATES
    found_precision, found_f1 = _macro(true_rate, true_rate - difference, shares)
    distance = np.maximum(abs(found_precision - precision), abs(found_f1 - f1))
    return float(distance.min())


def smallest_precision(recall: float, prevalence: float) -> float:
    """Returns the precision of "yes" at some recall when every "no" is called too."""
    share = prevalence - _PREVALENCE_SLACK * min(prevalence, 1 - prevalence)
    return share * recall / (share * recall + 1 - share)


def constant_f1(prevalence: float, is_macro: bool) -> dict[str, float]:
    """Returns the F1 of the two models that look at nothing.

    Args:
        prevalence: share of "yes", between 0 and 1.
        is_macro: whether F1 is the mean over {no, yes}, or that of "yes".
    """
    yes, no = (2 * share / (1 + share) for share in (prevalence, 1 - prevalence))
    if is_macro:
        return {"always yes": yes / 2, "always no": no / 2}
    return {"always yes": yes}


def _macro(
    true_rate: _Array, false_rate: _Array, share: _Array
) -> tuple[_Array, _Array]:
    """Macro precision and F1 of rates, 0 where a class is never called."""
    cells = (
        (share * true_rate, (1 - share) * false_rate, share),
        ((1 - share) * (1 - false_rate), share * (1 - true_rate), 1 - share),
    )
    precisions, f1s = [], []
    for right, wrong, size in cells:
        called = np.maximum(right + wrong, 0)
        precisions.append(
            np.divide(right, called, np.zeros_like(called), where=called > 0)
        )
        f1s.append(2 * right / (called + size))
    return (precisions[0] + precisions[1]) / 2, (f1s[0] + f1s[1]) / 2
