"""Compiled training steps and the compiled forward pass, for all replicas."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import keras
import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry

from dc_keras.options import TrainingOptions

# A power of two, so that scaling is exact. The smallest float16 is 6e-8.
_FLOAT16_LOSS_SCALE = 1024.0


def make_optimizer(
    options: TrainingOptions, strategy: Any, num_steps: int
) -> keras.optimizers.Adam:
    """Returns an Adam optimizer; must be called in the scope of the strategy.

    The optimizer sums the gradients of the replicas. With `clip_norm`, they must be the
    mean over replicas, so each is clipped to `clip_norm` / number of replicas. An epoch
    has `num_steps` steps.
    """
    clip_norm = options.clip_norm / strategy.num_replicas_in_sync
    rate: Any = options.learning_rate
    if options.decay == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, options.epochs * num_steps)
    is_half = options.precision == "mixed_float16"
    return keras.optimizers.Adam(
        rate,
        # Keras would count the optimizers of the process, and the name is saved.
        name="adam",
        global_clipnorm=clip_norm or None,
        loss_scale_factor=_FLOAT16_LOSS_SCALE if is_half else None,
    )


def training_steps(
    model: keras.Model,
    loss: Callable[[Any, Any], Any],
    options: TrainingOptions,
    batches: Any,
) -> Callable[[int], Any]:
    """Returns a compiled function that runs a number of training steps.

    A step minimizes Σ weight × loss / count over the global batch, with the count of
    its examples, so that a smaller last batch is weighted correctly.

    Args:
        model: model compiled with `make_optimizer`.
        loss: computes the loss from (labels, outputs), float32 (batch_size,).
        options: clipping and XLA compilation.
        batches: iterator over distributed pieces of `Examples.training_batches`.

    Returns:
        A function of a number of steps that returns Σ weight × loss over all their
        examples, float32 ().
    """
    strategy = model.distribute_strategy
    variables = model.trainable_variables

    def gradients_of(inputs: Any, labels: Any, weights: Any, count: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = tf.cast(model(inputs, training=True), tf.float32)
            total = tf.reduce_sum(loss(labels, outputs) * weights)
            scaled = model.optimizer.scale_loss(total / count)
        return total, tape.gradient(scaled, variables)

    # XLA cannot compile the communication between replicas.
    if options.jit:
        gradients_of = _compile(gradients_of, jit_compile=True)

    def replica_step(*batch: Any) -> Any:
        total, gradients = gradients_of(*batch)
        if options.clip_norm:
            replica = tf.distribute.get_replica_context()
            gradients = replica.all_reduce("mean", gradients)
        # The optimizer sums the gradients of the replicas.
        model.optimizer.apply(gradients, variables)
        return total

    def step(done: Any, total: Any) -> Any:
        totals = strategy.run(replica_step, args=next(batches))
        return done + 1, total + strategy.reduce("sum", totals, axis=None)

    def steps(number: Any) -> Any:
        start = (tf.constant(0), tf.constant(0.0))
        return tf.while_loop(lambda done, _: done < number, step, start)[1]

    return _compile(steps, input_signature=[tf.TensorSpec((), tf.int32)])


def _compile(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Returns a tf.function of tensors that is traced without a warning.

    Each model has its own function and traces it once. TensorFlow counts the traces of
    all functions from the same line of code, and would warn of retracing after a few
    models. Concrete functions are exempt.
    """
    compiled = tf.function(function, autograph=False, **options)

    def call(*tensors: Any) -> Any:
        with _unregister_custom_gradients():
            concrete = compiled.get_concrete_function(*tensors)
        return concrete(*tensors)

    return call


@contextmanager
def _unregister_custom_gradients() -> Iterator[None]:
    """Removes the custom gradients that TensorFlow registers inside the context.

    While TensorFlow traces a function, it registers the gradient of every
    `tf.custom_gradient` for the rest of the process, with references to the graph, its
    variables and its datasets. Optimizers use `ReplicaContext.all_reduce`, which has a
    custom gradient, so every fitted model would stay in memory. Gradients of a graph
    traced in this context cannot be computed afterwards.
    """
    registered = gradient_registry._registry
    known = set(registered)
    try:
        yield
    finally:
        for name in registered.keys() - known:
            # Keep other gradients, which imports during tracing may register.
            if name.startswith("CustomGradient-"):
                del registered[name]


# Compiled functions by model: tracing takes longer than running a small model.
_compiled: WeakKeyDictionary[keras.Model, Callable[[Any], Any]] = WeakKeyDictionary()


def forward(model: keras.Model) -> Callable[[Any], Any]:
    """Returns the compiled forward pass of a model, without dropout.

    Returns:
        A function that takes distributed inputs and returns the outputs of all
        replicas, concatenated, float32.
    """
    if model not in _compiled:
        strategy = model.distribute_strategy
        # A strong reference in the cached function would keep its model alive.
        called: Any = weakref.ref(model)

        def replica_forward(inputs: Any) -> Any:
            return tf.cast(called()(inputs, training=False), tf.float32)

        def outputs_of(inputs: Any) -> Any:
            outputs = strategy.run(replica_forward, args=(inputs,))
            return strategy.gather(outputs, axis=0)

        _compiled[model] = _compile(outputs_of)
    return _compiled[model]
