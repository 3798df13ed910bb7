"""Ties: what the users who share tags and sounds with a user have joined.

Two users are tied by what their histories have in common, weighed as `build_graph`
weighs it. Histories hold no post of a focal challenge, and what carries the tag or the
sound of one is left out here once more: to join makes no tie. Whoever was asked, the
neighbours' joins are those of the pairs that a step is fitted on and of the users who
describe challenges; nobody is tied to themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.signals import rates
from dc_keras.signals.evidence import Evidence

if TYPE_CHECKING:
    from dc_keras.social.graph import Layer

GROUP = "ties"
# How many users the rate of a challenge is worth when the share of a user's neighbours
# is shrunk to it, and how many expected joins when their joins are set against them.
SHARE_PRIOR_USERS = 20.0
PROPENSITY_PRIOR_JOINS = 3.0
# How much of what is known goes on over each tie, and over how many ties at most.
DAMPING = 0.5
_NUM_STEPS = 6
_LEAST = 1e-4


@dataclass(frozen=True, eq=False)
class Ties:
    """Who is tied to whom; a node is a row of the grid, then a user of the pool.

    Attributes:
        weights: float64 (num_users + num_pool, the same), CSR, symmetric, nothing on
            the diagonal; rows of different cutoffs are never tied.
        community: int64 (num_users + num_pool,), of Leiden's algorithm.
    """

    weights: sparse.csr_array
    community: np.ndarray


@dataclass(frozen=True, eq=False)
class Joins:
    """What a step may know of the nodes.

    Attributes:
        known: float64 (num_nodes, num_challenges), 1 where it is known.
        joined: the same shape, 1 where the node joined; 0 where unknown.
    """

    known: np.ndarray
    joined: np.ndarray


def require_extra() -> None:
    """Raises a `DataError` where the extra `social` is missing."""
    try:
        import igraph  # noqa: F401
        import sparse_dot_topn  # noqa: F401
    except ImportError as error:
        raise DataError(
            "`ties` needs the extra `social`: pip install 'dc_keras[social]'. "
            "Received: ties=True"
        ) from error


def tie_users(evidence: Evidence) -> Ties:
    """Ties users by the tags and sounds of their histories; no label is read.

    The strongest ties of each user by the cosine of TF-IDF, and Leiden's communities of
    them; the rules are the defaults of `social.building.GraphPlan`.

    Args:
        evidence: histories of users and of the pool.
    """
    from dc_keras.social.communities import find_communities

    num_nodes = len(evidence.histories) + len(evidence.pool_histories)
    weights = sparse.csr_array((num_nodes, num_nodes))
    community = np.zeros(num_nodes, np.int64)
    for nodes, _ in _times(evidence):
        layer = _layer(evidence, nodes)
        ties = layer.weights.tocoo()
        place = (nodes[ties.row], nodes[ties.col])
        weights = weights + sparse.csr_array((ties.data, place), weights.shape)
        found = find_communities(layer).membership
        community[nodes] = found + community.max() + 1
    return Ties(weights, np.unique(community, return_inverse=True)[1])


def known_joins(evidence: Evidence, train: np.ndarray) -> Joins:
    """Returns what is known of whom, as of the cutoff of each node.

    The labels of training pairs, those of a grid of several cutoffs only for nodes of a
    later one, by which their windows have ended (`corpus.temporal`); who of the pool
    describes a challenge and who does not; and who of the panel described it before the
    cutoff.

    Args:
        evidence: the pairs, the pool, and the support.
        train: positions of the training pairs.
    """
    shape = (len(evidence.person), len(evidence.topic))
    known, joined = evidence.past_joined.copy(), evidence.past_joined.copy()
    size = tuple(int(key.max()) + 1 for key in (evidence.person, evidence.topic))
    for nodes, is_before in _times(evidence):
        rows = nodes[nodes < shape[0]]
        seen = train[is_before[evidence.pairs.user[train]]]
        place = evidence.pair_person[seen], evidence.pair_topic[seen]
        for table, value in ((known, 1.0), (joined, evidence.pairs.label[seen])):
            of_people = np.zeros(size)
            np.maximum.at(of_people, place, value)
            found = of_people[np.ix_(evidence.person[rows], evidence.topic)]
            table[rows] = np.maximum(table[rows], found)
    pool = evidence.pool_joined
    return Joins(
        np.concatenate([known, np.ones_like(pool)]), np.concatenate([joined, pool])
    )


def tied_joins(
    evidence: Evidence, train: np.ndarray, ties: Ties
) -> dict[str, np.ndarray]:
    """Returns what each user's neighbours and community have joined.

    With J known joins, K known pairs, r the rate of a challenge (`rates.popularity`),
    and sums over the neighbours of a user: `joined` is log(1 + ΣJ); `share` the
    log-odds of (ΣJ + k·r) / (ΣK + k), k = `SHARE_PRIOR_USERS`; `weighted_share` the
    same, each neighbour by their weight over the user's mean weight; `community_rate`
    the same over the community, the user left out; `propagated` Σ d^i·P^i·(J − r)·K for
    i from 1, P the weights over their row sums and d = `DAMPING`, personalised PageRank
    (Page et al. 1999) of a challenge's surprises; `neighbours_propensity` and
    `community_propensity` log((ΣJ + k) / (ΣK·r + k)) over all challenges, k =
    `PROPENSITY_PRIOR_JOINS`.

    Args:
        evidence: the pairs, the pool, and the support.
        train: positions of the training pairs.
        ties: of `tie_users`.

    Returns:
        By name, float64 (num_users, num_challenges).
    """
    known = known_joins(evidence, train)
    rate = rates.popularity(evidence, train)
    around = {
        "share": sparse.csr_array(ties.weights > 0, dtype=np.float64),
        "weighted_share": _over_mean(ties.weights),
        "community_rate": _same_community(ties),
    }
    num_users = len(evidence.person)
    tables = {}
    for name, matrix in around.items():
        near = sparse.csr_array(matrix[:num_users])
        tables[name] = _shrunk(near @ known.joined, near @ known.known, rate)
    neighbours, community = (
        sparse.csr_array(around[name][:num_users])
        for name in ("share", "community_rate")
    )
    tables["joined"] = np.log1p(neighbours @ known.joined)
    tables["propagated"] = _propagate(ties.weights, known, rate)[:num_users]
    for name, near in (("neighbours", neighbours), ("community", community)):
        ratio = _over_expected(near, known, rate)
        tables[f"{name}_propensity"] = np.repeat(ratio[:, None], len(rate), axis=1)
    return tables


def tie_counts(evidence: Evidence, ties: Ties) -> dict[str, np.ndarray]:
    """Returns how many ties each user has and how strong they are.

    Returns:
        By name, float64 (num_users,): log(1 + ·) of `degree`, the number of neighbours,
        of `strength`, the sum of their weights, and of `community_size`.
    """
    num_users = len(evidence.person)
    counts = {
        "degree": np.diff(ties.weights.indptr),
        "strength": np.asarray(ties.weights.sum(axis=1)),
        "community_size": np.bincount(ties.community)[ties.community],
    }
    return {name: np.log1p(values[:num_users]) for name, values in counts.items()}


def _times(evidence: Evidence) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the nodes of each cutoff, and which rows lie before it.

    Where there is one cutoff for all, or none, the pool is tied too, and every row
    counts as before: a row is then held out by the step alone.
    """
    cutoffs = evidence.user_cutoffs
    times = np.unique(cutoffs[~np.isnan(cutoffs)])
    if len(times) < 2:
        num_nodes = len(evidence.histories) + len(evidence.pool_histories)
        yield np.arange(num_nodes), np.ones(len(cutoffs), bool)
        return
    for time in times:
        yield np.flatnonzero(cutoffs == time), cutoffs < time


