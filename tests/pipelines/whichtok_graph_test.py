import json

import networkx as nx
import pytest

pytest.importorskip("igraph", reason="the extra `social` is not installed")
pytest.importorskip("plotly", reason="the extra `report` is not installed")

_DANCERS = tuple(f"dancer{n}" for n in range(12))
_READERS = tuple(f"reader{n}" for n in range(10))


@pytest.fixture(scope="module")
def stem(tmp_path_factory):
    """Twelve users who share two tags, ten who share another, and one without tags."""
    users = {
        **{name: {"used_hashtags": ["dance", "fyp", name]} for name in _DANCERS},
        **{name: {"used_hashtags": ["books"], "sugg_sounds": []} for name in _READERS},
        "nobody": {},
    }
    directory = tmp_path_factory.mktemp("stem")
    (directory / "users.json").write_text(json.dumps(users))
    return directory


def test_a_stem_becomes_a_page_and_files(chain, stem):
    found = chain("whichtok_graph", f"--stem={stem}", output="whichtok")
    assert {path.name for path in found.output.iterdir()} == {
        "whichtok.html",
        "whichtok.gexf",
        "whichtok_nodes.csv",
        "whichtok_edges.csv",
    }
    assert "23 users, 111 edges, 2 communities; E–I index -1.000" in found.stdout
    # 12 × 11 / 2 and 10 × 9 / 2 edges.
    graph = nx.read_gexf(found.output / "whichtok.gexf")
    # Overlap 2 of 3 and 3 tags; 1 of 1 and 1.
    assert graph.edges["dancer0", "dancer1"]["weight"] == pytest.approx(2 / 3)
    assert graph.edges["reader0", "reader1"]["weight"] == 1
    communities = {
        frozenset(user for user, row in graph.nodes(data=True) if row["community"] == c)
        for c in (0, 1)
    }
    assert communities == {frozenset(_DANCERS), frozenset(_READERS)}
    assert graph.nodes["dancer0"]["community_name"] == "#dance"
    assert graph.nodes["reader0"]["community_name"] == "#books"


def test_a_criterion_selects_the_edges(chain, stem):
    flags = (f"--stem={stem}", "--criterion=sugg_sounds", "--format=json")
    found = chain("whichtok_graph", *flags, output="whichtok_sounds")
    assert "23 users, 0 edges, 0 communities" in found.stdout
    content = json.loads((found.output / "whichtok.json").read_text())
    assert (len(content["nodes"]), content["links"]) == (23, [])


def test_a_directory_without_users_is_one_line(fails_in_one_line, tmp_path):
    flags = (f"--stem={tmp_path}", f"--output={tmp_path}/graph")
    line = fails_in_one_line("whichtok_graph", *flags)
    assert line.startswith("a stem must have a users.json")
    assert not (tmp_path / "graph").exists()
