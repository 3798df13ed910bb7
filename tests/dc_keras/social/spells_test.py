from itertools import pairwise

import polars as pl
from drawn_graphs import layer_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.social.graph import SocialGraph
from dc_keras.social.spells import SCHEMA, combine_spells, find_spells

_USERS = ("u_a", "u_b", "u_c")


def _graph(shared, mentions):
    return SocialGraph(
        _USERS,
        (
            layer_of(shared, 3, name="co-hashtag"),
            layer_of(mentions, 3, is_directed=True, name="mention"),
        ),
    )


_PERIODS = [
    (0, _graph([(0, 1, 1.0)], [])),
    (10, _graph([(0, 1, 2.0)], [(2, 0, 1.0)])),
    (20, _graph([], [(0, 2, 1.0)])),
    (30, _graph([(0, 1, 1.0)], [])),
]


def test_periods_in_a_row_are_one_spell():
    assert find_spells(_PERIODS, 10).rows() == [
        ("co-hashtag", "u_a", "u_b", 0, 20),
        ("co-hashtag", "u_a", "u_b", 30, 40),
        ("mention", "u_a", "u_c", 20, 30),
        ("mention", "u_c", "u_a", 10, 20),
    ]
    assert find_spells([], 10).schema == SCHEMA


def test_layers_together_edge_whatever_the_direction():
    spells = find_spells(_PERIODS, 10)
    assert combine_spells(spells, ["mention"]).rows() == [("u_a", "u_c", 10, 30)]
    assert combine_spells(spells, ["mention", "co-hashtag"]).height == 3
    assert combine_spells(spells, []).height == 0


_spells = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.integers(1, 5))
)


@settings(deadline=None)
@given(_spells)
def test_spells_hold_the_same_seconds_and_do_not_touch(drawn):
    rows = [(layer, "u_a", "u_b", start, start + size) for layer, start, size in drawn]
    spells = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    found = combine_spells(spells, ["a", "b"]).select("start", "end").rows()
    seconds = {second for *_, start, end in rows for second in range(start, end)}
    assert sorted(seconds) == [s for start, end in found for s in range(start, end)]
    assert all(end < start for (_, end), (start, _) in pairwise(found))
