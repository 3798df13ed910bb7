import csv

import polars as pl
import pytest

from dc_keras.errors import DataError
from dc_keras.social.affiliations import count_affiliations
from dc_keras.social.graph_view import bipartite_view
from dc_keras.social.sharing import build_shared_layer

pytest.importorskip("networkx", reason="the extra `social` is not installed")
import networkx as nx

from dc_keras.social.graph_files import write_graph

_DAY = 86_400
_USERS = ("u_a", "u_b", "u_c", "u_d")
_MOMENTS = pl.DataFrame(
    [
        ("u_a", "cats", 0),
        ("u_a", "cats", 2 * _DAY),
        ("u_a", "dogs", None),
        ("u_b", "cats", _DAY),
        ("u_c", "=dogs", _DAY),
        ("stranger", "cats", _DAY),
    ],
    schema={"user_id": pl.String, "thing": pl.String, "time": pl.Int64},
    orient="row",
)


def _has(kind="hashtag"):
    return count_affiliations(kind, _USERS, _MOMENTS)


def test_an_edge_is_a_user_with_a_thing():
    communities = pl.DataFrame({"user_id": _USERS, "community": [0, 0, 1, 2]})
    view = bipartite_view(_has(), communities)
    assert view.edges.rows() == [
        ("u_a", "#cats", 2.0),
        ("u_a", "#dogs", 1.0),
        ("u_b", "#cats", 1.0),
        ("u_c", "#=dogs", 1.0),
    ]
    assert view.users.select("user_id", "node_type", "bipartite", "degree").rows() == [
        ("u_a", "user", 0, 2),
        ("u_b", "user", 0, 1),
        ("u_c", "user", 0, 1),
        ("u_d", "user", 0, 0),
        ("#=dogs", "hashtag", 1, 1),
        ("#cats", "hashtag", 1, 2),
        ("#dogs", "hashtag", 1, 1),
    ]
    assert view.users["community"].to_list() == [0, 0, 1, 2, None, None, None]


def test_excluded_things_are_no_nodes():
    view = bipartite_view(_has().without_rare(2))
    assert view.edges["target"].to_list() == ["#cats", "#cats"]
    assert view.users["node_type"].to_list() == ["user"] * 4 + ["hashtag"]


def test_other_tools_see_two_kinds_of_nodes(tmp_path):
    view = bipartite_view(_has())
    paths = write_graph(view, tmp_path, "tags", ["gexf", "graphml", "csv"])
    for path, read in zip(paths, (nx.read_gexf, nx.read_graphml), strict=False):
        graph = read(path)
        assert nx.is_bipartite(graph)
        users = {n for n, known in graph.nodes(data=True) if known["bipartite"] == 0}
        assert users == set(_USERS)
        assert graph.nodes["#cats"]["node_type"] == "hashtag"
        # Who shares a thing is connected by it: the layer is the projection.
        projected = nx.bipartite.projected_graph(graph, sorted(users))
        assert set(projected.edges) == {("u_a", "u_b")}
        assert graph.edges["u_a", "#cats"]["weight"] == 2.0
    assert build_shared_layer(_has(), "count").num_edges == 1
    with paths[-1].open(encoding="utf-8", newline="") as file:
        edges = list(csv.DictReader(file))
    assert [edge["Target"] for edge in edges] == ["#cats", "#dogs", "#cats", "#=dogs"]


def test_other_kinds_have_a_prefix():
    view = bipartite_view(_has("effect"))
    assert view.edges["target"][0] == "effect: cats"
    with pytest.raises(DataError, match=r"different names. Received: #cats"):
        bipartite_view(count_affiliations("hashtag", ["#cats"], _posted()))


def _posted():
    return pl.DataFrame({"user_id": ["#cats"], "thing": ["cats"], "time": [0]})
