import keras
import numpy as np
import pytest
import tensorflow as tf

from dc_keras.models.pooling import (
    PoolSet,
    PoolStandardized,
    Standardize,
)
from dc_keras.options import POOLINGS

_SETS_OF_ANY_SIZE = [mode for mode in POOLINGS if mode != "concat"]
_VALUES = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
_VALID = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 1]], bool)


def _attention_weights(layer, values, valid):
    kernel, bias, score = (np.asarray(weight) for weight in layer.weights)
    exponentials = np.exp(np.tanh(values @ kernel + bias) @ score)[..., 0] * valid
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _expected(layer, values, valid):
    """The docstring's formulas, one set at a time, over valid items only."""
    sets = [items[mask] for items, mask in zip(values, valid, strict=True)]
    if layer.mode == "concat":
        return values.reshape(len(values), -1)
    if layer.mode == "attention":
        return np.einsum("bn,bnd->bd", _attention_weights(layer, values, valid), values)
    means = np.stack([items.mean(axis=0) for items in sets])
    if layer.mode == "mean":
        return means
    stds = np.stack([items.std(axis=0) for items in sets])
    return np.concatenate([means, stds], axis=1)


@pytest.mark.parametrize("mode", POOLINGS)
def test_a_set_is_joined_by_the_formula_of_its_mode(mode):
    layer = PoolSet(mode, attention_dim=6)
    joined = layer(_VALUES, _VALID)
    np.testing.assert_allclose(joined, _expected(layer, _VALUES, _VALID), atol=2e-6)


@pytest.mark.parametrize(
    ("mode", "width"), [("concat", 20), ("mean", 5), ("mean_std", 10), ("attention", 5)]
)
def test_width_is_known_before_any_data(mode, width):
    layer = PoolSet(mode)
    values, valid = keras.Input((4, 5)), keras.Input((4,), dtype="bool")
    assert layer(values, valid).shape == (None, width)
    assert layer.compute_output_shape((7, 4, 5), (7, 4)) == (7, width)
    assert layer(_VALUES, _VALID).shape == (3, width)


