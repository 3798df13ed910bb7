from dataclasses import replace

import keras
import numpy as np
import pytest

from dc_keras.models.proxy import (
    AnyNonZero,
    ChallengeProxy,
    UserProxy,
    embedding_model,
    standardizers,
)
from dc_keras.options import ModelOptions

# The columns of Table I: vision alone, vision and text; and text alone.
_VARIANTS = {
    "vision": {"num_frames": 3, "frame_dim": 4},
    "vision+text": {"num_frames": 3, "frame_dim": 4, "caption_dim": 5},
    "text": {"caption_dim": 5},
}
_PLAIN = ModelOptions(
    frame_pooling="concat",
    standardize=False,
    layer_norm=False,
    hidden_dim=6,
    modality_dropout=0.0,
)
_BOTH = _VARIANTS["vision+text"]


@pytest.fixture(params=_VARIANTS)
def inputs(request):
    return _VARIANTS[request.param]


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _videos(inputs, count=8):
    rng = np.random.default_rng(1)
    videos = {}
    if "num_frames" in inputs:
        size = (count, inputs["num_frames"], inputs["frame_dim"])
        videos["frames"] = rng.normal(size=size).astype(np.float32)
        videos["frame_mask"] = rng.random(size[:2]) < 0.7
        videos["frame_mask"][:, 0] = True
    if "caption_dim" in inputs:
        size = (count, inputs["caption_dim"])
        videos["caption"] = rng.normal(size=size).astype(np.float32)
    return videos


def _proxy(inputs, num_classes, options, name):
    proxy = ChallengeProxy if name == "challenge_proxy" else UserProxy
    return proxy(num_classes, **inputs, name=name, **options.to_dict())


def _joined(videos):
    """What the paper joins: every frame of a video, then its caption."""
    parts = [
        videos[n].reshape(len(videos[n]), -1)
        for n in ("frames", "caption")
        if n in videos
    ]
    return np.concatenate(parts, axis=1)


def _set_moments(model, sizes):
    for name, layer in zip(("frames", "caption"), standardizers(model), strict=True):
        assert (layer is not None) is (name in sizes)
        if layer is not None:
            moments = np.full(sizes[name], 0.5, np.float32)
            layer.set_moments(moments, 4 * moments)


def test_inputs_are_those_that_the_variant_sees(inputs):
    model = _proxy(inputs, 3, ModelOptions(), "user_proxy")
    shapes = {name: tensor.shape[1:] for name, tensor in model.input.items()}
    expected = {name: x.shape[1:] for name, x in _videos(inputs).items()}
    assert shapes == expected
    assert model.name == "user_proxy"


@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_papers_network_is_concat_dense_relu_softmax(inputs, num_layers, dense):
    model = _proxy(inputs, 3, replace(_PLAIN, num_layers=num_layers), "proxy")
    videos = _videos(inputs)
    x = _joined(videos)
    for index in range(num_layers):
        x = np.maximum(dense(model, f"dense_{index}", x), 0.0)
    np.testing.assert_allclose(embedding_model(model)(videos), x, atol=1e-5)
    logits = dense(model, "logits", x)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    classes = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model(videos), classes, atol=1e-5)


def test_layer_norm_stands_before_relu(dense, layer_norm):
    model = _proxy(_BOTH, 3, replace(_PLAIN, layer_norm=True), "proxy")
    videos = _videos(_BOTH)
    expected = np.maximum(layer_norm(dense(model, "dense_0", _joined(videos))), 0.0)
    np.testing.assert_allclose(embedding_model(model)(videos), expected, atol=1e-5)


def test_standardized_features_are_what_the_network_sees(inputs, dense):
    model = _proxy(inputs, 3, replace(_PLAIN, standardize=True), "proxy")
    videos = _videos(inputs)
    _set_moments(model, {name: x.shape[-1] for name, x in videos.items()})
    expected = np.maximum(dense(model, "dense_0", (_joined(videos) - 0.5) / 2.0), 0.0)
    np.testing.assert_allclose(embedding_model(model)(videos), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("pooling", "width"),
    [("concat", 12), ("mean", 4), ("mean_std", 8), ("attention", 4)],
)
def test_frame_pooling_decides_how_frames_are_joined(pooling, width):
    model = _proxy(_BOTH, 3, replace(_PLAIN, frame_pooling=pooling), "proxy")
    pool = model.get_layer("pool_frames")
    assert pool.mode == pooling
    assert pool.output.shape == (None, width)
    assert model.get_layer("join_modalities").output.shape == (None, width + 5)


