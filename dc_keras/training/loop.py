"""The training loop of all models, for all distribution strategies.

Keras 3's `fit` does not support a multi-worker strategy. This loop uses `strategy.run`
with Keras models, optimizers and callbacks. The compiled steps are in `steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dc_keras.options import TrainingOptions
from dc_keras.training.callbacks import Backup, ResumableEarlyStopping
from dc_keras.training.dataset import Examples, TrainingExamples
from dc_keras.training.example_shards import stream
from dc_keras.training.objectives import Objective
from dc_keras.training.steps import forward, make_optimizer, training_steps
from dc_keras.training.strategies import make_strategy

# Examples and bytes of inputs in a batch for prediction.
_PREDICT_BATCH, _PREDICT_BYTES = 1024, 1 << 26


def fit(
    build_model: Callable[[], keras.Model],
    train: Examples,
    valid: Examples,
    objective: Objective,
    options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Fits a model with Adam and early stopping, and restores its best weights.

    Args:
        build_model: builds the model; called in the scope of the strategy.
        train: training examples.
        valid: validation examples for early stopping; if empty, it is disabled.
        objective: loss, scores and the metric for early stopping.
        options: training options.
        callbacks: Keras callbacks. With `Backup`, a stopped training resumes after the
            last finished epoch. With `steps_per_execution`, batch callbacks are called
            for the first and last batch of an execution only.

    Returns:
        The fitted model, which computes in float32 even if it was trained in mixed
        precision. Its training curve is `model.history.history`.

    Raises:
        DataError: if the records of the examples have changed.

    Reference:
        Section IV-D.
    """
    with stream(train, options.shuffle_buffer) as source:
        del train
        return _fit(build_model, source, valid, objective, options, callbacks)


def _fit(
    build_model: Callable[[], keras.Model],
    train: TrainingExamples,
    valid: Examples,
    objective: Objective,
    options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback],
) -> keras.Model:
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = make_strategy(options.strategy, options.tpu_address)
    with strategy.scope(), _precision(options.precision):
        model = build_model()
        num_steps = _num_passes(train, options) * train.num_batches(options.batch_size)
        # Automatic loss scaling would skip steps, and the optimizer's number of steps
        # gives the epoch to resume from.
        optimizer = make_optimizer(options, strategy, num_steps)
        model.compile(optimizer, auto_scale_loss=False)
        model.optimizer.build(model.trainable_variables)
    early = _early_stopping(objective, options, valid, callbacks)
    runner = keras.callbacks.CallbackList(
        [*early, *callbacks],
        add_history=True,
        model=model,
        epochs=options.epochs,
        steps=num_steps,
    )
    model.stop_training = False
    runner.on_train_begin()
    # Without callbacks that see batches, an epoch is one execution.
    stride = options.steps_per_execution if callbacks else num_steps
    with train.reading():
        _run_epochs(model, train, valid, objective, options, runner, stride)
    runner.on_train_end()
    return model if options.precision == "float32" else _in_float32(model, build_model)


def predict(
    model: keras.Model, examples: Examples, batch_size: int | None = None
) -> np.ndarray:
    """Returns a model's outputs for all examples, in order, without dropout.

    The replicas of the model's strategy share the work.

    Args:
        model: the model.
        examples: the examples.
        batch_size: global batch size; None for 1024, or fewer if their inputs are
            larger than 64 MiB.

    Returns:
        float32 (num_examples, …).

    Raises:
        DataError: if the records of the examples have changed.
    """
    with examples.reading():
        return _Predictor(model, examples, batch_size)()


