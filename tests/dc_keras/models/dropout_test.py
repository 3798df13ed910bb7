import keras
import numpy as np
import pytest

from dc_keras.models.dropout import (
    DropItems,
    DropModality,
    DropUnits,
    draw_for_batch,
    drop_side,
)

_NUM_VIDEOS = 4000


def _video_inputs(count=_NUM_VIDEOS):
    """Videos of two frames, one of their own, and a caption; nothing of it is zero."""
    rng = np.random.default_rng(0)
    frames = rng.uniform(1, 2, (count, 2, 3)).astype(np.float32)
    caption = rng.uniform(1, 2, (count, 4)).astype(np.float32)
    return frames, np.tile([True, False], (count, 1)), caption


def _set_inputs(counts, num_items=5):
    """Sets whose valid items are the first so many; item i has the value i + 1."""
    valid = np.arange(num_items) < np.asarray(counts)[:, None]
    values = np.arange(1, num_items + 1, dtype=np.float32) * valid
    return values[..., None], valid


def _call(layer, inputs, mode):
    if mode == "eager":
        outputs = layer(*inputs, training=True)
    else:
        import tensorflow as tf

        # As in a fit: the number of examples is open.
        signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in inputs]
        traced = tf.function(
            lambda *tensors: layer(*tensors, training=True), input_signature=signature
        )
        outputs = traced(*map(tf.constant, inputs))
    return [keras.ops.convert_to_numpy(output) for output in outputs]


_MODES = pytest.mark.parametrize("mode", ["eager", "graph"])


@_MODES
@pytest.mark.parametrize("rate", [0.3, 0.9])
def test_a_video_loses_its_frames_or_its_caption_never_both(rate, mode):
    frames, mask, caption = _video_inputs()
    kept_frames, kept_mask, kept_caption = _call(
        DropModality(rate, seed=1), (frames, mask, caption), mode
    )
    has_frames, has_caption = kept_mask.any(axis=1), kept_caption.any(axis=1)
    assert (has_frames | has_caption).all()
    # Whole or not at all, the mask with the frames.
    np.testing.assert_array_equal(kept_frames, frames * has_frames[:, None, None])
    np.testing.assert_array_equal(kept_mask, mask & has_frames[:, None])
    np.testing.assert_array_equal(kept_caption, caption * has_caption[:, None])
    # The standard deviation of a share of 4000 is .008 at most; four of them are .032.
    for is_kept in (has_frames, has_caption):
        assert 1 - is_kept.mean() == pytest.approx(rate / 2, abs=0.032)


@_MODES
def test_a_video_keeps_the_only_thing_it_has(mode):
    frames, mask, caption = _video_inputs(600)
    frames[:200], mask[:200] = 0, False
    caption[200:400] = 0
    kept = _call(DropModality(0.9, seed=1), (frames, mask, caption), mode)
    for given, left in zip((frames, mask, caption), kept, strict=True):
        np.testing.assert_array_equal(left[:400], given[:400])
    assert (kept[1][400:].any(axis=1) | kept[2][400:].any(axis=1)).all()
    assert not kept[1][400:].any(axis=1).all()


@_MODES
def test_a_set_that_is_cut_keeps_one_to_all_of_its_valid_items(mode):
    values, valid = _set_inputs([3] * 6000)
    kept_values, kept = _call(DropItems(0.5, seed=1), (values, valid), mode)
    assert not (kept & ~valid).any()
    np.testing.assert_array_equal(kept_values, values * kept[..., None])
    # Half are whole, and the other half keep 1, 2 or 3, a sixth of all each. The
    # standard deviation of such a share is .0065 at most; four of them are .026.
    shares = np.bincount(kept.sum(axis=1), minlength=6) / len(kept)
    assert shares == pytest.approx([0, 1 / 6, 1 / 6, 2 / 3, 0, 0], abs=0.026)
    # Which are kept is uniform: of those that keep one, a third each; of about 1000
    # that is ± .06.
    alone = kept[kept.sum(axis=1) == 1]
    assert alone[:, :3].mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.06)


@_MODES
def test_empty_and_single_sets_stay_as_they_are(mode):
    values, valid = _set_inputs([0, 1] * 200)
    kept_values, kept = _call(DropItems(0.99, seed=1), (values, valid), mode)
    np.testing.assert_array_equal(kept, valid)
    np.testing.assert_array_equal(kept_values, values)


