"""Describes communities by their distinctive hashtags and sounds, and central users.

The log-odds ratio with an informative Dirichlet prior of Monroe, Colaresi and Quinn,
"Fightin' Words" (2008), equations 16, 20 and 22.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from dc_keras.social.graph import Layer

_NUM_TRAITS = 3
NUM_CENTRAL = 5
# The z-score of a two-sided test at the level of 5 %.
MIN_Z = 1.96
# Weight of the prior as a share of the total counts.
_PRIOR = 0.1


@dataclass(frozen=True)
class CommunityProfile:
    """The description of a community.

    Attributes:
        name: up to three distinctive things, by descending z-score of the log-odds
            ratio against all other communities; or the number of the community.
        central: rows of the users with the strongest edges inside the community,
            descending.
    """

    name: str
    central: tuple[int, ...]


def describe_communities(
    layer: Layer,
    membership: np.ndarray,
    incidence: sparse.csr_array,
    names: Sequence[str],
) -> list[CommunityProfile]:
    """Returns the profile of each community, in their order.

    Args:
        layer: the edges, for the central users.
        membership: community of each user, numbered from 0 without gaps, int64
            (num_users,).
        incidence: (num_users, num_things): above 0 if a user has a thing. The value is
            ignored, so that one active user has no influence on the names.
        names: names of the things, (num_things,).
    """
    if not len(membership):
        return []
    members = membership_matrix(membership)
    counts = sparse.csr_array(members @ (incidence > 0).astype(np.float64))
    counts.sort_indices()  # a later sum would sort them after `tocoo`
    scores = _z_scores(counts)
    strength = inner_strength(layer, membership)
    central = _first_of_each(membership, strength, NUM_CENTRAL)
    return [
        CommunityProfile(
            " · ".join(_traits(counts, scores, community, names))
            or f"community {community}",
            rows,
        )
        for community, rows in enumerate(central)
    ]


def membership_matrix(membership: np.ndarray) -> sparse.csr_array:
    """Returns the indicator matrix, float64 (num_communities, num_users), CSR."""
    users = np.arange(len(membership))
    shape = (int(membership.max(initial=-1)) + 1, len(membership))
    return sparse.csr_array((np.ones(len(users)), (membership, users)), shape=shape)


def inner_strength(layer: Layer, membership: np.ndarray) -> np.ndarray:
    """Returns the weight of edges inside the own community, float64 (num_users,).

    A directed edge counts for both ends.
    """
    edges = layer.weights.tocoo()
    inside = membership[edges.row] == membership[edges.col]
    num_users = len(membership)
    strength = np.bincount(edges.row[inside], edges.data[inside], num_users)
    if layer.is_directed:
        strength += np.bincount(edges.col[inside], edges.data[inside], num_users)
    return strength


def _z_scores(counts: sparse.csr_array) -> np.ndarray:
    """Returns the z-score of each stored count, each community against all others."""
    edges = counts.tocoo()
    here, total = edges.data, counts.sum()
    of_thing, of_community = (
        counts.sum(axis=0)[edges.col],
        counts.sum(axis=1)[edges.row],
    )
    added = _PRIOR * of_thing
    elsewhere = of_thing - here
    # The limit avoids log(0) if everything is in one community or one thing.
    rest_here = np.maximum(of_community + _PRIOR * total - here - added, 1e-9)
    rest_elsewhere = np.maximum(
        total - of_community + _PRIOR * total - elsewhere - added, 1e-9
    )
    odds = np.log((here + added) / rest_here)
    odds_elsewhere = np.log((elsewhere + added) / rest_elsewhere)
    variance = 1 / (here + added) + 1 / (elsewhere + added)
    scores: np.ndarray = (odds - odds_elsewhere) / np.sqrt(variance)
    return scores


def _traits(
    counts: sparse.csr_array,
    scores: np.ndarray,
    community: int,
    names: Sequence[str],
) -> list[str]:
    """Returns the names of the most distinctive things of a community."""
    span = slice(counts.indptr[community], counts.indptr[community + 1])
    found = [
        (-round(float(z), 9), names[thing])
        for thing, z, count in zip(
            counts.indices[span], scores[span], counts.data[span], strict=True
        )
        # A thing of one user does not describe a community.
        if z >= MIN_Z and count > 1
    ]
    return [name for _, name in sorted(found)[:_NUM_TRAITS]]


def _first_of_each(
    membership: np.ndarray, strength: np.ndarray, count: int
) -> list[tuple[int, ...]]:
    """Returns the rows with the largest strength in each community, descending."""
    order = np.lexsort((np.arange(len(membership)), -strength, membership))
    bounds = np.cumsum(np.bincount(membership[order]))[:-1]
    return [tuple(rows[:count].tolist()) for rows in np.split(order, bounds)]
