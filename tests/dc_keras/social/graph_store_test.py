import json

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, SocialGraph, to_canonical
from dc_keras.social.graph_store import read_graph, save_graph
from dc_keras.social.spells import SCHEMA

_WEIGHTS = to_canonical(
    sparse.csr_array(np.array([[0, 2.5, 1], [2.5, 0, 0], [1, 0, 0]]))
)
_SHARED = Layer("co-hashtag", _WEIGHTS)
_MENTION = Layer(
    "mention",
    to_canonical(sparse.csr_array(([1.0], ([0], [2])), (3, 3))),
    is_directed=True,
)
_GRAPH = SocialGraph(("a", "b", "c"), (_SHARED, _MENTION))


def test_a_graph_reads_back_as_it_was_written(tmp_path):
    save_graph(tmp_path / "graph", _GRAPH, {"plan": {"top_k": 20}})
    graph, info = read_graph(tmp_path / "graph")
    assert graph.users == _GRAPH.users
    assert info["plan"] == {"top_k": 20}
    for layer, before in zip(graph.layers, _GRAPH.layers, strict=True):
        assert (layer.name, layer.is_directed) == (before.name, before.is_directed)
        assert (layer.weights != before.weights).nnz == 0
    assert not list(tmp_path.rglob("*.tmp"))


def test_spells_read_back(tmp_path):
    spells = pl.DataFrame([("co-hashtag", "a", "b", 0, 5)], schema=SCHEMA, orient="row")
    save_graph(tmp_path, SocialGraph(("a", "b", "c"), (_SHARED,), spells), {})
    graph, _ = read_graph(tmp_path)
    assert graph.spells.equals(spells)
    save_graph(tmp_path, graph.part(["a", "c"]), {})
    part, _ = read_graph(tmp_path)
    assert part.spells.height == 0
    save_graph(tmp_path, _GRAPH, {})
    assert read_graph(tmp_path)[0].spells is None


def test_a_graph_replaces_the_one_before(tmp_path):
    save_graph(tmp_path, _GRAPH, {})
    save_graph(tmp_path, SocialGraph(("a", "b", "c"), (_MENTION,)), {})
    assert [path.name for path in (tmp_path / "layers").iterdir()] == ["mention.npz"]
    assert len(read_graph(tmp_path)[0].layers) == 1


def test_an_incomplete_graph_is_refused(tmp_path):
    with pytest.raises(DataError, match="must be a graph of build_graph"):
        read_graph(tmp_path)
    save_graph(tmp_path, _GRAPH, {})
    info = json.loads((tmp_path / "graph.json").read_text())
    (tmp_path / "layers" / "mention.npz").write_bytes(b"half")
    with pytest.raises(DataError, match=r"mention.npz: damaged: .*build_graph"):
        read_graph(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match="must be a graph of build_graph"):
        read_graph(tmp_path)
    assert info["num_users"] == 3
