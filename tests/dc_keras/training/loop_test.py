import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss

from dc_keras.models.config import TrainingOptions
from dc_keras.training.loop import fit, predict
from dc_keras.training.objectives import Objective, classification, participation

ROOT = Path(__file__).parents[3]

_OPTIONS = TrainingOptions(batch_size=10, epochs=3, learning_rate=0.05, patience=0)


@pytest.fixture(scope="module")
def train(tiny_examples):
    return tiny_examples(24, seed=0)


@pytest.fixture(scope="module")
def valid(tiny_examples):
    return tiny_examples(12, seed=1)


@pytest.fixture(scope="module")
def nothing(train):
    return train.take(np.arange(0))


@pytest.fixture(scope="module")
def loss():
    return participation("val_loss")


@pytest.fixture(scope="module")
def by_default(tiny_model, train, valid, loss):
    return fit(tiny_model, train, valid, loss, _OPTIONS)


def _features(examples):
    return examples.tables["x"].numpy()[examples.index["x"]]


def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def _adam_by_hand(train, options, weights):
    """Logistic regression by Adam on Σ wᵢ lossᵢ / batch size; the mean loss an epoch."""
    weights = np.concatenate([w.ravel() for w in weights]).astype(np.float64)
    m = v = np.zeros(5)
    curve, losses = [], []
    num_batches = train.num_batches(options.batch_size)
    batches = train.training_batches(options.batch_size, options.seed, first_epoch=0)
    batches = batches.take(num_batches * options.epochs)
    for step, (inputs, labels, importance, count) in enumerate(batches, start=1):
        x = np.column_stack([inputs["x"], np.ones(len(labels))]).astype(np.float64)
        y, share = labels.numpy(), importance.numpy() / float(count)
        p = _sigmoid(x @ weights)
        losses.append(-np.sum(importance.numpy() * np.log(np.where(y == 1, p, 1 - p))))
        gradient = x.T @ (share * (p - y))
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        m_hat, v_hat = m / (1 - 0.9**step), v / (1 - 0.999**step)
        weights -= options.learning_rate * m_hat / (np.sqrt(v_hat) + 1e-7)
        if len(losses) == num_batches:
            curve.append(np.sum(losses) / len(train))
            losses = []
    return weights, curve


def test_training_is_adam_on_the_weighted_mean_of_each_batch(
    tiny_model, train, by_default
):
    keras.utils.set_random_seed(_OPTIONS.seed)
    weights, curve = _adam_by_hand(train, _OPTIONS, tiny_model().get_weights())
    fitted = np.concatenate([w.ravel() for w in by_default.get_weights()])
    np.testing.assert_allclose(fitted, weights, atol=1e-4)
    np.testing.assert_allclose(by_default.history.history["loss"], curve, atol=1e-5)


def test_the_curve_tells_of_the_validation_examples(by_default, valid):
    curve = by_default.history.history
    assert {name: len(values) for name, values in curve.items()} == {
        "loss": 3,
        "val_loss": 3,
        "val_average_precision": 3,
    }
    scores = predict(by_default, valid).astype(np.float64)
    assert curve["val_loss"][-1] == pytest.approx(
        log_loss(valid.labels, scores, sample_weight=valid.weights), rel=1e-5
    )
    assert curve["val_average_precision"][-1] == pytest.approx(
        average_precision_score(valid.labels, scores)
    )


def test_the_seed_decides_the_weights(tiny_model, train, valid, loss):
    def weights(seed):
        options = replace(_OPTIONS, seed=seed)
        return fit(lambda: tiny_model(6), train, valid, loss, options).get_weights()

    first, second, other = weights(1), weights(1), weights(2)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(first[0], other[0])


def test_every_epoch_drops_other_units(tiny_model, train, nothing, loss):
    # One example many times and no learning: only dropout moves the loss.
    options = replace(_OPTIONS, learning_rate=0.0, epochs=4)
    alike = train.take(np.full(20, 3))
    model = fit(lambda: tiny_model(6), alike, nothing, loss, options)
    assert len(set(np.round(model.history.history["loss"], 6))) == 4


def test_dropout_lasts_for_more_than_256_epochs(tiny_model, train, nothing, loss):
    options = replace(_OPTIONS, epochs=258)
    few = train.take(np.arange(8))
    model = fit(lambda: tiny_model(2), few, nothing, loss, options)
    assert len(model.history.history["loss"]) == 258


@pytest.mark.parametrize(
    ("monitor", "curve", "num_epochs", "best"),
    [
        ("val_loss", [0.9, 0.5, 0.7, 0.6, 0.1], 4, 1),
        ("val_average_precision", [0.1, 0.5, 0.3, 0.4, 0.9], 4, 1),
        ("val_loss", [0.9, 0.8, 0.85, 0.7, 0.6], 5, 4),
        ("val_average_precision", [0.5, 0.5, 0.5, 0.9, 0.9], 3, 0),
    ],
    ids=["falls", "rises", "to the end", "no progress"],
)
def test_early_stopping_gives_the_best_weights_back(
    tiny_model, train, valid, loss, monitor, curve, num_epochs, best
):
    scores = iter(curve)
    scripted = Objective(
        loss.loss, lambda *_: {monitor.removeprefix("val_"): next(scores)}, monitor
    )
    weights = []
    recorder = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: weights.append(recorder.model.get_weights())
    )
    options = replace(_OPTIONS, epochs=5, patience=2)
    model = fit(tiny_model, train, valid, scripted, options, [recorder])
    assert len(weights) == num_epochs
    assert model.history.history[monitor] == curve[:num_epochs]
    for given_back, then in zip(model.get_weights(), weights[best], strict=True):
        np.testing.assert_array_equal(given_back, then)


