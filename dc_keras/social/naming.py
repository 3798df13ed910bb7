"""What sets a community apart: its tags and sounds, and its most central users.

The log-odds ratio with an informative Dirichlet prior of Monroe, Colaresi and Quinn,
"Fightin' Words" (2008), equations 16, 20 and 22.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer

NUM_THINGS = 5
NUM_CENTRAL = 5
# Below this a thing may be there by chance (two-sided, 5 %).
MIN_Z = 1.96


@dataclass(frozen=True)
class Trait:
    """A thing that a community has more than others.

    Attributes:
        name: of the tag or sound.
        z: log-odds against all others, in standard deviations, above 0.
        num_users: users of the community who have it.
    """

    name: str
    z: float
    num_users: int


@dataclass(frozen=True)
class CommunityProfile:
    """A community in words.

    Attributes:
        community: its number.
        traits: what sets it apart, the surest first; may be empty.
        central: rows of its users with the strongest edges inside it, strongest first.
    """

    community: int
    traits: tuple[Trait, ...]
    central: tuple[int, ...]

    @property
    def name(self) -> str:
        """Up to three traits, or its number where nothing sets it apart."""
        words = " · ".join(trait.name for trait in self.traits[:3])
        return words or f"community {self.community}"


def describe_communities(
    layer: Layer,
    membership: np.ndarray,
    incidence: sparse.csr_array,
    names: Sequence[str],
    *,
    prior: float = 0.1,
) -> list[CommunityProfile]:
    """Returns a profile of each community, in their order.

    Args:
        layer: the edges, for who is central.
        membership: int64 (num_users,), communities from 0 without gaps.
        incidence: (num_users, num_things): above 0 where a user has a thing. How often
            does not count: one busy user names nobody.
        names: of the things, `num_things` of them.
        prior: weight of what all users have, as a share of its own counts, above 0.

    Raises:
        DataError: shapes that differ, or a prior that is none.
    """
    if incidence.shape != (len(membership), len(names)) or prior <= 0:
        raise DataError(
            "things must have a row a user and a name a column, and a prior above 0. "
            f"Received: things={incidence.shape}, users={len(membership)}, "
            f"names={len(names)}, prior={prior}"
        )
    if not len(membership):
        return []
    members = membership_matrix(membership)
    counts = sparse.csr_array(members @ (incidence > 0).astype(np.float64))
    counts.sort_indices()  # now: a sum would do it behind the back of `tocoo`
    scores = _z_scores(counts, prior)
    strength = inner_strength(layer, membership)
    central = _first_of_each(membership, strength, NUM_CENTRAL)
    return [
        CommunityProfile(community, _traits(counts, scores, community, names), rows)
        for community, rows in enumerate(central)
    ]


def membership_matrix(membership: np.ndarray) -> sparse.csr_array:
    """Returns float64 (num_communities, num_users), CSR: 1 where a user belongs."""
    users = np.arange(len(membership))
    shape = (int(membership.max(initial=-1)) + 1, len(membership))
    return sparse.csr_array((np.ones(len(users)), (membership, users)), shape=shape)


def inner_strength(layer: Layer, membership: np.ndarray) -> np.ndarray:
    """Returns float64 (num_users,): weight of each user's edges inside their community.

    Edges with direction count for both ends.
    """
    edges = layer.weights.tocoo()
    inside = membership[edges.row] == membership[edges.col]
    num_users = len(membership)
    strength = np.bincount(edges.row[inside], edges.data[inside], num_users)
    if layer.is_directed:
        strength += np.bincount(edges.col[inside], edges.data[inside], num_users)
    return strength


def _z_scores(counts: sparse.csr_array, prior: float) -> np.ndarray:
    """Returns a z-score for each stored count, each community against all others."""
    edges = counts.tocoo()
    here, total = edges.data, counts.sum()
    of_thing, of_community = (
        counts.sum(axis=0)[edges.col],
        counts.sum(axis=1)[edges.row],
    )
    added = prior * of_thing
    elsewhere = of_thing - here
    # With everything in one community or one thing there is nothing to compare with.
    rest_here = np.maximum(of_community + prior * total - here - added, 1e-9)
    rest_elsewhere = np.maximum(
        total - of_community + prior * total - elsewhere - added, 1e-9
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
) -> tuple[Trait, ...]:
    span = slice(counts.indptr[community], counts.indptr[community + 1])
    found = [
        Trait(names[thing], float(z), int(count))
        for thing, z, count in zip(
            counts.indices[span], scores[span], counts.data[span], strict=True
        )
        # A thing of one user says nothing of a community.
        if z >= MIN_Z and count > 1
    ]
    found.sort(key=lambda trait: (-round(trait.z, 9), trait.name))
    return tuple(found[:NUM_THINGS])


def _first_of_each(
    membership: np.ndarray, strength: np.ndarray, count: int
) -> list[tuple[int, ...]]:
    """Returns the rows with the most strength in each community, the lowest first."""
    order = np.lexsort((np.arange(len(membership)), -strength, membership))
    bounds = np.cumsum(np.bincount(membership[order]))[:-1]
    return [tuple(rows[:count].tolist()) for rows in np.split(order, bounds)]
