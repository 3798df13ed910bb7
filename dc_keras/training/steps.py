"""What is compiled: steps of training, and the forward pass, on every replica."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import keras
import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry

from dc_keras.models.config import TrainingOptions

# A power of two: scaling loses nothing. The smallest float16 is 6e-8.
_FLOAT16_LOSS_SCALE = 1024.0


def make_optimizer(
    options: TrainingOptions, strategy: Any, num_steps: int
) -> keras.optimizers.Adam:
    """Returns Adam as the options want it; to be called in the strategy's scope.

    With `decay` the rate falls over all epochs. With `clip_norm` its gradients must be
    the mean over replicas, whose sum it applies: a norm of `clip_norm` in all is one of
    `clip_norm` / replicas in each.

    Args:
        options: rate, decay, clipping, precision.
        strategy: whose replicas are counted.
        num_steps: steps of an epoch.
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
    """Compiles a number of steps, one after the other without a return to Python.

    The gradient is that of Σ weight × loss / count over the whole batch, so that an
    uneven last batch weighs what it should.

    Args:
        model: compiled with `make_optimizer`.
        loss: (labels, outputs) → float32 (batch_size,).
        options: clipping, jit.
        batches: iterator over distributed pieces of `Examples.training_batches`.

    Returns:
        A number of steps → Σ weight × loss over all their examples, float32 ().
    """
    strategy = model.distribute_strategy
    weights_to_learn = model.trainable_variables

    def gradients_of(inputs: Any, labels: Any, weights: Any, count: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = tf.cast(model(inputs, training=True), tf.float32)
            total = tf.reduce_sum(loss(labels, outputs) * weights)
            scaled = model.optimizer.scale_loss(total / count)
        return total, tape.gradient(scaled, weights_to_learn)

    # What replicas tell each other cannot be compiled with it.
    if options.jit:
        gradients_of = _compile(gradients_of, jit_compile=True)

    def replica_step(*batch: Any) -> Any:
        total, gradients = gradients_of(*batch)
        if options.clip_norm:
            replica = tf.distribute.get_replica_context()
            gradients = replica.all_reduce("mean", gradients)
        # The optimizer sums the replicas' gradients, and ours are shares of a mean.
        model.optimizer.apply(gradients, weights_to_learn)
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

    Every model has a function of its own, and traces it once. TensorFlow counts the
    traces of all functions that come from one line of code and warns of retracing after
    a few models; asking for the concrete function says that the trace is intended.
    """
    compiled = tf.function(function, autograph=False, **options)

    def call(*tensors: Any) -> Any:
        with _custom_gradients_forgotten():
            concrete = compiled.get_concrete_function(*tensors)
        return concrete(*tensors)

    return call


@contextmanager
def _custom_gradients_forgotten() -> Iterator[None]:
    """Lets a traced graph be freed when its function is.

    While TensorFlow traces a function, it registers the gradient of every
    `tf.custom_gradient` for the rest of the process, and what it registers holds the
    graph, its variables and its datasets. Every optimizer calls one, since
    `ReplicaContext.all_reduce` is one, even of a single replica. Without this, each
    fitted model therefore stays in memory. A gradient of the graph that was traced
    inside cannot be taken any more afterwards.
    """
    registered = gradient_registry._registry
    known = set(registered)
    try:
        yield
    finally:
        for name in registered.keys() - known:
            # Tracing may also import modules, and those register what must stay.
            if name.startswith("CustomGradient-"):
                del registered[name]


# Tracing takes longer than running a small model, so a model keeps what was compiled.
_compiled: WeakKeyDictionary[keras.Model, Callable[[Any], Any]] = WeakKeyDictionary()


def forward(model: keras.Model) -> Callable[[Any], Any]:
    """Returns the model's call with dropout off: distributed inputs → all outputs.

    Outputs are float32, those of all replicas one after the other.
    """
    if model not in _compiled:
        strategy = model.distribute_strategy
        # What is kept must not keep its model alive.
        called: Any = weakref.ref(model)

        def replica_forward(inputs: Any) -> Any:
            return tf.cast(called()(inputs, training=False), tf.float32)

        def outputs_of(inputs: Any) -> Any:
            outputs = strategy.run(replica_forward, args=(inputs,))
            return strategy.gather(outputs, axis=0)

        _compiled[model] = _compile(outputs_of)
    return _compiled[model]