def test_where_the_valid_items_stand_does_not_matter():
    values, valid = _set_inputs([2] * 500)
    _, kept = _call(DropItems(0.99, seed=1), (values[:, ::-1], valid[:, ::-1]), "eager")
    assert not kept[:, :3].any()
    assert kept.any(axis=1).all()
    assert not kept.all(axis=1).any()
    assert (kept.sum(axis=1) == 1).any()


_LAYERS = pytest.mark.parametrize(
    ("make", "inputs"),
    [(DropModality, _video_inputs(50)), (DropItems, _set_inputs([4] * 50))],
    ids=["DropModality", "DropItems"],
)


@_LAYERS
def test_nothing_is_hidden_outside_training_or_at_a_rate_of_zero(make, inputs):
    for outputs in (
        make(0.9)(*inputs),
        make(0.9)(*inputs, training=False),
        make(0.0)(*inputs, training=True),
    ):
        for given, kept in zip(inputs, outputs, strict=True):
            np.testing.assert_array_equal(kept, given)


@_LAYERS
def test_the_seed_decides_and_each_call_draws_anew(make, inputs):
    one, same, other = (make(0.5, seed=seed) for seed in (3, 3, 4))
    first, again = (
        [_call(layer, inputs, "eager")[1] for _ in "ab"] for layer in (one, same)
    )
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()
    assert (first[0] != _call(other, inputs, "eager")[1]).any()


@_LAYERS
def test_a_model_with_it_survives_a_file(make, inputs, tmp_path):
    tensors = [keras.Input(x.shape[1:], dtype=x.dtype.name) for x in inputs]
    outputs = make(0.5, seed=3, name="drop")(*tensors)
    assert [x.shape for x in outputs] == [x.shape for x in tensors]
    assert [x.dtype for x in outputs] == [x.dtype for x in tensors]
    keras.Model(tensors, outputs).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    layer = loaded.get_layer("drop")
    assert (type(layer), layer.rate, layer.seed) == (make, 0.5, 3)
    np.testing.assert_array_equal(
        _call(layer, inputs, "eager")[1],
        _call(make(0.5, seed=3), inputs, "eager")[1],
    )
    for given, kept in zip(inputs, loaded(list(inputs)), strict=True):
        np.testing.assert_array_equal(kept, given)


def test_a_side_is_dropped_as_a_whole():
    given = np.ones((4000, 3), np.float32)
    tensor = keras.Input((3,))
    model = keras.Model(tensor, drop_side(tensor, 0.25, "drop_user"))
    assert "drop_user" in [layer.name for layer in model.layers]
    np.testing.assert_array_equal(model(given), given)
    kept = np.asarray(model(given, training=True))
    # All or nothing, and what is kept grows by 1/.75.
    assert set(np.round(kept.sum(axis=1), 4)) == {0.0, 4.0}
    # Four standard deviations of a share of 4000 are .027.
    assert (kept[:, 0] == 0).mean() == pytest.approx(0.25, abs=0.027)


def test_a_side_that_is_never_dropped_needs_no_layer():
    tensor = keras.Input((3,))
    assert drop_side(tensor, 0, "drop_user") is tensor


def test_dropped_units_are_zero_and_the_others_grow():
    layer = DropUnits(0.4, seed=0)
    dropped = layer(np.ones((200, 50), np.float32), training=True).numpy()
    # 10,000 draws: a standard deviation of 0.005.
    assert np.mean(dropped == 0) == pytest.approx(0.4, abs=0.02)
    np.testing.assert_allclose(dropped[dropped > 0], 1 / 0.6, rtol=1e-6)


def test_units_are_not_dropped_outside_of_training():
    x = np.ones((3, 4), np.float32)
    np.testing.assert_array_equal(DropUnits(0.9)(x), x)
    np.testing.assert_array_equal(DropUnits(0.0)(x, training=True), x)


def test_replicas_draw_their_parts_of_one_batch():
    # The prefix of a longer draw is a shorter one: what filling up relies on.
    def draw(count):
        return draw_for_batch((count, 7), keras.random.SeedGenerator(5)).numpy()

    np.testing.assert_array_equal(draw(12)[:10], draw(10))
