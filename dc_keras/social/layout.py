"""Computes positions of users and communities with a force-directed layout."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from dc_keras.social.graph import Layer, to_canonical
from dc_keras.social.isolation import measure_isolation
from dc_keras.social.to_igraph import seeded, to_igraph

# The factor of the weights of edges inside a community.
_INNER_PULL = 4.0
# Up to this number of users, the layout of Fruchterman and Reingold takes seconds.
_MOST_FORCES = 4_000
_ITERATIONS = 500


def compute_layout(
    layer: Layer, membership: np.ndarray, *, seed: int = 0
) -> np.ndarray:
    """Returns a position for each user, float64 (num_users, 2), in [-1, 1].

    The layout is that of Fruchterman and Reingold (1991), or DrL (Martin et al. 2011)
    for many users. Edges inside communities have larger weights. Users without edges
    are placed on a circle around the others. The result is reproducible for a seed.

    Args:
        layer: weighted edges.
        membership: community of each user, int64 (num_users,).
        seed: seed of the initial positions.
    """
    weights = layer.undirected().weights
    has_edges = np.diff(weights.indptr) > 0
    places = np.zeros((len(membership), 2))
    connected = np.flatnonzero(has_edges)
    if len(connected):
        pulls = _pulls(weights[connected][:, connected], membership[connected])
        places[connected] = _in_square(_forces(pulls, seed)) * (
            1 if has_edges.all() else 0.9
        )
    alone = np.flatnonzero(~has_edges)
    angles = 2 * np.pi * np.arange(len(alone)) / max(len(alone), 1)
    places[alone] = np.column_stack([np.cos(angles), np.sin(angles)])
    # Further digits differ between processors.
    return np.asarray(np.round(places, 6) + 0.0)


def connected_part(layer: Layer) -> tuple[np.ndarray, Layer]:
    """Returns the rows of users with an edge, int64, and the edges between them."""
    weights = layer.undirected().weights
    connected = np.flatnonzero(np.diff(weights.indptr))
    return connected, Layer(layer.name, to_canonical(weights[connected][:, connected]))


def place_communities(
    layer: Layer, membership: np.ndarray, count: int, *, seed: int = 0
) -> tuple[Layer, np.ndarray, np.ndarray]:
    """Returns the graph of the largest communities.

    Args:
        layer: weighted edges between users.
        membership: community of each user, numbered from 0 by descending size, int64
            (num_users,).
        count: number of communities.
        seed: seed of the layout.

    Returns:
        The edges between communities; their positions, float64 (count, 2); and their
        numbers of users, int64 (count,).
    """
    groups = np.where(membership < count, membership, -1)
    between = measure_isolation(layer, groups).between()
    places = compute_layout(between, np.arange(count), seed=seed)
    return between, places, np.bincount(membership, minlength=count)[:count]


def strongest_edges(
    layer: Layer, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns rows, columns and weights of undirected edges, the strongest first."""
    edges = sparse.triu(layer.weights, k=1).tocoo()
    order = np.argsort(-edges.data, kind="stable")[:most]
    return edges.row[order], edges.col[order], edges.data[order]


def _pulls(weights: sparse.csr_array, membership: np.ndarray) -> Layer:
    edges = weights.tocoo()
    # The square root prevents strong edges from making users overlap.
    pull = np.sqrt(edges.data / edges.data.mean())
    pull[membership[edges.row] == membership[edges.col]] *= _INNER_PULL
    matrix = sparse.csr_array((pull, (edges.row, edges.col)), shape=weights.shape)
    return Layer("pulls", to_canonical(matrix))


def _forces(pulls: Layer, seed: int) -> np.ndarray:
    graph = to_igraph(pulls)
    num_users = graph.vcount()
    first = np.random.default_rng(seed).uniform(-1, 1, (num_users, 2)).tolist()
    with seeded(seed):
        if num_users <= _MOST_FORCES:
            layout = graph.layout_fruchterman_reingold(
                weights="weight", niter=_ITERATIONS, seed=first, grid="nogrid"
            )
        else:
            layout = graph.layout_drl(weights="weight", seed=first)
    return np.asarray(layout.coords, np.float64)


def _in_square(places: np.ndarray) -> np.ndarray:
    """Scales positions uniformly to [-1, 1].

    Outliers are moved towards the centre, because the forces push disconnected parts of
    the graph apart without limit.
    """
    centred = places - np.median(places, axis=0)
    radii = np.hypot(*centred.T)
    usual = np.quantile(radii, 0.9) or 1.0
    beyond = np.maximum(radii / usual, 1.0)
    near = centred * ((1 + np.log(beyond)) / beyond)[:, None]
    low, high = near.min(axis=0), near.max(axis=0)
    span = float((high - low).max())
    square: np.ndarray = (near - (low + high) / 2) / (span / 2 if span else 1.0)
    return square