@pytest.mark.parametrize("patience", [0, 1])
def test_nothing_stops_early_without_patience_or_validation(
    tiny_model, train, valid, nothing, loss, patience
):
    last = []
    recorder = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: last.append(recorder.model.get_weights())
    )
    options = replace(_OPTIONS, learning_rate=5.0, epochs=6, patience=patience)
    seen = valid if patience == 0 else nothing
    model = fit(tiny_model, train, seen, loss, options, [recorder])
    curve = model.history.history
    assert len(curve["loss"]) == 6
    assert ("val_loss" in curve) is (patience == 0)
    np.testing.assert_array_equal(model.get_weights()[0], last[-1][0])


def test_predictions_are_in_order_whatever_the_batches(tiny_model, train):
    model = tiny_model(6)
    # Dropout off, or two passes would differ.
    expected = model({"x": _features(train)}, training=False)
    for batch_size in (1, 7, 24, 256):
        np.testing.assert_allclose(
            predict(model, train, batch_size), expected, atol=1e-6
        )


@pytest.mark.parametrize("strategy", ["one_device", "mirrored"])
def test_every_strategy_gives_the_same_weights(
    tiny_model, train, valid, loss, by_default, strategy
):
    options = replace(_OPTIONS, strategy=strategy)
    model = fit(tiny_model, train, valid, loss, options)
    for a, b in zip(model.get_weights(), by_default.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert model.history.history["loss"] == pytest.approx(
        by_default.history.history["loss"], rel=1e-5
    )


_TWO_REPLICAS = """
import sys
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from dc_keras.models.config import TrainingOptions
from dc_keras.training.data import Examples
from dc_keras.training.loop import fit
from dc_keras.training.objectives import participation
from dc_keras.training.strategies import make_strategy

def build():
    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(1, activation="sigmoid")(x)
    return keras.Model({"x": x}, keras.layers.Reshape(())(y))

with np.load(sys.argv[1]) as saved:
    table = {"x": tf.constant(saved["x"])}
    index = {"x": np.arange(len(saved["x"]), dtype=np.int32)}
    examples = Examples(table, index, saved["labels"], saved["weights"])
fitted = {}
for name in ("default", "mirrored"):
    options = TrainingOptions(batch_size=8, epochs=3, learning_rate=0.05, strategy=name)
    model = fit(build, examples, examples, participation("val_loss"), options)
    fitted[name] = np.concatenate([w.ravel() for w in model.get_weights()])
    fitted[f"{name}_loss"] = model.history.history["loss"]
print(make_strategy("mirrored").num_replicas_in_sync)
np.savez(sys.argv[2], **fitted)
"""


@pytest.mark.slow
def test_two_replicas_give_the_weights_of_one(tiny_examples, tmp_path):
    # 25 examples in batches of 8: the last batch has one, and a replica has none.
    examples = tiny_examples(25, seed=0)
    np.savez(
        tmp_path / "examples.npz",
        x=_features(examples),
        labels=examples.labels,
        weights=examples.weights,
    )
    done = subprocess.run(
        [sys.executable, "-c", _TWO_REPLICAS, "examples.npz", "fitted.npz"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["2"], done.stderr[-2000:]
    with np.load(tmp_path / "fitted.npz") as fitted:
        np.testing.assert_allclose(fitted["mirrored"], fitted["default"], atol=1e-5)
        np.testing.assert_allclose(
            fitted["mirrored_loss"], fitted["default_loss"], rtol=1e-5
        )


def test_participation_is_scored_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 30)
    outputs = rng.random(30).astype(np.float32)
    weights = rng.random(30).astype(np.float32)
    scores = participation("val_loss").score(labels, outputs, weights)
    exact = outputs.astype(np.float64)
    assert scores["loss"] == pytest.approx(
        log_loss(labels, exact, sample_weight=weights), rel=1e-5
    )
    assert scores["average_precision"] == pytest.approx(
        average_precision_score(labels, exact)
    )


def test_certain_and_wrong_is_a_finite_loss():
    scores = participation("val_loss").score(
        np.array([1, 0]), np.array([0.0, 1.0]), np.ones(2)
    )
    assert scores["loss"] == pytest.approx(-np.log(1e-7), rel=1e-3)


def test_validation_without_a_positive_has_the_worst_average_precision():
    scores = participation("val_average_precision").score(
        np.zeros(3, int), np.array([0.1, 0.2, 0.3]), np.ones(3)
    )
    assert scores["average_precision"] == 0.0


def test_classes_are_scored_by_cross_entropy_and_accuracy():
    labels, weights = np.array([0, 2, 1]), np.array([1.0, 3.0, 0.0])
    outputs = np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    objective = classification()
    # (1·−ln .5 + 3·−ln .1 + 0·−ln .8) / 4; two of three are right.
    expected = {"loss": (np.log(2) + 3 * np.log(10)) / 4, "accuracy": 2 / 3}
    assert objective.score(labels, outputs, weights) == pytest.approx(expected)
    assert objective.monitor == "val_loss"
    np.testing.assert_allclose(
        objective.loss(labels, outputs), -np.log([0.5, 0.1, 0.8]), rtol=1e-5
    )
