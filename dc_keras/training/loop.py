"""The one training loop, for every model and every strategy.

Keras 3's `fit` fails under a multi-worker strategy, so the loop is ours: `strategy.run`
over Keras layers and optimizers, driving Keras callbacks. What runs on the replicas is
in `steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from dc_keras.models.config import TrainingOptions
from dc_keras.training.callbacks import Backup, ResumableEarlyStopping
from dc_keras.training.dataset import Examples
from dc_keras.training.objectives import Objective
from dc_keras.training.steps import forward, make_optimizer, training_steps
from dc_keras.training.strategies import make_strategy

_PREDICT_BATCH = 1024


def fit(
    build_model: Callable[[], keras.Model],
    train: Examples,
    valid: Examples,
    objective: Objective,
    options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    judge_start: bool = False,
) -> keras.Model:
    """Fits a model with Adam and early stopping, and gives it its best weights back.

    Args:
        build_model: builds the model; called inside the strategy's scope.
        train: what the gradient sees.
        valid: what early stopping sees; empty turns early stopping off.
        objective: loss, scores and the metric to watch.
        options: batch size, epochs, patience, strategy, arithmetic, seed.
        callbacks: Keras callbacks. With `Backup` among them a stopped training goes
            on at the epoch after the last finished one. With
            `steps_per_execution` they see only the first and the last batch of so many.
        judge_start: whether early stopping may give back the weights that the model
            was built with, where no epoch is better.

    Returns:
        The fitted model, which computes in float32 whatever it was trained in. Its
        training curve is `model.history.history`.

    Reference:
        Section IV-D.
    """
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = make_strategy(options.strategy, options.tpu_address)
    with strategy.scope(), _precision(options.precision):
        model = build_model()
        num_steps = _num_passes(train, options) * train.num_batches(options.batch_size)
        # A dynamic scale skips steps, and would lose count of the epochs.
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
    # Where nobody looks between the steps, an epoch is one call.
    stride = options.steps_per_execution if callbacks else num_steps
    start = early if judge_start else []
    _run_epochs(model, train, valid, objective, options, runner, stride, start)
    runner.on_train_end()
    return model if options.precision == "float32" else _in_float32(model, build_model)


def predict(
    model: keras.Model, examples: Examples, batch_size: int = _PREDICT_BATCH
) -> np.ndarray:
    """Returns the model's outputs for all examples, in order, dropout off.

    They are computed by the replicas that the model was built for.

    Returns:
        float32 (num_examples, …).
    """
    return _Predictor(model, examples, batch_size)()


class _Predictor:
    """Outputs of a model for some examples; compiled once, called when wanted."""

    def __init__(self, model: keras.Model, examples: Examples, batch_size: int) -> None:
        self._num_examples = len(examples)
        self._batches = model.distribute_strategy.distribute_datasets_from_function(
            lambda part: examples.ordered_batches(batch_size, part)
        )
        self._forward = forward(model)

    def __call__(self) -> np.ndarray:
        outputs = [self._forward(inputs).numpy() for inputs, _, _ in self._batches]
        # The last batch is filled up.
        return np.concatenate(outputs)[: self._num_examples]


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
    """Rebuilds a model of mixed precision, whose weights are float32 already."""
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
    train: Examples,
    valid: Examples,
    objective: Objective,
    options: TrainingOptions,
    runner: keras.callbacks.CallbackList,
    stride: int,
    judges_of_start: Sequence[ResumableEarlyStopping],
) -> None:
    num_passes = _num_passes(train, options)
    num_steps = num_passes * train.num_batches(options.batch_size)
    # A restored optimizer knows how far training had come.
    done = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // num_steps
    batches = model.distribute_strategy.distribute_datasets_from_function(
        lambda part: train.training_batches(
            options.batch_size, options.seed, done * num_passes, part
        )
    )
    run_steps = training_steps(model, objective.loss, options, iter(batches))
    evaluate = _evaluation(model, valid, objective)
    reseed = _dropout_reseeder(model)
    for judge in judges_of_start if done == 0 else ():
        judge.judge_start(evaluate())
    for epoch in range(done, options.epochs):
        reseed(epoch)
        runner.on_epoch_begin(epoch)
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


def _num_passes(train: Examples, options: TrainingOptions) -> int:
    """Returns how often an epoch goes over the examples."""
    return -(-options.epoch_steps // train.num_batches(options.batch_size))


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


def _evaluation(
    model: keras.Model, valid: Examples, objective: Objective
) -> Callable[[], dict[str, float]]:
    """Returns what scores the validation examples after an epoch."""
    if not len(valid):
        return dict
    outputs_of = _Predictor(model, valid, _PREDICT_BATCH)

    def evaluate() -> dict[str, float]:
        scores = objective.score(valid.labels, outputs_of(), valid.weights)
        return {f"val_{name}": value for name, value in scores.items()}

    return evaluate
