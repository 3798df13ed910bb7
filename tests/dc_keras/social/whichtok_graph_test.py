import itertools
import json

import pytest

from dc_keras.errors import DataError
from dc_keras.social.whichtok_graph import (
    CRITERIA,
    UserGraph,
    UserGroup,
)

_RECORDS = {
    "bob": {
        "used_hashtags": ["#CreatorFund.", "Dance", "fyp"],
        "used_sounds": ["a song"],
        "sugg_hashtags": [{"title": "cats"}],
        "sugg_sounds": [],
        "videos": [7000000000000000001],
    },
    "ann": {
        "used_hashtags": ["creatorfund", "fyp"],
        "used_sounds": ["a song", "another"],
        "sugg_hashtags": ["cats", "dogs"],
        "sugg_sounds": None,
        "videos": [],
    },
    "nobody": {},
    "nil": {},
}


@pytest.fixture
def group(tmp_path):
    (tmp_path / "users.json").write_text(json.dumps(_RECORDS))
    return UserGroup.read(tmp_path)


def _loop(group, criteria):
    """Returns whichtok's weights, pair by pair, without its division by zero."""
    weights = {}
    for first, second in itertools.combinations(group.users, 2):
        total = 0.0
        for name in criteria:
            a, b = (group.users[handle][name] for handle in (first, second))
            if a or b:
                total += len(a & b) / ((len(a) + len(b)) / 2)
        weights[first, second] = total
    return weights


def _weight(graph, first, second):
    rows = (graph.row_of[handle] for handle in (first, second))
    return graph.layers[0].weights[*rows]


@pytest.mark.parametrize(
    "criteria", [CRITERIA, ("used_hashtags",), ("sugg_hashtags", "used_sounds")]
)
def test_weights_are_whichtoks(group, criteria):
    graph = UserGraph(group, criteria).graph
    for (first, second), weight in _loop(group, criteria).items():
        assert _weight(graph, first, second) == pytest.approx(weight, abs=1e-9)
        assert _weight(graph, second, first) == _weight(graph, first, second)


def test_the_weight_of_a_small_group(group):
    # Tags: 2 of 3 and 2; sounds: 1 of 1 and 2; suggested tags: 1 of 1 and 2.
    expected = 2 / 2.5 + 1 / 1.5 + 1 / 1.5
    graph = UserGraph(group).graph
    assert _weight(graph, "ann", "bob") == pytest.approx(expected)
    assert graph.layers[0].num_edges == 1


def test_names_have_marks_and_no_stop_tags(group):
    names = group.find_names()
    assert names.users == ("ann", "bob", "nil", "nobody")
    assert names.things == (
        *("#cats", "#creatorfund", "#dance", "#dogs", "♫ a song", "♫ another"),
    )
    assert names.counts.toarray().tolist() == [
        [1, 1, 0, 1, 1, 1],
        [1, 1, 1, 0, 1, 0],
        [0] * 6,
        [0] * 6,
    ]


@pytest.mark.parametrize("content", ["[]", "{", '{"ann": 3}'])
def test_invalid_stems_are_refused(tmp_path, content):
    (tmp_path / "users.json").write_text(content)
    with pytest.raises(DataError, match=r"a stem must have a users\.json"):
        UserGroup.read(tmp_path)


def test_unknown_criteria_are_refused(group):
    with pytest.raises(DataError, match="must be distinct names of used_hashtags"):
        UserGraph(group, ["likes"])
