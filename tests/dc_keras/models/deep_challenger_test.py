import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    HEAD,
    USER_REPRESENTATION,
    DeepChallenger,
    build_head,
)
from dc_keras.options import POOLINGS, ModelOptions

ROOT = Path(__file__).parents[3]

_SIZES = {"support_max": 5, "challenge_dim": 3, "history_max": 4, "user_dim": 2}
_PAPER = ModelOptions(
    challenge_pooling="concat",
    user_pooling="concat",
    interaction="none",
    layer_norm=False,
    hidden_dim=6,
    projection_dim=7,
)
_INTERACTIONS = {"none": 6 + 3, "product_difference": 6 + 3 + 2 * 7, "dot": 7}


def _build(sizes, options, copies=None):
    return DeepChallenger(**sizes, copies=copies, **options.to_dict())


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _pairs(count=6):
    """Sets of every size, zero where padded."""
    rng = np.random.default_rng(2)
    pairs = {}
    for side, size, dim in (("challenge", 5, 3), ("user", 4, 2)):
        lengths = rng.integers(1, size + 1, count)
        lengths[0] = size
        valid = np.arange(size) < lengths[:, None]
        values = rng.normal(size=(count, size, dim)) * valid[..., None]
        pairs |= {side: values.astype(np.float32), f"{side}_valid": valid}
    return pairs


def _representations(model, pairs):
    names = (CHALLENGE_REPRESENTATION, USER_REPRESENTATION)
    outputs = [model.get_layer(name).output for name in names]
    return [np.asarray(x) for x in keras.Model(model.input, outputs)(pairs)]


def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def test_equations_1_and_2_are_concatenations_padded_with_zeros():
    pairs = _pairs()
    x_c, x_u = _representations(_build(_SIZES, _PAPER), pairs)
    for row in range(6):
        for x, side, width in ((x_c, "challenge", 15), (x_u, "user", 8)):
            videos = pairs[side][row][pairs[f"{side}_valid"][row]]
            joined = np.concatenate(list(videos))
            padding = np.zeros(width - len(joined), np.float32)
            np.testing.assert_array_equal(x[row], [*joined, *padding])


def test_equations_1_and_2_by_mean_leave_the_padding_out():
    options = replace(_PAPER, challenge_pooling="mean", user_pooling="mean")
    pairs = _pairs()
    x_c, x_u = _representations(_build(_SIZES, options), pairs)
    for row in range(6):
        for x, side in ((x_c, "challenge"), (x_u, "user")):
            videos = pairs[side][row][pairs[f"{side}_valid"][row]]
            np.testing.assert_allclose(x[row], videos.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(
    ("option", "layer", "dim", "size"),
    [
        ("challenge_pooling", CHALLENGE_REPRESENTATION, 3, 5),
        ("user_pooling", USER_REPRESENTATION, 2, 4),
    ],
)
def test_each_side_is_joined_as_its_own_option_says(option, layer, dim, size, pooling):
    model = _build(_SIZES, replace(_PAPER, **{option: pooling}))
    factor = {"concat": size, "mean_std": 2}.get(pooling, 1)
    assert model.get_layer(layer).mode == pooling
    assert model.get_layer(layer).output.shape == (None, factor * dim)
    other = {CHALLENGE_REPRESENTATION, USER_REPRESENTATION} - {layer}
    assert model.get_layer(other.pop()).mode == "concat"


def test_only_a_concatenation_sees_the_order_of_videos():
    pairs = _pairs()
    turned = dict(pairs)
    for side in ("challenge", "user"):
        turned[side] = pairs[side][:, ::-1]
        turned[f"{side}_valid"] = pairs[f"{side}_valid"][:, ::-1]
    options = replace(_PAPER, challenge_pooling="attention", user_pooling="attention")
    masked = _build(_SIZES, options)
    np.testing.assert_allclose(masked(turned), masked(pairs), atol=1e-6)
    concat = _build(_SIZES, _PAPER)
    assert not np.allclose(concat(turned), concat(pairs), atol=1e-3)


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "layer_norm"])
@pytest.mark.parametrize("interaction", _INTERACTIONS)
def test_the_head_computes_what_its_interaction_says(
    interaction, norm, dense, layer_norm
):
    options = replace(_PAPER, interaction=interaction, layer_norm=norm)
    head = build_head((6,), (3,), options)
    for layer in head.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.bias.assign(keras.random.normal(layer.bias.shape, seed=4))
    x_c, x_u = np.random.default_rng(0).normal(size=(2, 8, 6)).astype(np.float32)
    x_u = x_u[:, :3]
    normalize = layer_norm if norm else lambda x: x
    if interaction != "none":
        p_c = dense(head, "project_challenge", normalize(x_c))
        p_u = dense(head, "project_user", normalize(x_u))
    if interaction == "dot":
        x = np.sum(p_c * p_u, axis=1, keepdims=True)
    else:
        parts = [x_c, x_u]
        if interaction == "product_difference":
            parts += [p_c * p_u, p_c - p_u]
        x = np.concatenate(parts, axis=1)
        assert x.shape[1] == _INTERACTIONS[interaction]
        x = np.maximum(normalize(dense(head, "dense", x)), 0.0)
    expected = _sigmoid(dense(head, "logit", x))[:, 0]
    np.testing.assert_allclose(head([x_c, x_u]), expected, atol=1e-5)