@pytest.mark.parametrize("mode", _SETS_OF_ANY_SIZE)
@pytest.mark.parametrize("junk", [0.0, 1e6])
def test_what_lies_under_the_padding_does_not_matter(mode, junk):
    layer = PoolSet(mode)
    padded = np.where(_VALID[..., None], _VALUES, np.float32(junk))
    np.testing.assert_allclose(
        layer(padded, _VALID), layer(_VALUES, _VALID), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("mode", _SETS_OF_ANY_SIZE)
def test_more_padding_changes_nothing(mode):
    layer = PoolSet(mode)
    padded = np.pad(_VALUES, ((0, 0), (0, 3), (0, 0)))
    valid = np.pad(_VALID, ((0, 0), (0, 3)))
    np.testing.assert_allclose(
        layer(padded, valid), layer(_VALUES, _VALID), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("mode", _SETS_OF_ANY_SIZE)
def test_the_order_of_a_masked_set_is_irrelevant(mode):
    layer, order = PoolSet(mode), [2, 0, 3, 1]
    np.testing.assert_allclose(
        layer(_VALUES[:, order], _VALID[:, order]),
        layer(_VALUES, _VALID),
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_concatenation_keeps_the_order_and_the_repeats():
    nothing_valid = np.zeros_like(_VALID)
    joined = PoolSet("concat")(_VALUES, nothing_valid)
    np.testing.assert_array_equal(joined, np.concatenate([*_VALUES.swapaxes(0, 1)], 1))


@pytest.mark.parametrize("mode", _SETS_OF_ANY_SIZE)
def test_an_empty_set_gives_zeros(mode):
    joined = np.asarray(PoolSet(mode)(_VALUES, np.zeros_like(_VALID)))
    assert joined.any() == np.False_


@pytest.mark.parametrize("mode", _SETS_OF_ANY_SIZE)
def test_gradients_stay_finite_where_a_set_is_empty_or_all_alike(mode):
    import tensorflow as tf

    values = tf.ones((2, 4, 5))
    valid = tf.constant([[True] * 4, [False] * 4])
    layer = PoolSet(mode)
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = tf.reduce_sum(layer(values, valid))
    gradients = tape.gradient(loss, [values, *layer.trainable_variables])
    assert all(np.isfinite(g).all() for g in gradients)


def test_attention_of_great_certainty_picks_the_best_valid_item():
    layer = PoolSet("attention", attention_dim=1)
    layer.build((None, 3, 1), (None, 3))
    # Scores are 1e4·tanh(x): far beyond what exp can hold.
    layer.set_weights([np.ones((1, 1)), np.zeros(1), np.full((1, 1), 1e4)])
    values = np.array([[[0.5], [2.0], [-1.0]]] * 2, np.float32)
    valid = np.array([[1, 1, 1], [1, 0, 1]], bool)
    np.testing.assert_allclose(layer(values, valid), [[2.0], [0.5]])


@pytest.mark.parametrize("policy", ["float64", "bfloat16", "mixed_float16"])
@pytest.mark.parametrize("mode", POOLINGS)
def test_a_set_is_joined_in_the_precision_of_the_layer(mode, policy):
    layer, exact = PoolSet(mode, dtype=policy), PoolSet(mode)
    layer(_VALUES, _VALID), exact(_VALUES, _VALID)
    layer.set_weights(exact.get_weights())
    joined = layer(_VALUES, _VALID)
    assert joined.dtype.name == keras.DTypePolicy(policy).compute_dtype
    joined = keras.ops.convert_to_numpy(keras.ops.cast(joined, "float32"))
    np.testing.assert_allclose(joined, exact(_VALUES, _VALID), atol=0.03)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"`mode` must be one of .* mode=median"):
        PoolSet("median")


def test_a_layer_is_rebuilt_from_its_configuration():
    layer = PoolSet(
        "attention", attention_dim=3, name="x", dtype="bfloat16", trainable=False
    )
    rebuilt = PoolSet.from_config(layer.get_config())
    assert (rebuilt.mode, rebuilt.attention_dim, rebuilt.name) == ("attention", 3, "x")
    assert rebuilt.dtype_policy.name == "bfloat16"
    rebuilt(_VALUES, _VALID)
    assert len(rebuilt.weights) == 3
    assert rebuilt.trainable_variables == []


def test_features_are_standardized_by_their_moments():
    rows = np.random.default_rng(1).normal(3.0, 2.0, (50, 5)).astype(np.float32)
    layer = Standardize(5)
    layer.set_moments(rows.mean(axis=0), rows.std(axis=0))
    out = np.asarray(layer(rows, np.ones(50, bool)))
    np.testing.assert_allclose(out.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=0), 1.0, atol=1e-5)


def test_a_feature_that_never_varies_is_only_centred():
    layer = Standardize(2)
    layer.set_moments(np.float32([3.0, 3.0]), np.float32([0.0, 2.0]))
    out = layer(np.float32([[5.0, 5.0]]), np.array([True]))
    np.testing.assert_allclose(out, [[2.0, 1.0]])


@pytest.mark.parametrize("shape", [(4,), (4, 3)])
def test_what_is_missing_stays_zero(shape):
    layer = Standardize(2)
    layer.set_moments(np.float32([1.0, -1.0]), np.float32([2.0, 0.5]))
    valid = np.random.default_rng(0).random(shape) < 0.5
    out = np.asarray(layer(np.zeros((*shape, 2), np.float32), valid))
    np.testing.assert_allclose(out[valid], [[-0.5, 2.0]] * valid.sum())
    assert not out[~valid].any()


def test_moments_are_no_weights_to_train():
    layer = Standardize(2, name="s", trainable=True)
    assert layer.trainable_variables == []
    assert len(layer.weights) == 2
    rebuilt = Standardize.from_config(layer.get_config())
    assert (rebuilt.dim, rebuilt.name) == (2, "s")


@pytest.mark.parametrize("mode", POOLINGS)
def test_half_precision_pools_as_single_does(mode):
    # 1,000 items: their sums, squares and epsilons are beyond float16.
    rng = np.random.default_rng(0)
    values = (100 + rng.normal(size=(2, 1000, 3))).astype(np.float32)
    values[1] = values[1, :1]
    valid = rng.random((2, 1000)) < 0.9
    whole = PoolSet(mode)
    half = PoolSet(mode, dtype="mixed_float16")
    whole.build(values.shape)
    half.build(values.shape)
    half.set_weights(whole.get_weights())
    found = half(values, valid)
    assert found.dtype == "float16"
    np.testing.assert_allclose(found, whole(values, valid), rtol=0.01, atol=0.1)
    with tf.GradientTape() as tape:
        x = tf.constant(values)
        tape.watch(x)
        total = tf.reduce_sum(tf.cast(half(x, valid), tf.float32))
    assert np.isfinite(tape.gradient(total, x)).all()


@pytest.mark.parametrize("mode", PoolStandardized.MODES)
def test_pooling_what_is_standardized_is_both_layers_in_turn(mode):
    """The same value, and the same gradient of every weight of attention."""
    both = PoolStandardized(mode, attention_dim=6)
    joined = both(_VALUES, _VALID)
    mean, std = _VALUES[_VALID].mean(axis=0) + 3, np.array([0.1, 1, 2, 0, 5])
    both.standardize.set_moments(mean, std)
    one, other = Standardize(5), PoolSet(mode, attention_dim=6)
    one.set_moments(mean, std)
    other(_VALUES, _VALID)
    other.set_weights([np.asarray(weight) for weight in both.trainable_weights])

    def value_and_gradients(join, weights):
        with tf.GradientTape() as tape:
            joined = join()
            total = tf.reduce_sum(joined * tf.range(5.0))
        return joined, tape.gradient(total, [w.value for w in weights])

    joined, gradients = value_and_gradients(
        lambda: both(_VALUES, _VALID), both.trainable_weights
    )
    expected, expected_gradients = value_and_gradients(
        lambda: other(one(_VALUES, _VALID), _VALID), other.trainable_weights
    )
    np.testing.assert_allclose(joined, expected, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mode", PoolStandardized.MODES)
def test_pooling_what_is_standardized_gives_zeros_of_nothing(mode):
    layer = PoolStandardized(mode)
    layer(_VALUES, _VALID)
    layer.standardize.set_moments(np.full(5, 3.0), np.full(5, 2.0))
    np.testing.assert_array_equal(
        layer(_VALUES, np.zeros_like(_VALID)), np.zeros((3, 5), np.float32)
    )


def test_pooling_what_is_standardized_survives_a_file(tmp_path):
    inputs = [keras.Input((4, 5)), keras.Input((4,), dtype="bool")]
    pool = PoolStandardized("attention", attention_dim=6)
    model = keras.Model(inputs, pool(*inputs))
    pool.standardize.set_moments(np.arange(5.0), np.full(5, 2.0))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again([_VALUES, _VALID]), model([_VALUES, _VALID]))


def test_standardized_frames_are_not_joined_by_concatenation():
    with pytest.raises(ValueError, match="mode=concat"):
        PoolStandardized("concat")
