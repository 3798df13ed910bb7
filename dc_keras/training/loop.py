"""The one training loop, for every model and every strategy.

Keras 3's `fit` fails under a multi-worker strategy, so the loop is ours: `strategy.run`
over Keras layers and optimizers, driving Keras callbacks. Losses are averaged over the
global batch, whatever its size, so that an uneven last batch weighs what it should.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import average_precision_score

from dc_keras.models.config import TrainingOptions
from dc_keras.training.callbacks import ResumableEarlyStopping
from dc_keras.training.data import Examples
from dc_keras.training.strategies import make_strategy

_PREDICT_BATCH = 256


@dataclass(frozen=True)
class Objective:
    """What a model is fitted to, and how its progress is told.

    Attributes:
        loss: (labels, outputs) → float32 (batch_size,), per example.
        score: (labels, outputs, weights), all NumPy → metrics by name, without prefix.
        monitor: the metric that early stopping watches; one that ends in `loss` falls.
    """

    loss: Callable[[Any, Any], Any]
    score: Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, float]]
    monitor: str


def classification() -> Objective:
    """The proxies' objective: softmax cross-entropy over classes (section IV-A)."""

    def score(labels: Any, outputs: Any, weights: Any) -> dict[str, float]:
        picked = outputs[np.arange(len(labels)), labels]
        return {
            "loss": float(
                np.average(-np.log(np.maximum(picked, 1e-7)), weights=weights)
            ),
            "accuracy": float(np.mean(outputs.argmax(axis=1) == labels)),
        }

    return Objective(keras.losses.sparse_categorical_crossentropy, score, "val_loss")


def participation(monitor: str) -> Objective:
    """The participation objective: binary cross-entropy (section IV-C)."""

    def loss(labels: Any, outputs: Any) -> Any:
        labels = tf.cast(labels, outputs.dtype)
        return keras.losses.binary_crossentropy(labels[:, None], outputs[:, None])

    def score(labels: Any, outputs: Any, weights: Any) -> dict[str, float]:
        safe = np.clip(outputs, 1e-7, 1 - 1e-7)
        losses = -np.where(labels == 1, np.log(safe), np.log1p(-safe))
        scores = {"loss": float(np.average(losses, weights=weights))}
        # Undefined without a positive: then zero, as the worst that can be.
        has_positive = bool(np.any(labels == 1))
        scores["average_precision"] = (
            float(average_precision_score(labels, outputs)) if has_positive else 0.0
        )
        return scores

    return Objective(loss, score, monitor)


