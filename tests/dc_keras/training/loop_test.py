from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score, log_loss

from dc_keras.errors import DataError
from dc_keras.options import TrainingOptions
from dc_keras.training.loop import fit, predict
from dc_keras.training.objectives import Objective, participation
from tfrecords.stored_rows import StoredFile, StoredRows

ROOT = Path(__file__).parents[3]

_OPTIONS = TrainingOptions(
    batch_size=10, epochs=3, learning_rate=0.05, patience=0, epoch_steps=1, decay="none"
)


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


def test_curve_has_metrics_of_the_validation_examples(by_default, valid):
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


def test_weights_depend_on_the_seed(tiny_model, train, valid, loss):
    def weights(seed):
        options = replace(_OPTIONS, seed=seed)
        return fit(lambda: tiny_model(6), train, valid, loss, options).get_weights()

    first, second, other = weights(1), weights(1), weights(2)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(first[0], other[0])


def test_every_epoch_drops_other_units(tiny_model, train, nothing, loss):
    # With one repeated example and learning rate 0, only dropout changes the loss.
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
def test_early_stopping_restores_the_best_weights(
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


def test_small_set_is_repeated_until_an_epoch_has_its_steps(
    tiny_model, train, nothing, loss
):
    seen = []
    counter = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    options = replace(_OPTIONS, batch_size=10, epochs=2, epoch_steps=7)
    few = train.take(np.arange(20))
    model = fit(tiny_model, few, nothing, loss, options, [counter])
    # Two batches a pass, so four passes: the first multiple of two from seven on.
    assert seen == [*range(8)] * 2
    assert int(model.optimizer.iterations) == 16


def test_the_rate_falls_along_half_a_cosine(tiny_model, train, nothing, loss):
    rates = []
    options = replace(_OPTIONS, epochs=4, decay="cosine")
    recorder = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: rates.append(
            float(recorder.model.optimizer.learning_rate)
        )
    )
    fit(tiny_model, train, nothing, loss, options, [recorder])
    shares = (1 + np.cos(np.pi * np.arange(1, 5) / 4)) / 2
    np.testing.assert_allclose(rates, options.learning_rate * shares, atol=1e-6)


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
    # With dropout, two passes would differ.
    expected = model({"x": _features(train)}, training=False)
    for batch_size in (1, 7, 24, 256):
        np.testing.assert_allclose(
            predict(model, train, batch_size), expected, atol=1e-6
        )


@pytest.fixture
def stored(train, tmp_path):
    """The training examples with their inputs in a file, and the same in memory."""
    values = _features(train).astype(np.float16)
    path = tmp_path / "rows"
    path.write_bytes(values.tobytes())
    count = len(values)
    rows = StoredRows(
        [StoredFile.of(path)], np.zeros(count, np.int32), 8 * np.arange(count), (4,)
    )
    index = {"x": np.arange(count, dtype=np.int32)}
    return tuple(
        replace(train, tables={"x": table}, index=index)
        for table in (rows, tf.constant(values))
    )


def test_stored_inputs_give_the_same_model_as_inputs_in_memory(
    tiny_model, stored, valid, loss
):
    models = [
        fit(lambda: tiny_model(6), part, valid, loss, _OPTIONS) for part in stored
    ]
    outputs = [predict(models[0], part) for part in stored]
    np.testing.assert_array_equal(*outputs)
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


def test_stored_inputs_that_change_are_named(tiny_model, stored, valid, loss):
    (file,) = stored[0].tables["x"].files
    file.path.write_bytes(b"")
    with pytest.raises(DataError, match="rows has changed since this process opened"):
        fit(lambda: tiny_model(6), stored[0], valid, loss, _OPTIONS)
    with pytest.raises(DataError, match="rows has changed since this process opened"):
        predict(tiny_model(6), stored[0])


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


def test_callbacks_get_the_first_and_last_step_of_an_execution(
    tiny_model, train, nothing, loss, by_default
):
    # 24 examples in batches of 4 are six steps, run as four and two.
    seen = []
    recorder = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(("begin", batch)),
        on_train_batch_end=lambda batch, logs: seen.append(("end", batch)),
    )
    options = replace(_OPTIONS, batch_size=4, epochs=1, steps_per_execution=4)
    fit(tiny_model, train, nothing, loss, options, [recorder])
    assert seen == [("begin", 0), ("end", 3), ("begin", 4), ("end", 5)]


def _gradient_norm_after_one_step(tiny_model, train, nothing, loss, clip_norm):
    """Adam's first moment after one step is a tenth of the gradient that it was given."""
    options = replace(_OPTIONS, batch_size=24, epochs=1, clip_norm=clip_norm)
    model = fit(tiny_model, train, nothing, loss, options)
    moments = [v.numpy() for v in model.optimizer.variables if "momentum" in v.path]
    return 10 * np.sqrt(sum(np.sum(np.square(moment)) for moment in moments))


def test_the_gradient_is_clipped_to_its_norm(tiny_model, train, nothing, loss):
    norms = [
        _gradient_norm_after_one_step(tiny_model, train, nothing, loss, clip_norm)
        for clip_norm in (0.0, 0.01, 100.0)
    ]
    assert norms[0] > 0.1
    assert norms[1] == pytest.approx(0.01, rel=1e-4)
    assert norms[2] == pytest.approx(norms[0], rel=1e-5)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains_a_model_that_computes_in_float32(
    tiny_model, train, valid, loss, precision
):
    seen = []
    recorder = keras.callbacks.LambdaCallback(
        on_train_begin=lambda _: seen.append(recorder.model)
    )
    options = replace(_OPTIONS, precision=precision)
    model = fit(lambda: tiny_model(6), train, valid, loss, options, [recorder])
    assert seen[0].get_layer("dense").compute_dtype == precision.removeprefix("mixed_")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    curve = model.history.history
    assert len(curve["val_loss"]) == 3
    assert curve["loss"][-1] < curve["loss"][0]
    # Training outputs and restored outputs differ by rounding only.
    scores = predict(model, valid)
    assert scores.dtype == np.float32
    assert curve["val_loss"][-1] == pytest.approx(
        log_loss(valid.labels, scores.astype(float), sample_weight=valid.weights),
        abs=0.02,
    )
