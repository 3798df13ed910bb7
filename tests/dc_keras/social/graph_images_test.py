from xml.etree import ElementTree

import numpy as np
import pytest
from drawn_graphs import TWO_GROUPS, layer_of

from dc_keras.social.graph_view import PALETTE

pytest.importorskip("igraph", reason="the extra `social` is not installed")
pytest.importorskip("matplotlib", reason="the extra `social` is not installed")
from dc_keras.social.graph_images import PICTURES, draw_graph, write_pictures

_GROUPS = np.array([0, 0, 0, 0, 1, 1, 1, 2])
_NAMES = ["#dance", "$\\alpha$ <b>\n&", "alone"]


def _draw(**options):
    return draw_graph(TWO_GROUPS, _GROUPS, _NAMES, title="drawn", **options)


def _texts(figure):
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    return [text.get_text() for text in figure.texts], legend


def test_a_picture_says_what_it_shows():
    texts, legend = _texts(_draw())
    assert texts == ["drawn", "7 users, 10 edges; 1 without an edge are not drawn"]
    assert legend == ["#dance (4)", "$\\alpha$ <b> & (3)"]


def test_many_users_are_drawn_as_communities():
    figure = _draw(most_users=5)
    texts, _ = _texts(figure)
    assert texts[1].startswith("the 2 largest communities of 7 users")
    [axes] = figure.axes
    assert [text.get_text() for text in axes.texts] == ["#dance", "$\\alpha$ <b> &"]


def test_smaller_communities_share_a_legend_entry():
    count = 2 * len(PALETTE)
    layer = layer_of([(2 * u, 2 * u + 1, 1.0) for u in range(count)], 2 * count)
    groups = np.repeat(np.arange(count), 2)
    names = [f"name {number}" for number in range(count)]
    _, legend = _texts(draw_graph(layer, groups, names, title="pairs"))
    assert len(legend) == len(PALETTE) + 1
    assert legend[-1] == f"{len(PALETTE)} smaller communities ({2 * len(PALETTE)})"


_TOLD = np.array([0.1, 0.4, 0.2, 0.2, np.nan, 0.0, 0.2, 0.9])


@pytest.mark.parametrize("most_users", [5, 10])
def test_probabilities_colour_in_place_of_communities(most_users):
    figure = _draw(probabilities=_TOLD, most_users=most_users)
    _, legend = _texts(figure)
    # The last user has no edge, and is not drawn.
    assert legend == ["0.400", "0.200", "0.000", "unknown (1)"]
    assert figure.legends[0].get_title().get_text() == "Probability of joining"
    [dots] = [c for c in figure.axes[0].collections if len(c.get_offsets()) > 1]
    shown = {tuple(colour) for colour in dots.get_facecolors().round(3).tolist()}
    plain = _draw(most_users=most_users)
    [dots] = [c for c in plain.axes[0].collections if len(c.get_offsets()) > 1]
    assert not shown & {tuple(c) for c in dots.get_facecolors().round(3).tolist()}


def test_equal_graphs_give_equal_files(tmp_path):
    first = write_pictures(_draw(), tmp_path / "a", "graph", PICTURES)
    second = write_pictures(_draw(), tmp_path / "b", "graph", PICTURES)
    assert [path.name for path in first] == ["graph.png", "graph.svg"]
    assert sorted(tmp_path.joinpath("a").iterdir()) == first
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(first[1]).getroot().tag.endswith("svg")


def test_an_empty_graph_is_drawn(tmp_path):
    empty = draw_graph(layer_of([], 2), np.array([0, 1]), ["a", "b"], title="none")
    [path] = write_pictures(empty, tmp_path, "none", ["svg"])
    assert path.stat().st_size > 100
