"""Writes graphs as GEXF 1.3, GraphML, CSV and JSON (extra `social`).

Names come from the data and may contain any character. Characters that XML 1.0 does not
allow are replaced, and formulas in tables are escaped.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from dc_keras.corpus.store import write_text
from dc_keras.errors import DataError
from dc_keras.escaping import escape_formulas, format_csv
from dc_keras.social.graph_view import GraphView
from dc_keras.version import __version__

try:
    import networkx as nx
    from networkx.readwrite.gexf import GEXFWriter
except ImportError as error:
    raise DataError(
        "graph files need networkx: pip install 'dc_keras[social]'"
    ) from error

# Characters that XML 1.0 does not allow.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Names with a special meaning in networkx.
_RESERVED = {"id", "label", "viz", "start", "end"} | {"pid", "parents"}
_RESERVED |= {"spells", "slices"}


def write_graph(
    view: GraphView, directory: Path, stem: str, formats: Iterable[str]
) -> list[Path]:
    """Writes a graph in several formats; each file is written atomically.

    Args:
        view: the graph.
        directory: the output directory; it is created if necessary.
        stem: stem of the file names: `stem.gexf`, `stem_nodes.csv` and so on.
        formats: names of `FORMATS`.

    Returns:
        The files, in the order of the formats.

    Raises:
        DataError: ids differ only in characters that cannot be written.
    """
    view = _cleaned(view)
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name in formats:
        for ending, text in FORMATS[name](view):
            written.append(directory / f"{stem}{ending}")
            write_text(written[-1], text)
    return written


def _cleaned(view: GraphView) -> GraphView:
    """Replaces characters that XML 1.0 does not allow, in values and column names."""
    users, edges = _clean_table(view.users), _clean_table(view.edges)
    if users["user_id"].n_unique() < view.users["user_id"].n_unique():
        raise DataError(
            "ids of users must differ in more than control characters. Received: "
            f"users={view.users.height}, differing={users['user_id'].n_unique()}"
        )
    spells = None if view.spells is None else _clean_table(view.spells)
    return replace(view, users=users, edges=edges, spells=spells)


def _clean_table(table: pl.DataFrame) -> pl.DataFrame:
    table = table.rename(clean_text)
    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    return table.with_columns(
        pl.col(name).map_elements(clean_text, return_dtype=pl.String) for name in texts
    )


def clean_text(text: str) -> str:
    """Returns the text with disallowed characters of XML 1.0 replaced by U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)


def _gexf(view: GraphView) -> Iterator[tuple[str, str]]:
    graph = _networkx(view)
    for _, node in graph.nodes(data=True):
        if shape := _shape_for_gephi(node):
            node["viz"] = shape
    spells = _spells(view)
    for source, target, edge in graph.edges(data=True):
        if (source, target) in spells:
            edge["spells"] = spells[source, target]
    writer = GEXFWriter(graph, version="1.3")
    # networkx writes the current day, but equal graphs must give equal files.
    meta = writer.xml.find("meta")
    meta.attrib.clear()
    meta.find("creator").text = f"dc_keras {__version__}"
    yield ".gexf", "<?xml version='1.0' encoding='utf-8'?>\n" + str(writer) + "\n"


def _spells(view: GraphView) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Returns the first and last days of the spells of each edge."""
    spells: dict[tuple[str, str], list[tuple[str, str]]] = {}
    if view.spells is not None:
        for row in view.spells.sort("start").iter_rows(named=True):
            days = (_day(row["start"]), _day(row["end"] - 1))
            for edge in {
                (row["source"], row["target"]),
                *([] if view.is_directed else [(row["target"], row["source"])]),
            }:
                spells.setdefault(edge, []).append(days)
    return spells


def _day(second: int) -> str:
    # Days, because networkx cannot read a finer resolution.
    return datetime.fromtimestamp(second, UTC).date().isoformat()


def _shape_for_gephi(node: dict[str, Any]) -> dict[str, Any]:
    """Moves position, colour and size out of the attributes of a node."""
    shape: dict[str, Any] = {}
    if "x" in node:
        shape["position"] = {"x": node.pop("x"), "y": node.pop("y"), "z": 0.0}
    if "color" in node:
        colour = node.pop("color")
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        shape["color"] = {"r": red, "g": green, "b": blue, "a": 1.0}
    if "size" in node:
        shape["size"] = node.pop("size")
    return shape


def _graphml(view: GraphView) -> Iterator[tuple[str, str]]:
    yield ".graphml", "\n".join(nx.generate_graphml(_networkx(view))) + "\n"


def _csv(view: GraphView) -> Iterator[tuple[str, str]]:
    """Yields two tables with the headers of Gephi's import."""
    users = view.users.rename({"user_id": "Id"})
    kind = "Directed" if view.is_directed else "Undirected"
    edges = view.edges.rename(
        {"source": "Source", "target": "Target", "weight": "Weight"}
    ).with_columns(pl.lit(kind).alias("Type"))
    for ending, table in (("_nodes.csv", users), ("_edges.csv", edges)):
        yield ending, format_csv(escape_formulas(table))


def _json(view: GraphView) -> Iterator[tuple[str, str]]:
    """Yields nodes and links in the form of D3 and `networkx.node_link_graph`."""
    nodes = [
        {"id": row.pop("user_id"), **_known(row), **shape}
        for row, shape in zip(view.users.to_dicts(), _shapes(view), strict=True)
    ]
    content = {
        "directed": view.is_directed,
        "multigraph": False,
        "graph": {},
        "nodes": nodes,
        "links": [_known(row) for row in view.edges.to_dicts()],
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    yield ".json", text + "\n"


def _networkx(view: GraphView) -> Any:
    graph = nx.DiGraph() if view.is_directed else nx.Graph()
    for row, drawn in zip(view.users.to_dicts(), _shapes(view), strict=True):
        user = row.pop("user_id")
        graph.add_node(user, label=user, **_attributes(row), **drawn)
    for row in view.edges.to_dicts():
        graph.add_edge(row.pop("source"), row.pop("target"), **_known(row))
    return graph


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{k}_" if k in _RESERVED else k: v for k, v in _known(row).items()}


def _shapes(view: GraphView) -> list[dict[str, Any]]:
    """Returns position, colour and size of each user, as far as they are known."""
    columns: dict[str, list[Any]] = {}
    if view.positions is not None:
        columns["x"], columns["y"] = view.positions.T.tolist()
    if view.colours is not None:
        columns["color"] = view.colours
    if view.sizes is not None:
        columns["size"] = view.sizes.tolist()
    return [
        {n: column[row] for n, column in columns.items()}
        for row in range(view.users.height)
    ]


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries that are neither null nor NaN, which few formats support."""
    return {
        key: value
        for key, value in row.items()
        if value is not None and not (isinstance(value, float) and math.isnan(value))
    }


FORMATS: dict[str, Callable[[GraphView], Iterator[tuple[str, str]]]] = {
    "gexf": _gexf,
    "graphml": _graphml,
    "csv": _csv,
    "json": _json,
}
