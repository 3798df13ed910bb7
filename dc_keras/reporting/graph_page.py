"""The page of a social graph: who shares space, and how far communities are apart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import jinja2
import numpy as np
from plotly.offline import get_plotlyjs

from dc_keras.corpus.store import write_text
from dc_keras.evaluation.result_tables import Cell, Table
from dc_keras.reporting.graph_figures import MOST_USERS, graph_figure
from dc_keras.reporting.page import Plot, page_environment
from dc_keras.social.survey import Survey
from dc_keras.version import __version__

_MOST_ROWS = 30
_NUM_CENTRAL = 20


def write_graph_page(
    survey: Survey,
    output: Path,
    title: str,
    probabilities: np.ndarray | None = None,
) -> None:
    """Writes the page, whole or not at all; it needs no network.

    Args:
        survey: of the graph.
        output: the page, .html; its folder is made if need be.
        title: of the page.
        probabilities: float64 (num_users,), NaN where unknown: colours the plot.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    page = render_graph_page(survey, title, probabilities=probabilities)
    write_text(output, page)


def render_graph_page(
    survey: Survey,
    title: str,
    most_users: int = MOST_USERS,
    probabilities: np.ndarray | None = None,
) -> str:
    """Returns the page as HTML; beyond `most_users` its plot shows communities."""
    environment: jinja2.Environment = page_environment()
    figure = graph_figure(survey, most_users, probabilities)
    colours = "colours are communities"
    if probabilities is not None:
        colours = "the darker, the likelier to join; grey is unknown"
    page = environment.get_template("graph.html.jinja").render(
        title=title,
        # No row is ours in particular.
        ours="\0",
        plot=Plot(
            "Picture",
            f"A dot is a user, or a community where they are too many; {colours}. Drag "
            "a box to come nearer, twice a click to go back; a dot says its name.",
            json.loads(figure.to_json()),
            is_wide=True,
        ),
        layers=_layer_table(survey),
        communities=_community_table(survey),
        isolation=_isolation_table(survey),
        central=_user_table(survey),
        version=__version__,
        plotly_script=get_plotlyjs(),
    )
    return page.lstrip()


def _layer_table(survey: Survey) -> Table:
    layers = [*survey.graph.layers]
    if survey.layer.name not in [layer.name for layer in layers]:
        layers.append(survey.layer)
    rows: list[tuple[Cell, ...]] = []
    for layer in layers:
        degrees = layer.undirected().weights.indptr
        tied = int((degrees[1:] > degrees[:-1]).sum())
        rows.append(
            (
                layer.name,
                "one way" if layer.is_directed else "both ways",
                f"{layer.num_edges:,}",
                f"{tied:,}",
            )
        )
    return Table(
        f"Ties of {len(survey.graph.users):,} users",
        ("layer", "direction", "ties", "users with a tie"),
        tuple(rows),
        (f"Everything below is about the layer “{survey.layer.name}”.",),
    )


def _community_table(survey: Survey) -> Table:
    table = survey.table()
    found, stability = survey.communities, survey.stability
    rows = tuple(
        (row["name"], f"{row['community']}", f"{row['users']:,}", row["central"][0])
        for row in table.head(_MOST_ROWS).iter_rows(named=True)
    )
    return Table(
        f"The {len(rows)} largest communities",
        ("set apart by", "no.", "users", "most central user"),
        rows,
        (
            f"{table.height:,} communities of two users or more; {found.num_alone:,} "
            "users stand alone.",
            f"Leiden's algorithm; modularity {found.modularity:.3f}. Over "
            f"{stability.num_runs} seeds the communities agree with an adjusted Rand "
            f"index of {stability.ari:.3f} (1: always the same, 0: chance) and a "
            f"normalised mutual information of {stability.nmi:.3f}.",
            "set apart by: tags and sounds that its users have more than others do "
            "(log-odds with a Dirichlet prior, z of 1.96 and more).",
        ),
    )


def _isolation_table(survey: Survey) -> Table:
    rows = tuple(_isolation_rows(survey))
    return Table(
        "Isolation of communities",
        ("set apart by", "no.", "E–I index", "by chance", "below chance by"),
        rows,
        (
            "E–I index: weight of ties to others minus weight inside, over both; −1 "
            "keeps to itself, 1 has ties to others alone. By chance: where the same "
            "users tie at random; a large community seems isolated by its size alone.",
            "Assortativity of the communities: "
            f"{_number(survey.isolation.assortativity)} (1: no tie leaves its "
            "community, 0: chance).",
        ),
    )


def _isolation_rows(survey: Survey) -> Iterator[tuple[Cell, ...]]:
    yield ("all ties", None, _known(survey.isolation.overall), None, None)
    for row in survey.table().head(_MOST_ROWS).iter_rows(named=True):
        index, expected = row["ei_index"], row["ei_expected"]
        yield (
            row["name"],
            f"{row['community']}",
            _known(index),
            _known(expected),
            _known(expected - index),
        )


def _user_table(survey: Survey) -> Table:
    users = survey.users().sort(
        ["strength", "user_id"], descending=[True, False], maintain_order=True
    )
    is_exact = bool(users["betweenness_is_exact"].all())
    return Table(
        "The users with the strongest ties",
        ("user", "community", "users tied", "strength", "betweenness", "core"),
        tuple(
            (
                row["user_id"],
                f"{row['community']}",
                f"{row['degree']}",
                row["strength"],
                f"{row['betweenness']:,.0f}",
                f"{row['core']}",
            )
            for row in users.head(_NUM_CENTRAL).iter_rows(named=True)
        ),
        (
            "strength: weight of all ties. betweenness: shortest ways between others "
            f"that lead through the user{'' if is_exact else ', estimated from some'}. "
            "core: the user is among users with so many ties to each other.",
        ),
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _number(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.3f}"
