"""What all models share: configurations, presets, and how `fit` weighs examples."""

import keras
import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.models.paper_baselines import UserBaseline
from dc_keras.models.proxy import ChallengeProxy, UserProxy
from dc_keras.options import PAPER_MODEL, ModelOptions

_SMALL = {"hidden_dim": 4, "projection_dim": 3}
_BUILDERS = {
    "fusion": lambda **more: DeepChallenger(3, 2, 2, 2, **_SMALL, **more),
    "copies": lambda **more: DeepChallenger(3, 2, 2, 2, copies=2, **_SMALL, **more),
    "challenge proxy": lambda **more: ChallengeProxy(3, 2, 4, 5, **_SMALL, **more),
    "user proxy": lambda **more: UserProxy(3, caption_dim=5, **_SMALL, **more),
    "baseline": lambda **more: UserBaseline(2, 3, 4, **_SMALL, **more),
}


class _Data:
    """Sizes of a fusion, and a note of what was adapted."""

    sizes = {"support_max": 3, "challenge_dim": 2, "history_max": 2, "user_dim": 2}  # noqa: RUF012
    adapted = None

    def adapt(self, model):
        self.adapted = model


@pytest.fixture(params=_BUILDERS)
def build(request):
    return _BUILDERS[request.param]


def _inputs(model, count=4):
    rng = np.random.default_rng(0)
    return {
        name: np.ones((count, *x.shape[1:]), bool)
        if x.dtype == "bool"
        else rng.normal(size=(count, *x.shape[1:])).astype(np.float32)
        for name, x in model.input.items()
    }


def test_a_configuration_is_the_arguments_of_the_constructor(build):
    model = build(name="mine", dtype="mixed_bfloat16")
    config = model.get_config()
    again = type(model).from_config(config)
    assert again.get_config() == config
    assert type(again) is type(model)
    assert (again.name, again.options) == ("mine", model.options)
    assert again.dtype_policy.name == "mixed_bfloat16"
    assert again.output.dtype == "float32"
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
    assert "layers" not in config


def test_a_policy_of_one_model_is_not_that_of_the_next(build):
    build(dtype="mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    assert build().dtype_policy.name == "float32"


def test_frozen_layers_stay_frozen(build):
    model = build()
    kept = next(layer for layer in model.layers if layer.trainable_weights)
    kept.trainable = False
    again = type(model).from_config(model.get_config())
    names = [w.path for w in model.trainable_weights]
    assert [w.path for w in again.trainable_weights] == names
    assert len(names) < len(build().trainable_weights)
    assert not build(trainable=False).trainable_weights


def test_a_layer_of_the_head_stays_frozen():
    model = _BUILDERS["fusion"]()
    model.get_layer("participation").get_layer("dense").trainable = False
    config = model.get_config()
    assert config["frozen_layers"] == ["participation/dense"]
    again = DeepChallenger.from_config(config)
    assert not again.get_layer("participation").get_layer("dense").trainable
    assert again.get_layer("participation").trainable


def test_a_file_gives_the_class_its_weights_and_its_optimizer_back(build, tmp_path):
    model = build()
    inputs, count = _inputs(model), model.output.shape[-1] or 1
    loss = "sparse_categorical_crossentropy"
    labels = np.array([0, 1, 0, 1])
    if model.layers[-1].name != "class":
        loss, labels = "binary_crossentropy", labels.repeat(count).reshape(4, -1)
        labels = labels[:, 0] if len(model.output.shape) == 1 else labels
    model.compile("adam", loss)
    before = model.get_weights()
    model.fit(inputs, labels, verbose=0)
    changed = zip(model.get_weights(), before, strict=True)
    assert any((new != old).any() for new, old in changed)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    assert int(loaded.optimizer.iterations) == 1
    loaded.fit(inputs, labels, verbose=0)


@pytest.mark.parametrize(
    ("preset", "options"), [("default", ModelOptions()), ("paper", PAPER_MODEL)]
)
def test_a_preset_gives_the_options_and_data_the_sizes(preset, options):
    data = _Data()
    model = DeepChallenger.from_preset(preset, data=data)
    assert model.options == options
    assert model.get_config()["challenge_dim"] == 2
    assert data.adapted is model
    other = DeepChallenger.from_preset(preset, data=data, hidden_dim=7, user_dim=5)
    assert other.options.hidden_dim == 7
    assert other.get_config()["user_dim"] == 5


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="`preset` must be one of default, paper"):
        DeepChallenger.from_preset("papper", data=_Data())


@pytest.mark.parametrize(
    ("wrong", "error", "rule"),
    [
        ({"dropout": 1.5}, DataError, "`dropout` must be below 1"),
        ({"user_pooling": "sum"}, DataError, "`user_pooling` must be one of"),
        ({"hidden_dims": 3}, TypeError, "unexpected keyword argument 'hidden_dims'"),
        (
            {"support_max": 0},
            ValueError,
            "`support_max` must be a whole number, at lea",
        ),
        (
            {"user_dim": "8"},
            ValueError,
            "`user_dim` must be a whole number, at least 1",
        ),
        ({"copies": 0}, ValueError, "`copies` must be a whole number, at least 1"),
    ],
)
def test_arguments_outside_their_range_are_refused(wrong, error, rule):
    with pytest.raises(error, match=rule):
        DeepChallenger(**{**_Data.sizes, **wrong})


@pytest.mark.parametrize("name", ["fusion", "copies", "baseline"])
def test_fit_gives_each_example_its_own_weight(name):
    """An example of weight 0 must not change the model: Keras alone would average."""
    results = []
    for changed in (0, 1):
        keras.utils.set_random_seed(0)
        model = _BUILDERS[name](dropout=0.0, modality_dropout=0.0, set_dropout=0.0)
        model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
        labels = np.array([1, 0, 1, changed])
        if name == "copies":
            labels = np.stack([labels, labels], axis=1)
        weights = np.array([1.0, 2.0, 0.5, 0.0])
        model.fit(_inputs(model), labels, sample_weight=weights, verbose=0)
        results.append(model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("logit", [-60.0, 60.0])
def test_fit_learns_from_certain_and_wrong_answers(logit):
    """The loss is that of log-odds: a sigmoid of 60 is 1 in float32."""
    model = _BUILDERS["fusion"]()
    last = [w for w in model.trainable_variables if "logit" in w.path][-1]
    last.assign([logit])
    model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
    inputs = {name: np.zeros_like(x) for name, x in _inputs(model).items()}
    model.fit(inputs, np.full(4, float(logit < 0)), verbose=0)
    # d loss / d logit is −1 for a joiner with probability 0, and 1 the other way.
    np.testing.assert_allclose(last.numpy(), logit - np.sign(logit), atol=1e-3)