class _Predictor:
    """Computes the outputs of a model for the same examples, repeatedly."""

    def __init__(
        self, model: keras.Model, examples: Examples, batch_size: int | None = None
    ) -> None:
        size = batch_size or min(_PREDICT_BATCH, examples.rows_within(_PREDICT_BYTES))
        self._strategy = model.distribute_strategy
        self._num_replicas = self._strategy.num_replicas_in_sync
        self._piece_size = -(-size // self._num_replicas)
        self._examples = examples
        self._forward = forward(model)

    def __call__(self) -> np.ndarray:
        count = len(self._examples)
        starts = range(0, count, self._piece_size * self._num_replicas)
        outputs = [self._forward(self._inputs(start)).numpy() for start in starts]
        return np.concatenate(outputs)[:count]

    def _inputs(self, start: int) -> Any:
        """Returns a batch: a piece of consecutive examples for each replica."""

        def piece(replica: tf.distribute.experimental.ValueContext) -> Any:
            number = replica.replica_id_in_sync_group
            first = start + number * self._piece_size
            return self._examples.inputs_at(first, self._piece_size)

        return self._strategy.experimental_distribute_values_from_function(piece)


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _in_float32(
    model: keras.Model, build_model: Callable[[], keras.Model]
) -> keras.Model:
    """Rebuilds a model of mixed precision in float32, with the same weights."""
    with model.distribute_strategy.scope(), _precision("float32"):
        rebuilt = build_model()
    rebuilt.set_weights(model.get_weights())
    rebuilt.history = model.history
    return rebuilt


def _early_stopping(
    objective: Objective,
    options: TrainingOptions,
    valid: Examples,
    callbacks: Sequence[keras.callbacks.Callback],
) -> list[ResumableEarlyStopping]:
    if options.patience == 0 or len(valid) == 0:
        return []
    backups = [item.directory for item in callbacks if isinstance(item, Backup)]
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
    train: TrainingExamples,
    valid: Examples,
    objective: Objective,
    options: TrainingOptions,
    runner: keras.callbacks.CallbackList,
    stride: int,
) -> None:
    num_passes = _num_passes(train, options)
    num_steps = num_passes * train.num_batches(options.batch_size)
    # A restored optimizer has the number of finished steps.
    done = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // num_steps
    batches = model.distribute_strategy.distribute_datasets_from_function(
        lambda part: train.training_batches(
            options.batch_size, options.seed, done * num_passes, part
        )
    )
    run_steps = training_steps(model, objective.loss, options, iter(batches))
    evaluate = _evaluation(model, valid, objective)
    reseed = _dropout_reseeder(model)
    for epoch in range(done, options.epochs):
        reseed(epoch)
        runner.on_epoch_begin(epoch)
        # Early stopping had ended the training before it was interrupted.
        if model.stop_training:
            return
        total = 0.0
        for first in range(0, num_steps, stride):
            end = min(first + stride, num_steps)
            runner.on_train_batch_begin(first)
            total += run_steps(end - first)
            runner.on_train_batch_end(end - 1)
        logs = {"loss": float(total) / (num_passes * len(train)), **evaluate()}
        runner.on_epoch_end(epoch, logs)
        if model.stop_training:
            return


def _num_passes(train: TrainingExamples, options: TrainingOptions) -> int:
    """Returns the number of passes over the examples in an epoch."""
    return -(-options.epoch_steps // train.num_batches(options.batch_size))


def _dropout_reseeder(model: keras.Model) -> Callable[[int], None]:
    """Returns a function that sets the dropout seeds of an epoch.

    Keras does not save the state of its seed generators. Without this, resumed and
    uninterrupted training would differ.
    """
    states = [v for v in model.non_trainable_variables if "seed_generator" in v.path]
    starts = [keras.ops.convert_to_numpy(state) for state in states]

    def reseed(epoch: int) -> None:
        for state, start in zip(states, starts, strict=True):
            state.assign(start + np.array([0, epoch << 24], start.dtype))

    return reseed


def _evaluation(
    model: keras.Model, valid: Examples, objective: Objective
) -> Callable[[], dict[str, float]]:
    """Returns a function that computes the validation metrics of an epoch."""
    if not len(valid):
        return dict
    outputs_of = _Predictor(model, valid)

    def evaluate() -> dict[str, float]:
        scores = objective.score(valid.labels, outputs_of(), valid.weights)
        return {f"val_{name}": value for name, value in scores.items()}

    return evaluate
