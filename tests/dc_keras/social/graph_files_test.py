import csv
import json
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from drawn_graphs import layer_of

from dc_keras.errors import DataError
from dc_keras.social.graph import SocialGraph
from dc_keras.social.graph_view import (
    OTHER,
    PALETTE,
    GraphView,
    community_colours,
    edge_table,
)

pytest.importorskip("networkx", reason="the extra `social` is not installed")
import networkx as nx

from dc_keras.escaping import escape_controls
from dc_keras.social.graph_files import FORMATS, clean_text, write_graph

_HOSTILE = 'a"<b>&\n\'"\u0000\u0008\ufffe=cmd|calc'
_SHARED = layer_of([(0, 1, 2.0), (1, 2, 0.5)], 3, name="co-hashtag")
_MENTION = layer_of([(2, 1, 1.0)], 3, is_directed=True, name="mention")
_GRAPH = SocialGraph(("u_a", "u_b", "u_c"), (_SHARED, _MENTION))
_DAY = 86_400


def _view(**changes):
    values = {
        "users": pl.DataFrame(
            {
                "user_id": _GRAPH.users,
                "community": [0, 0, 1],
                "name": ["=1+1", _HOSTILE, None],
                "score": [0.5, float("nan"), 1.0],
            }
        ),
        "edges": edge_table(_GRAPH, _GRAPH.combined()),
        "positions": np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
        "colours": community_colours(np.array([0, 0, 1])),
        "sizes": np.array([1.0, 2.0, 3.0]),
    }
    return GraphView(**(values | changes))


@pytest.fixture
def written(tmp_path):
    paths = write_graph(_view(), tmp_path / "new", "graph", FORMATS)
    return {path.name: path for path in paths}


def test_edges_have_the_weight_of_each_layer():
    table = edge_table(_GRAPH, _GRAPH.combined())
    assert table.to_dicts() == [
        {
            "source": "u_a",
            "target": "u_b",
            "weight": 2.0,
            "co-hashtag": 2.0,
            "mention": None,
        },
        {
            "source": "u_b",
            "target": "u_c",
            "weight": 1.5,
            "co-hashtag": 0.5,
            "mention": 1.0,
        },
    ]
    [mention] = edge_table(_GRAPH, _MENTION).to_dicts()
    assert (mention["source"], mention["target"]) == ("u_c", "u_b")


def test_every_format_has_its_files(written):
    assert set(written) == {
        "graph.gexf",
        "graph.graphml",
        "graph_nodes.csv",
        "graph_edges.csv",
        "graph.json",
    }
    assert {p.name for p in written["graph.gexf"].parent.iterdir()} == set(written)


@pytest.mark.parametrize("name", ["graph.gexf", "graph.graphml", "graph.json"])
def test_networkx_reads_it_back(written, name):
    if name.endswith("json"):
        content = json.loads(written[name].read_text("utf-8"))
        graph = nx.node_link_graph(content, edges="links")
    else:
        read = nx.read_gexf if name.endswith("gexf") else nx.read_graphml
        graph = read(written[name])
    assert list(graph.nodes) == ["u_a", "u_b", "u_c"]
    assert not graph.is_directed()
    assert graph.edges["u_b", "u_c"]["weight"] == 1.5
    assert graph.edges["u_b", "u_c"]["mention"] == 1.0
    assert graph.nodes["u_c"]["community"] == 1
    assert graph.nodes["u_a"]["score"] == 0.5
    assert "score" not in graph.nodes["u_b"]
    assert graph.nodes["u_a"]["name"] == "=1+1"
    # XML reads a carriage return or a tab of an attribute as a space.
    assert graph.nodes["u_b"]["name"].split() == clean_text(_HOSTILE).split()


def test_gexf_is_of_version_1_3_with_shapes(written):
    root = ElementTree.parse(written["graph.gexf"]).getroot()
    assert root.tag == "{http://gexf.net/1.3}gexf"
    assert root.attrib["version"] == "1.3"
    spaces = {"g": "http://gexf.net/1.3", "viz": "http://gexf.net/1.3/viz"}
    graph = root.find("g:graph", spaces)
    assert graph.attrib["defaultedgetype"] == "undirected"
    node = graph.find(".//g:node", spaces)
    assert node.find("viz:position", spaces).attrib["y"] == "1.0"
    assert node.find("viz:color", spaces).attrib["b"] == str(int(PALETTE[0][5:], 16))
    assert node.find("viz:size", spaces).attrib["value"] == "1.0"


