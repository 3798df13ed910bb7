import numpy as np
import pytest
from drawn_graphs import layer_of

from dc_keras.errors import DataError
from dc_keras.social.graph import SocialGraph
from dc_keras.social.model_scores import read_readiness, read_seeds
from dc_keras.social.reach import edge_chances, simulate_reach

_LAYER = layer_of([(0, 1, 1.0), (1, 2, 1.0)], 4)
_GRAPH = SocialGraph(("u_a", "u_b", "u_c", "u_d"), (_LAYER,))


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "list.csv"
        path.write_text(text, "utf-8")
        return path

    return write


def test_seeds_as_rank_writes_them_join_when_asked_by_chance(write):
    seeds = read_seeds(
        write(
            "rank,user_id,community,probability\n1,u_c,,0.75\n2,u_a,dance,0.5\n",
        ),
        _GRAPH,
    )
    assert seeds.rows.tolist() == [0, 2]
    assert seeds.chances.tolist() == [0.5, 0, 0.75, 0]


def test_seeds_without_a_probability_join(write):
    seeds = read_seeds(write("user_id\nu_a\n"), _GRAPH)
    assert seeds.chances is None
    reach = simulate_reach(edge_chances(_LAYER, 100.0), seeds.rows)
    assert reach.chances.tolist() == [1, 1, 1, 0]
    assert reach.mean[:3].tolist() == [1, 2, 3]


def test_seeds_who_decline_activate_nobody(write):
    seeds = read_seeds(write("user_id,probability\nu_a,0.25\n"), _GRAPH)
    reach = simulate_reach(
        edge_chances(_LAYER, 100.0),
        seeds.rows,
        seed_chances=seeds.chances,
        num_runs=2000,
    )
    # With certain activation, either all three or none adopt.
    assert set(reach.totals) == {0, 3}
    assert reach.chances[0] == pytest.approx(0.25, abs=0.05)
    assert reach.chances.tolist() == [reach.chances[0]] * 3 + [0]


def test_readiness_is_relative_to_the_mean(write):
    path = write(
        "user_id,challenge,probability\nu_a,spin,0.1\nu_b,spin,0.3\nstranger,spin,1\n"
        "u_a,jump,0.9\n"
    )
    readiness = read_readiness(path, _GRAPH, "spin")
    assert readiness.values == pytest.approx([0.5, 1.5, 1.0, 1.0])
    assert readiness.num_unknown == 2
    assert readiness.expected == pytest.approx(0.4)
    with pytest.raises(DataError, match="must be one of jump, spin"):
        read_readiness(path, _GRAPH)


def test_readier_users_are_activated_more_often(write):
    seeds = read_seeds(write("user_id\nu_b\n"), _GRAPH)
    path = write("user_id,probability\nu_a,0.1\nu_b,0.2\nu_c,0.3\n")
    readiness = read_readiness(path, _GRAPH)
    chances = edge_chances(_LAYER, 1.0, readiness.values)
    reach = simulate_reach(chances, seeds.rows, num_runs=4000)
    assert reach.chances[0] == pytest.approx(1 - np.exp(-0.5), abs=0.03)
    assert reach.chances[2] == pytest.approx(1 - np.exp(-1.5), abs=0.03)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("name\nu_a\n", "must be a CSV file with user_id"),
        ("user_id\nu_a\nstranger\n", "users of the graph.*unknown=1"),
        ("user_id\n", "at least one.*users=0"),
        ("user_id\nu_a\nu_a\n", "one row per user. Received: rows=2, users=1"),
        ("user_id,probability\nu_a,1.5\n", r"a probability must be in \[0, 1\]"),
        ("user_id,probability\nu_a,often\n", "must be a CSV file"),
        ("user_id,probability\nu_a,\n", r"a probability must be in \[0, 1\]"),
        ("", "must be a CSV file"),
    ],
)
def test_invalid_seeds_are_refused(write, text, rule):
    with pytest.raises(DataError, match=rule):
        read_seeds(write(text), _GRAPH)


def test_invalid_readiness_is_refused(write, tmp_path):
    with pytest.raises(DataError, match="CSV file with user_id and probability"):
        read_readiness(write("user_id\nu_a\n"), _GRAPH)
    with pytest.raises(DataError, match="in both=0"):
        read_readiness(write("user_id,probability\nstranger,1\n"), _GRAPH)
    with pytest.raises(DataError, match="a value above 0"):
        read_readiness(write("user_id,probability\nu_a,0\n"), _GRAPH)
    with pytest.raises(DataError, match="Received: challenge=spin"):
        read_readiness(write("user_id,probability\nu_a,1\n"), _GRAPH, "spin")
    with pytest.raises(DataError, match="must be a CSV file"):
        read_readiness(tmp_path / "none.csv", _GRAPH)
