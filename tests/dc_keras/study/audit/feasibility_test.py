import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.evaluation.metrics import macro_scores
from dc_keras.study.audit.feasibility import (
    macro_row_distance,
    smallest_precision,
)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.integers(0, 300)] * 4).filter(lambda c: c[0] + c[1] and c[2] + c[3]),
    st.sampled_from([2, 3]),
)
def test_every_confusion_matrix_is_possible(counts, decimals):
    labels = np.repeat([0, 0, 1, 1], counts)
    called = np.repeat([0, 1, 0, 1], counts)
    row = [round(v, decimals) for v in macro_scores(labels, called, (0, 1)).values()]
    # Two digits of the smaller of the two shares.
    share = float(f"{min(labels.mean(), 1 - labels.mean()):.2g}")
    prevalence = share if labels.mean() < 0.5 else 1 - share
    rounding = 0.5 * 10.0**-decimals
    distance = macro_row_distance(*row, prevalence, rounding)
    assert distance <= 3 * rounding + 0.002


@pytest.mark.parametrize(
    ("row", "prevalence"),
    [
        # Perfect recall of both classes means perfect precision.
        ((0.6, 1.0, 0.9), 0.3),
        # With half of each class predicted, the precision is the prevalence.
        ((0.9, 0.5, 0.5), 0.5),
        ((0.050, 0.059, 0.050), 0.1),
    ],
)
def test_impossible_rows_are_far_from_all_possible_ones(row, prevalence):
    assert macro_row_distance(*row, prevalence, 0.0005) > 0.02


def test_smallest_precision_predicts_yes_for_every_no():
    # 5 % less than .2 is .19: 1 · .19 / (.19 + .81).
    assert smallest_precision(1.0, 0.2) == pytest.approx(0.19)
    # Half of the positives among all negatives: .095 / (.095 + .81).
    assert smallest_precision(0.5, 0.2) == pytest.approx(0.095 / 0.905)
    assert smallest_precision(0.0, 0.2) == 0.0
