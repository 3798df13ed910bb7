import numpy as np
import pytest

from dc_keras.models.deep_challenger import HEAD, build_head
from dc_keras.models.paper_baselines import UserBaseline
from dc_keras.options import ModelOptions
from dc_keras.serving.split_head import SplitHead


@pytest.mark.parametrize("interaction", ["product_difference", "none", "dot"])
@pytest.mark.parametrize("layer_norm", [True, False])
def test_the_split_head_equals_the_head(interaction, layer_norm):
    rng = np.random.default_rng(0)
    options = ModelOptions(
        hidden_dim=7, projection_dim=4, interaction=interaction, layer_norm=layer_norm
    )
    head = build_head((5,), (6,), options)
    for weight in head.weights:
        weight.assign(rng.normal(size=weight.shape))
    _check(head, rng)


def test_the_head_of_a_baseline_has_nothing_to_split():
    head = UserBaseline(2, 3, 5, hidden_dim=4).get_layer(HEAD)
    assert SplitHead(head).width == 5
    _check(head, np.random.default_rng(0))


def _check(head, rng):
    """Compares the split head with the whole for several challenges and for one."""
    dims = [x.shape[-1] for x in head.input]
    challenges, users = (rng.normal(size=(9, d)).astype(np.float32) for d in dims)
    split = SplitHead(head)
    prepared = split.prepare(users)
    assert prepared.shape == (9, split.width)
    each = head([challenges, users], training=False)
    np.testing.assert_allclose(split.score(prepared, challenges), each, atol=1e-5)
    one = head([np.tile(challenges[:1], (9, 1)), users], training=False)
    np.testing.assert_allclose(split.score(prepared, challenges[:1]), one, atol=1e-5)
    assert np.ptp(each) > 0.01
