import json
import re

import networkx as nx
import numpy as np
import pytest
from scipy import sparse

from dc_keras.social.graph import Layer, SocialGraph, to_canonical

pytest.importorskip("igraph", reason="the extra `social` is not installed")
pytest.importorskip("plotly", reason="the extra `report` is not installed")
from dc_keras.reporting.graph_page import render_graph_page
from dc_keras.social.survey import survey

_SIZES = [20, 14, 10, 6]
_HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def found():
    """A survey of four groups with a tag each, one of them hostile, and one user."""
    drawn = nx.random_partition_graph(_SIZES, 0.6, 0.02, seed=1)
    drawn.add_node(sum(_SIZES))
    layer = Layer(
        "co-hashtag", to_canonical(nx.to_scipy_sparse_array(drawn, dtype=float))
    )
    groups = np.repeat(np.arange(4), _SIZES)
    has = np.zeros((len(groups) + 1, 4))
    has[np.arange(len(groups)), groups] = 1
    users = tuple(f"u_{row:02d}" for row in range(len(has)))
    return survey(
        SocialGraph(users, (layer,)),
        layer,
        sparse.csr_array(has),
        (f"\x1b[2J\u202e{_HOSTILE}", "#books", "#dance", "#food"),
        num_runs=3,
    )


@pytest.fixture(scope="module")
def page(found):
    return render_graph_page(found, "drawn <b>", is_synthetic=True)


def _without_plotly(page):
    return re.sub(r"<script>/\*\*.*?</script>", "", page, count=1, flags=re.S)


def _figure(page):
    [text] = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page)
    return json.loads(text)


def test_the_page_shows_the_survey(page, found):
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>drawn &lt;b&gt;</title>" in page
    for name in ("#books", "#dance", "#food"):
        assert page.count(f'<th scope="row">{name}</th>') == 2
    assert f"modularity {found.communities.modularity:.3f}" in page
    assert f">{found.isolation.overall:.3f}</td>" in page
    assert "1 users without a community" in page
    assert '<span class="badge">synthetic</span>' in page
    strongest = found.measures.sort("strength", descending=True)["user_id"][0]
    assert f'<th scope="row">{strongest}</th>' in page


def test_names_from_the_data_are_harmless(page):
    text = _without_plotly(page)
    assert len(page) - len(text) > 1_000_000
    assert _HOSTILE not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not {"\x1b", "\u202e"} & set(text)
    assert r"\u001b[2J\u202e&lt;script" in text
    hover = " ".join(_figure(page)["data"][1]["text"])
    assert not {"\x1b", "\u202e"} & set(hover)
    assert "<script" not in hover
    assert "&lt;script&gt;" in hover


def test_every_connected_user_is_a_dot(page):
    ties, *groups = _figure(page)["data"]
    assert [len(group["x"]) for group in groups] == _SIZES
    assert ties["mode"] == "lines"
    assert ties["x"].count(None) * 3 == len(ties["x"])


def test_a_legend_has_the_full_names(page, found):
    [legend] = re.findall(r'<ul class="legend".*?</ul>', page, re.S)
    assert legend.count("<li>") == found.table().height
    assert r"[2J\u202e&lt;script&gt;alert(1)&lt;/script&gt;</button>" in legend
    assert "showlegend" in _figure(page)["layout"]


def test_many_users_are_shown_as_communities(found):
    _ties, *groups = _figure(render_graph_page(found, "drawn", most_users=10))["data"]
    assert [len(group["x"]) for group in groups] == [1, 1, 1, 1]
    assert "20 users" in groups[0]["text"][0]


def test_probabilities_colour_the_plot_and_are_shown(found):
    known = np.full(len(found.graph.users), np.nan)
    known[:20] = 0.125
    known[0] = 0.25
    page = render_graph_page(found, "drawn", probabilities=known)
    assert 'class="badge"' not in page
    assert 'class="legend"' not in page
    assert "darker users are more likely to join" in page
    groups = _figure(page)["data"][1:]
    hover = [text for group in groups for text in group["text"]]
    assert sum("joins with probability 0.125" in text for text in hover) == 19
    assert sum("joins with probability" in text for text in hover) == 20
    [largest] = [g for g in groups if "0.250" in " ".join(g["text"])]
    assert len(set(largest["marker"]["color"])) >= 2

    page = render_graph_page(found, "drawn", most_users=10, probabilities=known)
    hover = [text for group in _figure(page)["data"][1:] for text in group["text"]]
    assert any("joins with probability 0.1" in text for text in hover)


def test_equal_surveys_give_equal_pages(page, found):
    assert render_graph_page(found, "drawn <b>", is_synthetic=True) == page


def test_the_page_can_be_read_on_a_phone_and_on_a_desk(check_page, page):
    shown = check_page(page)
    assert shown.locator(".plot path.point").count() == sum(_SIZES)