def _layer(evidence: Evidence, nodes: np.ndarray) -> Layer:
    from dc_keras.social.belongings import count_belongings
    from dc_keras.social.building import GraphPlan
    from dc_keras.social.sharing import share_ties

    plan = GraphPlan()
    histories = (*evidence.histories, *evidence.pool_histories)
    # As wide as the largest, so that names sort as numbers do.
    names = [f"{node:012d}" for node in nodes]
    rows = [
        (name, thing)
        for name, node in zip(names, nodes, strict=True)
        for thing in _things(evidence, histories[node])
    ]
    table = pl.DataFrame(
        rows, schema={"user_id": pl.String, "thing": pl.String}, orient="row"
    )
    found = count_belongings("history", names, table)
    return share_ties(
        found.without_common(plan.max_support).without_rare(plan.min_support),
        plan.weighting,
        top_k=plan.top_k,
    )


def _things(evidence: Evidence, posts: np.ndarray) -> Iterator[str]:
    """Tags and sounds of posts, without what everybody adds or owns."""
    from dc_keras.social.belongings import STOP_TAGS

    facts = evidence.facts
    for post in posts:
        terms = facts.terms[post]
        if post in evidence.focal_posts or not evidence.focal_terms.isdisjoint(terms):
            continue
        for term in terms:
            is_tag = term.startswith("#") and term[1:] not in STOP_TAGS
            is_sound = term.startswith("sound:") and not facts.is_original[post]
            if is_tag or is_sound:
                yield term


def _over_mean(weights: sparse.csr_array) -> sparse.csr_array:
    degree = np.maximum(np.diff(weights.indptr), 1)
    total = np.asarray(weights.sum(axis=1))
    mean = np.where(total > 0, total / degree, 1.0)
    return sparse.csr_array(weights / mean[:, None])


def _same_community(ties: Ties) -> sparse.csr_array:
    """1 where two nodes are of one community, 0 on the diagonal."""
    nodes = np.arange(len(ties.community))
    place = (nodes, ties.community)
    belongs = sparse.csr_array((np.ones(len(nodes)), place))
    together = sparse.csr_array(belongs @ belongs.T)
    return sparse.csr_array(together - sparse.eye_array(len(nodes)))


def _shrunk(joins: np.ndarray, count: np.ndarray, rate: np.ndarray) -> np.ndarray:
    k = SHARE_PRIOR_USERS
    share = np.clip((joins + k * rate) / (count + k), _LEAST, 1 - _LEAST)
    return np.asarray(np.log(share / (1 - share)))


def _over_expected(
    near: sparse.csr_array, known: Joins, rate: np.ndarray
) -> np.ndarray:
    joins, expected = known.joined.sum(axis=1), known.known @ rate
    k = PROPENSITY_PRIOR_JOINS
    return np.asarray(np.log((near @ joins + k) / (near @ expected + k)))


def _propagate(weights: sparse.csr_array, known: Joins, rate: np.ndarray) -> np.ndarray:
    total = np.maximum(np.asarray(weights.sum(axis=1)), 1e-12)
    steps = sparse.csr_array(weights / total[:, None])
    surprise = (known.joined - rate) * known.known
    spread = np.zeros_like(surprise)
    for _ in range(_NUM_STEPS):
        spread = DAMPING * (steps @ (surprise + spread))
    return np.asarray(spread)
