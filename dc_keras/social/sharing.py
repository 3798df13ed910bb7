"""Edges between users who share things, computed sparsely and within a memory limit.

With the affiliation matrix A, all weights are derived from the product A·Aᵀ, or from
that of a weighted A: |A_u ∩ A_v| for sets, a cosine for vectors. A common thing
connects all of its users with each other, so common things determine the size of the
product, which is known before it is computed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.affiliations import Affiliations
from dc_keras.social.graph import Layer, to_canonical

WEIGHTINGS = ("count", "jaccard", "whichtok", "cosine", "tfidf", "hyperbolic")
DEFAULT_MAX_BYTES = 4 * 2**30

# An edge in CSR has a float64 weight and an int32 index.
_BYTES_PER_EDGE = 12
_ROWS_PER_BLOCK = 2**11


def build_shared_layer(
    affiliations: Affiliations,
    weighting: str = "tfidf",
    *,
    top_k: int | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Layer:
    """Returns the layer "co-KIND" of users who share things.

    A_u is the set of things of u, n_t the number of users of thing t, N the number of
    users:

        count       |A_u ∩ A_v|
        jaccard     |A_u ∩ A_v| / |A_u ∪ A_v|
        whichtok    |A_u ∩ A_v| / ((|A_u| + |A_v|) / 2)
        cosine      cosine of the counts of posts
        tfidf       cosine of (1 + log count) · log(N / n_t)
        hyperbolic  Σ over shared t of 1 / (n_t − 1)          (Newman 2001)

    Args:
        affiliations: the affiliations.
        weighting: one of `WEIGHTINGS`.
        top_k: number of strongest edges kept per user, at least 1; an edge is kept if
            it is among the strongest of either end. None keeps all.
        max_bytes: memory limit of the full product, for `top_k` None.

    Raises:
        DataError: `weighting` is unknown, `top_k` is under 1, or the product exceeds
            `max_bytes`.
    """
    check_weighting(weighting, top_k)
    if top_k is None and product_bytes(affiliations) > max_bytes:
        raise DataError(
            f"all edges by {affiliations.kind} would take "
            f"{product_bytes(affiliations) / 2**30:.1f} GiB; exclude common things or "
            "keep the strongest edges of each user. "
            f"Received: top_k=none, max_bytes={max_bytes}"
        )
    name = f"co-{affiliations.kind}"
    if weighting in ("cosine", "tfidf", "hyperbolic"):
        vectors = thing_vectors(affiliations.counts, weighting)
        return Layer(name, keep_strongest_edges(_products(vectors, top_k), top_k))
    blocks = list(_overlap_blocks(affiliations.counts, weighting, top_k))
    weights = blocks[0] if len(blocks) == 1 else sparse.vstack(blocks)
    if top_k is None:  # symmetric: the quotients of both directions are equal
        return Layer(name, to_canonical(weights))
    return Layer(name, keep_strongest_edges(weights, top_k))


def check_weighting(weighting: str, top_k: int | None) -> None:
    """Raises a DataError if `weighting` is unknown or `top_k` is under 1."""
    if weighting not in WEIGHTINGS:
        raise DataError(
            f"weighting must be one of {', '.join(WEIGHTINGS)}. "
            f"Received: weighting={weighting}"
        )
    if top_k is not None and top_k < 1:
        raise DataError(f"top_k must be at least 1. Received: top_k={top_k}")


def product_bytes(affiliations: Affiliations) -> int:
    """Returns a bound of the memory of all edges: 12 bytes per pair with a thing."""
    num_users = affiliations.num_users_of.astype(np.int64)
    most = len(affiliations.users) ** 2
    return _BYTES_PER_EDGE * min(int(np.square(num_users).sum()), most)


def build_similarity_layer(name: str, vectors: np.ndarray, top_k: int) -> Layer:
    """Returns the layer of users with similar representations.

    Args:
        name: name of the layer.
        vectors: representations, such as x^u of a model, float (num_users, dim); a row
            of zeros or NaN has no edges.
        top_k: number of nearest neighbours per user, at least 1.

    Raises:
        DataError: `top_k` is under 1.
    """
    from sklearn.neighbors import NearestNeighbors

    check_weighting("cosine", top_k)
    lengths = np.linalg.norm(np.nan_to_num(vectors), axis=1)
    known = np.flatnonzero(lengths > 0)
    weights = sparse.csr_array((len(vectors),) * 2)
    if len(known) > 1:
        unit = vectors[known] / lengths[known, None]
        search = NearestNeighbors(
            n_neighbors=min(top_k + 1, len(known)), metric="cosine"
        ).fit(unit)
        near = search.kneighbors_graph(mode="distance").tocoo()
        cosine = 1 - near.data
        kept = cosine > 0
        place = (known[near.row[kept]], known[near.col[kept]])
        weights = sparse.csr_array((cosine[kept], place), weights.shape)
    return Layer(name, keep_strongest_edges(weights, top_k))


def thing_vectors(counts: sparse.csr_array, weighting: str) -> sparse.csr_array:
    """Returns the matrix whose product with its transpose gives the weights."""
    num_users = np.bincount(counts.indices, minlength=counts.shape[1]).astype(float)
    if weighting == "hyperbolic":
        with np.errstate(divide="ignore"):
            share = np.where(num_users > 1, 1 / (num_users - 1), 0.0)
        return sparse.csr_array(thing_sets(counts) * np.sqrt(share)[None, :])
    vectors = counts.copy()
    if weighting == "tfidf":
        rarity = np.log(counts.shape[0] / np.maximum(num_users, 1))
        vectors.data = 1 + np.log(vectors.data)
        vectors = sparse.csr_array(vectors * rarity[None, :])
    lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)))
    lengths[lengths == 0] = 1
    return sparse.csr_array(vectors / lengths[:, None])


def _products(vectors: sparse.csr_array, top_k: int | None) -> sparse.csr_array:
    if top_k is None:
        return sparse.csr_array(vectors @ vectors.T)
    try:
        from sparse_dot_topn import sp_matmul_topn
    except ImportError as error:
        raise DataError(
            "the selection of the strongest edges needs the extra `social`: "
            "pip install 'dc_keras[social]'"
        ) from error
    left = sparse.csr_matrix(vectors)
    # One more than requested, because the diagonal is included.
    return sparse.csr_array(
        sp_matmul_topn(left, left.T.tocsr(), top_n=top_k + 1, threshold=0.0)
    )


def _overlap_blocks(
    counts: sparse.csr_array, weighting: str, top_k: int | None
) -> Iterator[sparse.csr_array]:
    """Yields the weights of blocks of rows."""
    sets = thing_sets(counts)
    sizes = np.asarray(sets.sum(axis=1))
    columns = sets.T.tocsr()
    for start in range(0, max(sets.shape[0], 1), _ROWS_PER_BLOCK):
        rows = sets[start : start + _ROWS_PER_BLOCK]
        shared = sparse.csr_array(rows @ columns)
        row = np.repeat(np.arange(start, start + rows.shape[0]), np.diff(shared.indptr))
        if weighting != "count":
            both = sizes[row] + sizes[shared.indices]
            shared.data /= both - shared.data if weighting == "jaccard" else both / 2
        if top_k is None:
            yield shared
            continue
        shared.data[shared.indices == row] = 0
        shared.eliminate_zeros()
        yield _strongest(shared, top_k)


def _strongest(rows: sparse.csr_array, top_k: int) -> sparse.csr_array:
    """Keeps the `top_k` largest values of each row; the earlier of equal values."""
    number = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    order = np.lexsort((rows.indices, -rows.data, number))
    rank = np.arange(len(order)) - rows.indptr[number]
    kept = order[rank < top_k]
    place = (number[kept], rows.indices[kept])
    return sparse.csr_array((rows.data[kept], place), rows.shape)


def thing_sets(counts: sparse.csr_array) -> sparse.csr_array:
    """Returns the binary affiliation matrix."""
    sets = counts.copy()
    sets.data = np.ones_like(sets.data)
    return sets


def keep_strongest_edges(
    weights: sparse.sparray, top_k: int | None
) -> sparse.csr_array:
    """Returns the strongest edges of each user as a symmetric matrix.

    Rounding may make the two directions differ; the larger weight is used.

    Args:
        weights: the weights of all edges.
        top_k: number of edges kept per user; None keeps all.
    """
    clean = to_canonical(weights)
    if top_k is not None:
        clean = _strongest(clean, top_k)
    return to_canonical(clean.maximum(clean.T))
