import numpy as np
import pytest
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.backbone import METHODS, keep_backbone, measure_significance
from dc_keras.social.graph import Layer, to_canonical


def _layer(weights, **options):
    return Layer(
        "x", to_canonical(sparse.csr_array(np.array(weights, float))), **options
    )


_STAR = _layer([[0, 8, 1, 1], [8, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])


def test_disparity_of_a_star_by_hand():
    # The hub has three edges and strength 10: p = (1 − w/10)². The others have one
    # edge.
    chance = measure_significance(_STAR, "disparity")
    dense = np.zeros((4, 4))
    dense[_STAR.weights.nonzero()] = chance
    assert dense[0, 1] == dense[1, 0] == pytest.approx(0.2**2)
    assert dense[0, 2] == dense[3, 0] == pytest.approx(0.9**2)
    kept = keep_backbone(_STAR, "disparity", 0.05)
    assert kept.num_edges == 1


def test_the_edge_of_a_pair_is_not_significant():
    assert keep_backbone(_layer([[0, 5], [5, 0]]), "disparity", 0.99).num_edges == 0


def test_a_strong_edge_of_weak_nodes_beats_noise():
    rng = np.random.default_rng(0)
    noise = np.triu(rng.poisson(5, (30, 30)), 1)
    noise[0, 1] = 60
    layer = _layer(noise + noise.T)
    chance = np.ones((30, 30))
    chance[layer.weights.nonzero()] = measure_significance(layer, "noise-corrected")
    assert chance[0, 1] < 1e-3
    others = chance[2:, 2:][np.triu_indices(28, 1)]
    assert np.mean(others < 0.05) < 0.15
    np.testing.assert_allclose(chance, chance.T, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_extreme_weights_neither_overflow_nor_warn(method):
    layer = _layer([[0, 1e300, 1e-300], [1e300, 0, 1], [1e-300, 1, 0]])
    chance = measure_significance(layer, method)
    assert np.all((chance >= 0) & (chance <= 1))
    assert keep_backbone(layer, method, 1.0).num_edges == 3


def test_directions_are_kept():
    layer = _layer(
        [[0, 9, 1, 1], [0, 0, 0, 0], [0, 3, 0, 0], [0, 3, 0, 0]], is_directed=True
    )
    kept = keep_backbone(layer, "disparity", 0.1)
    assert kept.is_directed
    assert kept.weights.nonzero()[0].tolist() == [0]


@pytest.mark.parametrize(
    ("method", "alpha", "message"),
    [("best", 0.1, "backbone=best"), ("disparity", 0, "alpha=0")],
)
def test_invalid_backbones_are_refused(method, alpha, message):
    with pytest.raises(DataError, match=message):
        keep_backbone(_STAR, method, alpha)