def test_options_decide_width_depth_and_dropout():
    options = ModelOptions(hidden_dim=7, num_layers=3, dropout=0.5)
    model = _proxy(_BOTH, 11, options, "proxy")
    widths = [
        layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)
    ]
    assert widths == [7, 7, 7, 11]
    rates = [x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert rates == [0.5, 0.5, 0.5]
    assert embedding_model(model).output.shape == (None, 7)


def test_the_learned_embedding_is_taken_before_dropout():
    model = _proxy(_BOTH, 3, replace(_PLAIN, dropout=0.9), "proxy")
    videos = _videos(_BOTH)
    embed = embedding_model(model)
    np.testing.assert_array_equal(
        embed(videos, training=True), embed(videos, training=False)
    )
    assert not np.allclose(model(videos, training=True), model(videos, training=False))


@pytest.mark.parametrize(
    ("pooling", "matters"), [("concat", True), ("attention", False)]
)
def test_a_repeated_frame_counts_in_the_papers_concat_only(pooling, matters):
    model = _proxy(_BOTH, 3, replace(_PLAIN, frame_pooling=pooling), "proxy")
    videos = _videos(_BOTH)
    videos["frame_mask"][:, 1:] = False
    repeated, other = dict(videos), dict(videos)
    repeated["frames"] = videos["frames"][:, [0, 0, 0]]
    other["frames"] = videos["frames"][:, [0, 1, 1]]
    differs = not np.allclose(model(repeated), model(other), atol=1e-6)
    assert differs is matters


@pytest.mark.parametrize("pooling", ["concat", "attention", "mean", "mean_std"])
def test_frames_padded_with_zeros_stay_zeros(pooling, dense):
    options = replace(_PLAIN, standardize=True, frame_pooling=pooling)
    model = _proxy(_BOTH, 3, options, "proxy")
    videos = _videos(_BOTH)
    _set_moments(model, {"frames": 4, "caption": 5})
    videos["frame_mask"][:, 1:] = False
    videos["frames"][:, 1:] = 0.0
    pooled = keras.Model(model.input, model.get_layer("pool_frames").output)(videos)
    first = (videos["frames"][:, 0] - 0.5) / 2.0
    tail = {"concat": np.zeros((8, 8)), "mean_std": np.zeros((8, 4))}
    expected = np.concatenate([first, tail.get(pooling, np.zeros((8, 0)))], axis=1)
    np.testing.assert_allclose(pooled, expected, atol=2e-6)


@pytest.mark.parametrize("pooling", ["concat", "attention", "mean", "mean_std"])
def test_a_post_without_frames_is_its_caption(pooling, dense):
    options = replace(_PLAIN, standardize=True, frame_pooling=pooling)
    model = _proxy(_BOTH, 3, options, "proxy")
    _set_moments(model, {"frames": 4, "caption": 5})
    videos = _videos(_BOTH)
    videos["frames"][:] = 0.0
    videos["frame_mask"][:] = False
    kernel, bias = map(np.asarray, model.get_layer("dense_0").weights)
    caption = (videos["caption"] - 0.5) / 2.0
    expected = np.maximum(caption @ kernel[-5:] + bias, 0.0)
    np.testing.assert_allclose(embedding_model(model)(videos), expected, atol=1e-5)


def test_a_post_without_caption_is_its_frames(dense):
    model = _proxy(_BOTH, 3, replace(_PLAIN, standardize=True), "proxy")
    _set_moments(model, {"frames": 4, "caption": 5})
    videos = _videos(_BOTH)
    videos["caption"][:] = 0.0
    kernel, bias = map(np.asarray, model.get_layer("dense_0").weights)
    frames = (videos["frames"].reshape(8, -1) - 0.5) / 2.0
    expected = np.maximum(frames @ kernel[:-5] + bias, 0.0)
    np.testing.assert_allclose(embedding_model(model)(videos), expected, atol=1e-5)


def test_any_non_zero_asks_every_vector():
    values = np.array([[[0, 0], [0, -1e-6]], [[2, 0], [0, 0]]], np.float32)
    layer = AnyNonZero()
    np.testing.assert_array_equal(layer(values), [[False, True], [True, False]])
    symbolic = layer(keras.Input((2, 2)))
    assert (symbolic.shape, symbolic.dtype) == ((None, 2), "bool")
    assert layer.compute_output_shape((5, 2, 2)) == (5, 2)


@pytest.mark.parametrize(
    "sizes",
    [{}, {"num_frames": 3}, {"frame_dim": 4}],
    ids=["nothing", "no width", "no frames"],
)
def test_a_video_model_that_sees_nothing_is_refused(sizes):
    with pytest.raises(ValueError, match="needs frames, captions or both"):
        UserProxy(3, **sizes)


def test_names_of_weights_are_a_contract():
    model = _proxy(_BOTH, 3, ModelOptions(num_layers=2), "challenge_proxy")
    assert {weight.path for weight in model.weights} == {
        "pool_frames/standardize/mean",
        "pool_frames/standardize/scale",
        "standardize_caption/mean",
        "standardize_caption/scale",
        "pool_frames/hidden/kernel",
        "pool_frames/hidden/bias",
        "pool_frames/score/kernel",
        "dense_0/kernel",
        "dense_0/bias",
        "dense_0_norm/gamma",
        "dense_0_norm/beta",
        "dense_1/kernel",
        "dense_1/bias",
        "dense_1_norm/gamma",
        "dense_1_norm/beta",
        "logits/kernel",
        "logits/bias",
    }


@pytest.mark.parametrize(
    "options",
    [
        ModelOptions(hidden_dim=6),
        _PLAIN,
        ModelOptions(hidden_dim=6, frame_pooling="mean_std", num_layers=2),
        ModelOptions(hidden_dim=6, frame_pooling="mean", layer_norm=False),
    ],
    ids=lambda options: options.frame_pooling,
)
def test_a_proxy_survives_a_file(inputs, options, check_round_trip):
    model = _proxy(inputs, 3, options, "user_proxy")
    videos = _videos(inputs)
    loaded = check_round_trip(model, videos)
    np.testing.assert_array_equal(
        embedding_model(loaded)(videos), embedding_model(model)(videos)
    )


def test_a_proxy_of_mixed_precision_survives_a_file(check_round_trip):
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = _proxy(_BOTH, 3, ModelOptions(hidden_dim=6), "user_proxy")
    finally:
        keras.config.set_dtype_policy(usual)
    assert model.get_layer("dense_0").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    check_round_trip(model, _videos(_BOTH))


@pytest.mark.parametrize(
    ("sizes", "num_classes", "width", "num_weights"),
    [
        # PAPER.md: 50 frames of VGG16 fc2, 4096 wide, and [CLS], 768 wide; 11 challenges.
        ((50, 4096, 768), 11, 205_568, 52_625_664),
        # The same of ResNet-50, 2048 wide; 1303 users.
        ((50, 2048, 768), 1303, 103_168, 26_411_264),
    ],
    ids=["challenge", "user"],
)
def test_the_papers_proxies_have_the_papers_sizes(
    paper_model, sizes, num_classes, width, num_weights
):
    model = ChallengeProxy(num_classes, *sizes, **paper_model.to_dict())
    assert model.get_layer("join_modalities").output.shape == (None, width)
    dense = model.get_layer("dense_0")
    assert dense.kernel.shape == (width, 256)
    # One weight an input and one bias, 256 times: 256·(width + 1).
    assert dense.count_params() == num_weights == 256 * (width + 1)
    assert embedding_model(model).output.shape == (None, 256)
    assert model.output.shape == (None, num_classes)
    assert model.count_params() == num_weights + 257 * num_classes
