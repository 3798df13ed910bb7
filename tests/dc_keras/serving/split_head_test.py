import numpy as np
import pytest

from dc_keras.models.deep_challenger import build_head
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
    users, challenges = (rng.normal(size=(9, dim)).astype(np.float32) for dim in (6, 5))
    split = SplitHead(head)
    prepared = split.prepare(users)
    assert prepared.shape == (9, split.width)
    each = head([challenges, users], training=False)
    np.testing.assert_allclose(split.score(prepared, challenges), each, atol=1e-5)
    one = head([np.tile(challenges[:1], (9, 1)), users], training=False)
    np.testing.assert_allclose(split.score(prepared, challenges[:1]), one, atol=1e-5)
    assert np.ptp(each) > 0.01
