"""Converts a layer to a graph of igraph, and seeds igraph (extra `social`)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer

try:
    import igraph
except ImportError as error:
    raise DataError(
        "communities, measures and layouts need igraph: pip install 'dc_keras[social]'"
    ) from error


def to_igraph(layer: Layer) -> Any:
    """Returns an `igraph.Graph` with a vertex per row and the edge attribute `weight`.

    An undirected edge leads from the lower row to the higher one.
    """
    weights = layer.weights if layer.is_directed else sparse.triu(layer.weights, k=1)
    edges = weights.tocoo()
    # Lists of tuples load twice as fast as arrays.
    graph = igraph.Graph(
        n=layer.weights.shape[0],
        edges=list(zip(edges.row.tolist(), edges.col.tolist(), strict=True)),
        directed=layer.is_directed,
    )
    graph.es["weight"] = edges.data.tolist()
    return graph


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Makes igraph use its own random generator with a seed inside the context."""
    igraph.set_random_number_generator(random.Random(seed))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)