def test_spells_read_back(tmp_path):
    spells = pl.DataFrame(
        {
            "source": ["u_b", "u_b", "u_a"],
            "target": ["u_c", "u_c", "u_x"],
            "start": [5 * _DAY, 0, 0],
            "end": [6 * _DAY, 2 * _DAY, _DAY],
        }
    )
    [path] = write_graph(_view(spells=spells), tmp_path, "graph", ["gexf"])
    graph = nx.read_gexf(path)
    assert graph.graph["mode"] == "dynamic"
    assert graph.edges["u_b", "u_c"]["spells"] == [
        ("1970-01-01", "1970-01-02"),
        ("1970-01-06", "1970-01-06"),
    ]
    assert "spells" not in graph.edges["u_a", "u_b"]
    spaces = {"g": "http://gexf.net/1.3"}
    found = ElementTree.parse(path).findall(".//g:edge/g:spells/g:spell", spaces)
    assert [spell.attrib["start"] for spell in found] == ["1970-01-01", "1970-01-06"]


def test_csv_has_the_headers_of_gephi_and_no_formulas(written):
    with written["graph_nodes.csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["Id"] for row in rows] == ["u_a", "u_b", "u_c"]
    assert rows[0]["name"] == "'=1+1"
    assert rows[1]["name"] == escape_controls(clean_text(_HOSTILE))
    with written["graph_edges.csv"].open(encoding="utf-8", newline="") as file:
        edges = list(csv.DictReader(file))
    assert {row["Type"] for row in edges} == {"Undirected"}
    assert [(r["Source"], r["Target"], r["Weight"]) for r in edges][1] == (
        "u_b",
        "u_c",
        "1.5",
    )


@pytest.mark.parametrize("start", "=+-@＝")
def test_formulas_are_escaped(tmp_path, start):
    users = pl.DataFrame(
        {"user_id": ["u_a", "u_b", "u_c"], f"{start}x": [f"{start}y"] * 3}
    )
    [nodes, _] = write_graph(_view(users=users), tmp_path, "graph", ["csv"])
    with nodes.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][1] == f"'{start}x"
    assert rows[1][1] == f"'{start}y"


def test_direction_is_kept(tmp_path):
    view = GraphView(_view().users, edge_table(_GRAPH, _MENTION), is_directed=True)
    paths = write_graph(view, tmp_path, "mention", ["gexf", "graphml"])
    for path, read in zip(paths, (nx.read_gexf, nx.read_graphml), strict=True):
        graph = read(path)
        assert graph.is_directed()
        assert list(graph.edges) == [("u_c", "u_b")]


def test_equal_graphs_give_equal_files(written, tmp_path):
    for path in write_graph(_view(), tmp_path / "again", "graph", FORMATS):
        assert path.read_bytes() == written[path.name].read_bytes()
    text = written["graph.gexf"].read_text("utf-8")
    assert "lastmodified" not in text
    assert "NetworkX" not in text


def test_attributes_that_mean_something_to_the_writer_are_renamed(tmp_path):
    users = pl.DataFrame({"user_id": _GRAPH.users, "id": ["x", "x", "x"]})
    [path] = write_graph(_view(users=users), tmp_path, "graph", ["gexf"])
    graph = nx.read_gexf(path)
    assert list(graph.nodes) == list(_GRAPH.users)
    assert graph.nodes["u_a"]["id_"] == "x"


def test_a_failed_write_leaves_no_file(tmp_path):
    users = pl.DataFrame({"user_id": ["u\x00", "u\x01", "v"]})
    with pytest.raises(DataError, match="must differ in more than control characters"):
        write_graph(_view(users=users), tmp_path / "none", "graph", ["gexf"])


def test_smaller_communities_share_a_colour():
    colours = community_colours(np.arange(len(PALETTE) + 2))
    assert colours == [*PALETTE, OTHER, OTHER]


@pytest.mark.parametrize("num_users", [0, 1, 3])
def test_a_graph_without_edges_has_an_empty_table(num_users):
    layers = [layer_of([], num_users, name=name) for name in ("co-sound", "mention")]
    graph = SocialGraph(tuple("abc"[:num_users]), tuple(layers))
    table = edge_table(graph, graph.combined())
    assert table.height == 0
    assert {"weight", "co-sound", "mention"} <= set(table.columns)
