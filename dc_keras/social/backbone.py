"""Extracts the backbone of a layer: the statistically significant edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse, stats

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, to_canonical

METHODS = ("disparity", "noise-corrected")


def measure_significance(layer: Layer, method: str) -> np.ndarray:
    """Returns the p-value of each edge's weight, float64 (nnz,), in [0, 1].

    disparity: under the null model, a node of degree k and strength s distributes its
    weight uniformly over its edges, so an edge of weight w has p = (1 − w/s)^(k−1). The
    smaller p-value of both ends is used; the only edge of a node has p = 1 (Serrano et
    al. 2009).

    noise-corrected: with strengths s_i, s_j and total s, the expected weight of an edge
    is s_i·s_j/s. Its lift is tested one-sided against the variance of a binomial draw
    with a prior of that expectation (Coscia and Neffke 2017).

    Args:
        layer: the layer; the result has the order of `weights.data`.
        method: one of `METHODS`.

    Raises:
        DataError: `method` is unknown.
    """
    if method not in METHODS:
        raise DataError(
            f"backbone must be one of {', '.join(METHODS)}. Received: backbone={method}"
        )
    weights = layer.weights
    row = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    column = weights.indices
    out = np.asarray(weights.sum(axis=1)).ravel()
    into = np.asarray(weights.sum(axis=0)).ravel()
    if method == "disparity":
        num_out = np.diff(weights.indptr)
        num_into = np.bincount(column, minlength=weights.shape[0])
        each = (
            _disparity(weights.data, out[row], num_out[row]),
            _disparity(weights.data, into[column], num_into[column]),
        )
        return np.asarray(np.minimum(*each))
    return _noise_corrected(weights.data, out[row], into[column], out.sum())


def keep_backbone(layer: Layer, method: str, alpha: float) -> Layer:
    """Returns the layer of the edges with a p-value below `alpha`.

    Args:
        layer: the layer.
        method: one of `METHODS`.
        alpha: significance level, in (0, 1]; 1 keeps all edges.

    Raises:
        DataError: `method` is unknown, or `alpha` is out of range.
    """
    if not 0 < alpha <= 1:
        raise DataError(f"alpha must be in (0, 1]. Received: alpha={alpha}")
    chance = measure_significance(layer, method)
    weights = layer.weights
    row = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    kept = chance < alpha if alpha < 1 else np.ones(len(chance), bool)
    place = (row[kept], weights.indices[kept])
    backbone = to_canonical(
        sparse.csr_array((weights.data[kept], place), weights.shape)
    )
    return replace(layer, weights=backbone)


def _disparity(
    weight: np.ndarray, strength: np.ndarray, degree: np.ndarray
) -> np.ndarray:
    share = np.minimum(weight / strength, 1.0)
    return np.asarray(np.power(1 - share, degree - 1))


def _noise_corrected(
    weight: np.ndarray, out: np.ndarray, into: np.ndarray, total: float
) -> np.ndarray:
    """Returns noise-corrected p-values; the names follow the paper's section IV."""
    with np.errstate(all="ignore"):  # non-finite values are replaced below
        both = out * into
        kappa = total / both
        score = (kappa * weight - 1) / (kappa * weight + 1)
        mean = both / total**2
        variance = mean * (total - out) * (total - into) / (total**2 * (total - 1))
        alpha = mean**2 / variance * (1 - mean) - mean
        beta = mean / variance * (1 - mean**2) - (1 - mean)
        expected = (alpha + weight) / (alpha + beta + total)
        spread = expected * (1 - expected) * total
        slope = 1 / both - total * (out + into) / both**2
        spread *= np.square(2 * (kappa + weight * slope) / (kappa * weight + 1) ** 2)
        chance = stats.norm.sf(score / np.sqrt(spread))
    # A node with the total weight has no null model.
    return np.where(np.isfinite(chance) & (variance > 0), chance, 1.0)