def fit(
    build_model: Callable[[], keras.Model],
    train: Examples,
    valid: Examples,
    objective: Objective,
    options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Fits a model with Adam and early stopping, and gives it its best weights back.

    Args:
        build_model: builds the model; called inside the strategy's scope.
        train: what the gradient sees.
        valid: what early stopping sees; empty turns early stopping off.
        objective: loss, scores and the metric to watch.
        options: batch size, epochs, patience, strategy, seed.
        callbacks: Keras callbacks. With `BackupAndRestore` among them a stopped
            training goes on at the epoch after the last finished one.

    Returns:
        The fitted model. Its training curve is `model.history.history`.

    Reference:
        Section IV-D.
    """
    keras.utils.set_random_seed(options.seed)
    strategy = make_strategy(options.strategy)
    with strategy.scope():
        model = build_model()
        rate = _learning_rate(options, train.num_batches(options.batch_size))
        model.compile(optimizer=keras.optimizers.Adam(rate))
        model.optimizer.build(model.trainable_variables)
    early = _early_stopping(objective, options, valid, callbacks)
    runner = keras.callbacks.CallbackList(
        [*early, *callbacks],
        add_history=True,
        model=model,
        epochs=options.epochs,
        steps=train.num_batches(options.batch_size),
    )
    model.stop_training = False
    runner.on_train_begin()
    _run_epochs(model, strategy, train, valid, objective, options, runner)
    runner.on_train_end()
    return model


def _learning_rate(options: TrainingOptions, num_steps: int) -> Any:
    """Returns the rate, or its fall along half a cosine; `num_steps` are an epoch's."""
    if options.decay == "none":
        return options.learning_rate
    return keras.optimizers.schedules.CosineDecay(
        options.learning_rate, options.epochs * num_steps
    )


def predict(
    model: keras.Model, examples: Examples, batch_size: int = _PREDICT_BATCH
) -> np.ndarray:
    """Returns the model's outputs for all examples, in order, dropout off."""
    batches = examples.ordered_batches(batch_size)
    forward = _forward(model, batches)
    return np.concatenate([forward(inputs).numpy() for inputs, _, _ in batches])


# Tracing takes longer than running a small model, so a model keeps what was compiled.
_compiled: WeakKeyDictionary[keras.Model, Callable[[Any], Any]] = WeakKeyDictionary()


def _forward(model: keras.Model, batches: tf.data.Dataset) -> Callable[[Any], Any]:
    """Returns the model's call with dropout off, compiled once for every batch size."""
    if model not in _compiled:
        # What is kept must not keep its model alive.
        called: Any = weakref.ref(model)
        inputs, _, _ = batches.element_spec
        _compiled[model] = tf.function(
            lambda inputs: called()(inputs, training=False),
            input_signature=[inputs],
            autograph=False,
        )
    return _compiled[model]


def _early_stopping(
    objective: Objective,
    options: TrainingOptions,
    valid: Examples,
    callbacks: Sequence[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    if options.patience == 0 or len(valid) == 0:
        return []
    backups = [
        Path(callback.backup_dir)
        for callback in callbacks
        if isinstance(callback, keras.callbacks.BackupAndRestore)
    ]
    stop = ResumableEarlyStopping(
        backup_dir=backups[0] if backups else None,
        monitor=objective.monitor,
        mode="min" if objective.monitor.endswith("loss") else "max",
        patience=options.patience,
        restore_best_weights=True,
    )
    return [stop]


def _run_epochs(
    model: keras.Model,
    strategy: Any,
    train: Examples,
    valid: Examples,
    objective: Objective,
    options: TrainingOptions,
    runner: keras.callbacks.CallbackList,
) -> None:
    steps = train.num_batches(options.batch_size)
    # A restored optimizer knows how far training had come.
    done = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // steps
    epochs = range(done, options.epochs)
    batches = train.shuffled_batches(options.batch_size, options.seed, epochs)
    iterator = iter(strategy.experimental_distribute_dataset(batches))
    train_step = _train_step(model, strategy, objective, iterator.element_spec)
    evaluate = _Evaluation(model, valid, objective)
    reseed = _dropout_reseeder(model)
    if done == 0:
        _judge_start(runner, evaluate)
    for epoch in epochs:
        reseed(epoch)
        runner.on_epoch_begin(epoch)
        total = 0.0
        for step in range(steps):
            runner.on_train_batch_begin(step)
            total += train_step(next(iterator))
            runner.on_train_batch_end(step)
        logs = {"loss": float(total) / steps, **evaluate()}
        runner.on_epoch_end(epoch, logs)
        if model.stop_training:
            return


def _judge_start(
    runner: keras.callbacks.CallbackList, evaluate: Callable[[], dict[str, float]]
) -> None:
    """Lets early stopping go back to the weights before the first epoch."""
    for callback in runner.callbacks:
        if isinstance(callback, ResumableEarlyStopping):
            callback.judge_start(evaluate())


def _dropout_reseeder(model: keras.Model) -> Callable[[int], None]:
    """Makes dropout a function of the epoch.

    Keras does not save the state of its seed generators, so a training that goes on
    after a stop would otherwise drop other units than one that was never stopped.
    """
    states = [v for v in model.non_trainable_variables if "seed_generator" in v.path]
    starts = [keras.ops.convert_to_numpy(state) for state in states]

    def reseed(epoch: int) -> None:
        for state, start in zip(states, starts, strict=True):
            state.assign(start + np.array([0, epoch << 24], start.dtype))

    return reseed


def _train_step(
    model: keras.Model, strategy: Any, objective: Objective, batch_spec: Any
) -> Callable[[Any], Any]:
    """Returns a compiled step: a distributed batch → the mean loss over it."""

    def replica_step(inputs: Any, labels: Any, weights: Any) -> Any:
        replica = tf.distribute.get_replica_context()
        count = replica.all_reduce("sum", tf.cast(tf.shape(labels)[0], tf.float32))
        with tf.GradientTape() as tape:
            losses = objective.loss(labels, model(inputs, training=True)) * weights
            loss = tf.reduce_sum(losses) / count
        gradients = tape.gradient(loss, model.trainable_variables)
        # The optimizer sums the replicas' gradients, and ours are shares of a mean.
        model.optimizer.apply(gradients, model.trainable_variables)
        return loss

    # One trace serves every batch size, the smaller last one too.
    @tf.function(input_signature=[batch_spec], autograph=False)
    def step(batch: Any) -> Any:
        losses = strategy.run(replica_step, args=batch)
        return strategy.reduce("sum", losses, axis=None)

    return cast("Callable[[Any], Any]", step)


class _Evaluation:
    """Scores the validation examples; compiled once, called after every epoch."""

    def __init__(
        self, model: keras.Model, valid: Examples, objective: Objective
    ) -> None:
        self._valid = valid
        self._score = objective.score
        if len(valid):
            self._batches = valid.ordered_batches(_PREDICT_BATCH)
            self._forward = _forward(model, self._batches)

    def __call__(self) -> dict[str, float]:
        if not len(self._valid):
            return {}
        outputs = [self._forward(inputs).numpy() for inputs, _, _ in self._batches]
        scores = self._score(
            self._valid.labels, np.concatenate(outputs), self._valid.weights
        )
        return {f"val_{name}": value for name, value in scores.items()}
