import sys

import numpy as np
import pytest

from dc_keras.corpus.pairs import grid_pairs
from dc_keras.errors import DataError
from dc_keras.evaluation.fold_signals import FoldSignals
from dc_keras.evaluation.splits import make_folds
from dc_keras.signals.table import GROUPS, TREES


@pytest.fixture
def signals(grid, facts):
    fold = make_folds(grid, grid_pairs(grid), "cold_user", 3, 0.2, 0)[0]
    return FoldSignals(grid, facts, None, fold, 0)


def _groups(table):
    return {name.partition("/")[0] for name in table.names}


def test_groups_are_chosen_and_kept(signals):
    text = signals.of_groups(("text",))
    assert _groups(text) == {"text"}
    assert signals.of_groups(("text",)) is text


def test_ties_are_a_group_beside_the_others(signals):
    pytest.importorskip("igraph", reason="the extra `social` is not installed")
    plain, tied = (signals.of_groups(g) for g in (GROUPS, (*GROUPS, "ties")))
    assert _groups(tied) - _groups(plain) == {"ties"}
    for name in set(plain.names) - {TREES}:
        np.testing.assert_array_equal(plain[name], tied[name])


def test_trees_see_the_ties_that_were_asked_for(signals):
    pytest.importorskip("igraph", reason="the extra `social` is not installed")
    assert signals.of_groups(("ties", "trees")).names[-1] == TREES
    assert TREES not in signals.of_groups(("ties",)).names


def test_no_graph_is_made_where_nobody_asks_for_ties(signals, monkeypatch):
    monkeypatch.setitem(sys.modules, "igraph", None)
    # Without cutoffs there is no past, and here are no frames.
    assert _groups(signals.of_groups(GROUPS)) == {*GROUPS} - {"past", "frames"}
    with pytest.raises(DataError, match="needs the extra `social`"):
        signals.of_groups(("ties",))
