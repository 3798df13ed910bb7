"""The page of a social graph: users, communities and their isolation."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from dc_keras.evaluation.result_tables import Cell, Table
from dc_keras.reporting.graph_figures import MOST_USERS, graph_figure
from dc_keras.reporting.templating import Plot, render_template
from dc_keras.social.survey import Survey

_MOST_ROWS = 30
_NUM_CENTRAL = 20


def render_graph_page(
    survey: Survey,
    title: str,
    probabilities: np.ndarray | None = None,
    *,
    is_synthetic: bool = False,
    most_users: int = MOST_USERS,
) -> str:
    """Returns the self-contained page as HTML.

    Args:
        survey: survey of the graph.
        title: title of the page.
        probabilities: probability of each user for the colours of the plot, NaN if
            unknown, float64 (num_users,).
        is_synthetic: whether the data are simulated.
        most_users: maximum number of users that are plotted individually.
    """
    figure = graph_figure(survey, most_users, probabilities)
    colours = "colours are communities"
    if probabilities is not None:
        colours = "darker users are more likely to join, grey is unknown"
    return render_template(
        "graph.html.jinja",
        title=title,
        is_synthetic=is_synthetic,
        plot=Plot.of(
            "Users and communities",
            f"A dot is a user, or a community in a large graph; {colours}. Drag a box "
            "to zoom, double-click to reset the zoom, hover over a dot for its name.",
            figure,
            is_wide=True,
        ),
        layers=_layer_table(survey),
        communities=_community_table(survey),
        isolation=_isolation_table(survey),
        central=_user_table(survey),
    )


def _layer_table(survey: Survey) -> Table:
    layers = [*survey.graph.layers]
    if survey.layer.name not in [layer.name for layer in layers]:
        layers.append(survey.layer)
    rows: list[tuple[Cell, ...]] = []
    for layer in layers:
        degrees = layer.undirected().weights.indptr
        num_connected = int((degrees[1:] > degrees[:-1]).sum())
        rows.append(
            (
                layer.name,
                "directed" if layer.is_directed else "undirected",
                f"{layer.num_edges:,}",
                f"{num_connected:,}",
            )
        )
    return Table(
        f"Ties of {len(survey.graph.users):,} users",
        ("layer", "direction", "ties", "users with a tie"),
        tuple(rows),
        (f"The rest of the page describes the layer “{survey.layer.name}”.",),
    )


def _community_table(survey: Survey) -> Table:
    table = survey.table()
    communities, stability = survey.communities, survey.stability
    rows = tuple(
        (row["name"], f"{row['community']}", f"{row['users']:,}", row["central"][0])
        for row in table.head(_MOST_ROWS).iter_rows(named=True)
    )
    return Table(
        f"The {len(rows)} largest communities",
        ("distinctive", "no.", "users", "most central user"),
        rows,
        (
            f"{table.height:,} communities of at least two users; "
            f"{communities.num_alone:,} users without a community.",
            f"Leiden algorithm; modularity {communities.modularity:.3f}. The partitions"
            f" of {stability.num_runs} seeds have a mean adjusted Rand index of "
            f"{stability.ari:.3f} (1: equal, 0: chance) and a mean normalised mutual "
            f"information of {stability.nmi:.3f}.",
            "distinctive: hashtags and sounds that are more frequent in the community "
            "than in others (log-odds with a Dirichlet prior, z of at least 1.96).",
        ),
    )


def _isolation_table(survey: Survey) -> Table:
    rows = tuple(_isolation_rows(survey))
    return Table(
        "Isolation of communities",
        ("distinctive", "no.", "E–I index", "by chance", "below chance by"),
        rows,
        (
            "E–I index: (external − internal) / (external + internal) weight of ties; "
            "−1: only internal ties, 1: only external ties. By chance: the expected "
            "index of random ties, which is lower for large communities.",
            "Assortativity of the communities: "
            f"{_number(survey.isolation.assortativity)} (1: no ties between "
            "communities, 0: chance).",
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
        ("user", "community", "degree", "strength", "betweenness", "core"),
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
            "degree: number of neighbours. strength: weight of all ties. betweenness: "
            "number of shortest paths between other users through the user"
            f"{'' if is_exact else ', estimated from a sample'}. core: core number.",
        ),
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _number(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.3f}"
