import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from dc_keras.models.config import TrainingOptions
from dc_keras.models.signal_head import build_signal_head
from dc_keras.signals.table import STACK_C
from dc_keras.training.loop import predict
from dc_keras.training.signal_head import (
    HeadShape,
    fit_signal_head,
    signal_examples,
    start_as_stack,
)

_SHAPE = HeadShape(signal_dim=8, dropout=0.0)


def _signals(count, seed=0):
    rng = np.random.default_rng(seed)
    signals = rng.normal(3.0, 2.0, size=(count, 3)).astype(np.float32)
    labels = (signals[:, 0] + rng.normal(size=count) > 3).astype(np.int32)
    signals[::7, 1] = np.nan
    return signals, labels


def test_a_head_starts_as_the_logistic_stack_of_its_signals():
    keras.utils.set_random_seed(0)
    signals, labels = _signals(200)
    head = build_signal_head(3, 6, 0.4)
    start_as_stack(head, signals, labels)
    # The same by scikit-learn alone, unknown values at the mean of the known ones.
    mean, std = np.nanmean(signals, axis=0), np.nanstd(signals, axis=0)
    scaled = np.nan_to_num((signals - mean) / std).clip(-5, 5)
    stack = LogisticRegression(C=STACK_C, max_iter=1000).fit(scaled, labels)
    np.testing.assert_allclose(
        head({"signals": signals}), stack.predict_proba(scaled)[:, 1], atol=1e-4
    )


def test_what_training_makes_worse_is_undone():
    # Labels of training pairs are noise, so that the stack is all that holds.
    signals, labels = _signals(400)
    train, valid = np.arange(200), np.arange(200, 400)
    labels[train] = np.random.default_rng(1).permutation(labels[train])
    options = TrainingOptions(epochs=6, learning_rate=0.3, patience=3)
    examples = signal_examples(signals, labels)
    fitted = fit_signal_head(examples, train, valid, _SHAPE, options)
    start = build_signal_head(3, 8, 0.0)
    start_as_stack(start, signals[train], labels[train])
    fitted_loss, start_loss = (
        log_loss(labels[valid], predict(head, examples.take(valid)).astype(float))
        for head in (fitted, start)
    )
    assert fitted_loss <= start_loss + 1e-6


def test_training_goes_beyond_the_stack():
    # Joins where exactly one of two signals is positive.
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(1200, 2)).astype(np.float32)
    labels = ((signals[:, 0] > 0) != (signals[:, 1] > 0)).astype(np.int32)
    options = TrainingOptions(epochs=20, batch_size=32, learning_rate=0.01, patience=0)
    examples = signal_examples(signals, labels)
    head = fit_signal_head(
        examples, np.arange(800), np.arange(800, 800), _SHAPE, options
    )
    scores = predict(head, examples.take(np.arange(800, 1200)))
    assert np.mean((scores > 0.5) == labels[800:]) > 0.9
