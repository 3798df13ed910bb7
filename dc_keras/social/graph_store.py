"""Saves and reads a graph.

    GRAPH/graph.json              the plan, counts and provenance
    GRAPH/users.parquet           user_id, one row per user
    GRAPH/layers/NAME.npz         weights, CSR
    GRAPH/spells.parquet          layer, source, target, start, end; optional
    GRAPH/SHA256SUMS              checksums of these files

No pickle is read or written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from scipy import sparse

from dc_keras.corpus.store import write_table, write_text
from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, SocialGraph
from tfrecords.storage.atomic_update import AtomicUpdate, finish_update
from tfrecords.storage.integrity import verify_directory
from tfrecords.storage.read_errors import reading

INFO_FILE = "graph.json"
USERS_FILE = "users.parquet"
SPELLS_FILE = "spells.parquet"
_LAYERS = "layers"


def save_graph(directory: Path, graph: SocialGraph, info: Mapping[str, Any]) -> None:
    """Writes a graph atomically."""
    with AtomicUpdate(directory) as files:
        for old in (directory / SPELLS_FILE, *directory.glob(f"{_LAYERS}/*.npz")):
            files.remove(str(old.relative_to(directory)))
        _write_graph(files, graph, info)
        files.commit()


def _write_graph(
    files: AtomicUpdate, graph: SocialGraph, info: Mapping[str, Any]
) -> None:
    users = pl.Series("user_id", graph.users, dtype=pl.String)
    write_table(files.path(USERS_FILE), pl.DataFrame([users]))
    if graph.spells is not None:
        write_table(files.path(SPELLS_FILE), graph.spells)
    layers = []
    for layer in graph.layers:
        path = files.path(f"{_LAYERS}/{layer.name}.npz")
        sparse.save_npz(path, layer.weights, compressed=False)
        layers.append(
            {
                "name": layer.name,
                "is_directed": layer.is_directed,
                "num_ties": layer.num_edges,
            }
        )
    content = {**info, "num_users": len(graph.users), "layers": layers}
    write_text(files.path(INFO_FILE), json.dumps(content, indent=2) + "\n")


def read_graph(directory: Path) -> tuple[SocialGraph, dict[str, Any]]:
    """Reads a graph and its graph.json.

    Raises:
        DataError: the directory contains no complete graph, or a file is damaged.
    """
    finish_update(directory)
    if not (directory / INFO_FILE).exists():
        raise DataError(
            f"{directory} must be a graph of build_graph. Received: no {INFO_FILE}"
        )
    verify_directory(directory, "build_graph")
    with reading(directory, "a graph of build_graph"):
        info = json.loads((directory / INFO_FILE).read_text(encoding="utf-8"))
        users = tuple(pl.read_parquet(directory / USERS_FILE)["user_id"])
        layers = tuple(
            Layer(
                layer["name"],
                _read_weights(directory / _LAYERS / f"{layer['name']}.npz"),
                layer["is_directed"],
            )
            for layer in info["layers"]
        )
        spells = None
        if (directory / SPELLS_FILE).exists():
            spells = pl.read_parquet(directory / SPELLS_FILE)
        graph = SocialGraph(users, layers, spells)
    return graph, info


def _read_weights(path: Path) -> sparse.csr_array:
    # NumPy leaves a damaged file open that it opened itself.
    with path.open("rb") as file:
        return sparse.load_npz(file)