def test_options_decide_width_projection_and_dropout():
    options = ModelOptions(hidden_dim=9, projection_dim=4, dropout=0.4)
    head = build_head((6,), (3,), options)
    assert head.get_layer("dense").units == 9
    assert head.get_layer("project_challenge").units == 4
    assert head.get_layer("project_user").units == 4
    assert head.get_layer("dropout").rate == 0.4


def test_the_model_is_its_representations_and_its_head():
    model, pairs = _build(_SIZES, ModelOptions()), _pairs()
    representations = _representations(model, pairs)
    np.testing.assert_allclose(
        model(pairs), model.get_layer(HEAD)(representations), atol=1e-6
    )


def test_the_answer_is_one_probability_a_pair():
    model = _build(_SIZES, ModelOptions())
    probability = np.asarray(model(_pairs()))
    assert model.output.shape == (None,)
    assert probability.shape == (6,)
    assert probability.dtype == np.float32
    assert np.all((probability > 0) & (probability < 1))


def test_names_of_weights_are_a_contract():
    options = ModelOptions(challenge_pooling="attention", user_pooling="attention")
    model = _build(_SIZES, options)
    assert {weight.path for weight in model.weights} == {
        *(
            f"{side}_representation/{weight}"
            for side in ("challenge", "user")
            for weight in ("hidden/kernel", "hidden/bias", "score/kernel")
        ),
        *(
            f"project_{side}/{weight}"
            for side in ("challenge", "user")
            for weight in ("kernel", "bias")
        ),
        *("dense/kernel", "dense/bias", "dense_norm/gamma", "dense_norm/beta"),
        *("logit/kernel", "logit/bias"),
    }


@pytest.mark.parametrize(
    ("pooling", "interaction"),
    [
        ("attention", "product_difference"),
        ("concat", "none"),
        ("mean", "dot"),
        ("mean_std", "none"),
    ],
)
def test_deep_challenger_survives_a_file(pooling, interaction, check_round_trip):
    options = ModelOptions(
        challenge_pooling=pooling,
        user_pooling=pooling,
        interaction=interaction,
        hidden_dim=6,
        projection_dim=7,
    )
    model, pairs = _build(_SIZES, options), _pairs()
    loaded = check_round_trip(model, pairs)
    x = _representations(model, pairs)
    np.testing.assert_array_equal(loaded.get_layer(HEAD)(x), model.get_layer(HEAD)(x))


_ANSWER = """
import sys
import numpy as np
from pathlib import Path
from dc_keras.training.model_directory import load_model
model, config = load_model(Path(sys.argv[1]))
with np.load(Path(sys.argv[1]) / "pairs.npz") as pairs:
    answers = model({name: pairs[name] for name in pairs.files})
np.save(Path(sys.argv[1]) / "answers.npy", answers)
print(config["task"])
"""


@pytest.mark.long
def test_another_process_loads_the_model_and_gives_the_same_answers(tmp_path):
    from dc_keras.training.model_directory import save_model

    model, pairs = _build(_SIZES, ModelOptions()), _pairs()
    save_model(tmp_path, model, {"task": "participation"})
    np.savez(tmp_path / "pairs.npz", **pairs)
    done = subprocess.run(
        [sys.executable, "-c", _ANSWER, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "participation\n"
    np.testing.assert_array_equal(np.load(tmp_path / "answers.npy"), model(pairs))


def test_the_papers_fusion_has_the_papers_sizes(paper_model, paper_preset):
    study = paper_preset["StudyOptions"]
    dim = paper_model.hidden_dim
    sizes = (study["support_max"], dim, study["history_max"], dim)
    model = DeepChallenger(*sizes, **paper_model.to_dict())
    # PAPER.md: eq. (1) with n = 1000 is 256,000 wide; eq. (2) with m = 8 is 2,048.
    assert model.get_layer(CHALLENGE_REPRESENTATION).output.shape == (None, 256_000)
    assert model.get_layer(USER_REPRESENTATION).output.shape == (None, 2_048)
    assert model.get_layer(HEAD).get_layer("dense").kernel.shape == (258_048, 256)
    # 256·(258,048 + 1) of the dense layer and 256 + 1 of the logit; nothing else.
    assert model.count_params() == 66_060_544 + 257


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_copies_share_no_weight(pooling):
    options = ModelOptions(challenge_pooling=pooling, user_pooling=pooling)
    copies = _build(_SIZES, options, 3)
    pairs = _pairs()
    before = copies(pairs).numpy()
    assert before.shape == (len(pairs["user"]), 3)
    alone = _build(_SIZES, options)
    assert _num_trainable(copies) == 3 * _num_trainable(alone)
    # What moves one copy moves that one alone.
    for weight in copies.get_layer(HEAD).trainable_variables:
        values = weight.numpy()
        values[1] += 1.0
        weight.assign(values)
        moved = copies(pairs).numpy() != before
        assert moved.any(axis=0).tolist() == [False, moved[:, 1].any(), False]
    assert moved[:, 1].any()


def _num_trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("interaction", _INTERACTIONS)
@pytest.mark.parametrize("layer_norm", [True, False])
def test_a_copy_is_a_model_of_its_own(interaction, layer_norm, pooling):
    options = ModelOptions(
        interaction=interaction,
        layer_norm=layer_norm,
        challenge_pooling=pooling,
        user_pooling=pooling,
    )
    copies = _build(_SIZES, options, 2)
    rng = np.random.default_rng(0)
    copies.set_weights([rng.normal(size=w.shape) for w in copies.get_weights()])
    pairs = _pairs()
    for index in (0, -1):
        alone = copies.select_copy(index)
        np.testing.assert_allclose(copies(pairs)[:, index], alone(pairs), atol=1e-6)
