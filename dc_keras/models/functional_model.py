"""Base class of the models: functional models that are configured by their arguments.

A subclass builds its graph in `__init__` from sizes and the fields of `ModelOptions`.
Its configuration consists of these arguments instead of layers, so that loading a saved
model returns the subclass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf
from keras import ops

from dc_keras.options import PAPER_MODEL, ModelOptions

PRESETS: Mapping[str, ModelOptions] = {"default": ModelOptions(), "paper": PAPER_MODEL}


def require_positive(**sizes: int) -> None:
    """Raises a ValueError for a size that is not a whole number, or is below 1."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(
                f"`{name}` must be a whole number, at least 1. "
                f"Received: {name}={size!r}"
            )


@contextmanager
def dtype_policy_scope(dtype: Any) -> Iterator[Any]:
    """Sets the default dtype policy inside the context, and yields it.

    Args:
        dtype: a name such as "mixed_bfloat16", or a `keras.DTypePolicy`; None keeps the
            current default.
    """
    before = keras.config.dtype_policy()
    policy = before if dtype is None else keras.dtype_policies.get(dtype)
    keras.config.set_dtype_policy(policy)
    try:
        yield policy
    finally:
        keras.config.set_dtype_policy(before)


class FunctionalModel(keras.Model):
    """A functional model that is configured by the arguments of its constructor.

    Args:
        inputs: input tensors by name.
        outputs: the output tensor.
        arguments: the arguments of the subclass's constructor, as plain values.
        options: the options of the graph.
        policy: dtype policy of the layers.
        **kwargs: `name` and `trainable`.

    Attributes:
        options: the options of the graph.
        SIZES: names of the arguments that `from_preset` takes from its data.
        DATA: description of these data, for messages.
    """

    SIZES: ClassVar[tuple[str, ...]] = ()
    DATA: ClassVar[str] = "a part"

    def __init__(
        self,
        inputs: Mapping[str, Any],
        outputs: Any,
        arguments: Mapping[str, Any],
        options: ModelOptions,
        policy: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.dtype_policy = policy
        self.options = options
        self._arguments = dict(arguments)

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of inputs and outputs, by the constructor's arguments."""
        return {k: v for k, v in self._arguments.items() if k != "copies"}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, and the names of frozen layers."""
        return {
            **self._arguments,
            **self.options.to_dict(),
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "frozen_layers": list(_frozen_layers(self)),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:
        """Builds a model from its configuration, with new weights."""
        arguments = dict(config)
        frozen = arguments.pop("frozen_layers", ())
        if isinstance(arguments.get("dtype"), dict):
            arguments["dtype"] = keras.dtype_policies.deserialize(arguments["dtype"])
        model = cls(**arguments)
        for path in frozen:
            layer: Any = model
            for name in path.split("/"):
                layer = layer.get_layer(name)
            layer.trainable = False
        return model

    @classmethod
    def from_preset(cls, preset: str, *, data: Any, **arguments: Any) -> Self:
        """Builds a model with the options of a preset for the sizes of some data.

        Args:
            preset: "default" (`ModelOptions()`), or "paper" (`PAPER_MODEL`, the
                architecture of the paper).
            data: the training data. Its `sizes` are arguments of the constructor, and
                its `adapt(model)` sets fixed statistics.
            **arguments: arguments of the constructor that differ from the preset.

        Returns:
            A model with new weights. Moments of features are those of `data`.

        Raises:
            ValueError: if the preset is unknown.
            TypeError: if `data` has other sizes, such as pairs for a proxy of videos.
        """
        if preset not in PRESETS:
            raise ValueError(
                f"`preset` must be one of {', '.join(PRESETS)}. "
                f"Received: preset={preset!r}"
            )
        sizes = getattr(data, "sizes", {})
        if set(sizes) != set(cls.SIZES):
            raise TypeError(
                f"`data` of {cls.__name__} must be {cls.DATA} of a split. "
                f"Received: {type(data).__name__}"
            )
        options = PRESETS[preset].to_dict()
        model = cls(**{**options, **sizes, **arguments})
        data.adapt(model)
        return model

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains the model, as `keras.Model.fit` does.

        For a `tf.data.Dataset`, `shuffle` is False by default: Keras does not shuffle
        it and would warn.
        """
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)
        return super().fit(x, *args, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Computes the loss for `fit` and `evaluate`.

        Keras averages a loss over the last axis. Probabilities (batch_size,) therefore
        get an axis of outputs; otherwise Keras would average over the examples and use
        the mean of their weights.
        """
        if len(y_pred.shape) == 1:
            logits = getattr(y_pred, "_keras_logits", None)
            y_pred = ops.expand_dims(y_pred, -1)
            if logits is not None:
                # Cross-entropy of log-odds has a gradient where sigmoid saturates.
                y_pred._keras_logits = ops.expand_dims(logits, -1)
        return super().compute_loss(x, y, y_pred, sample_weight, training)


def _frozen_layers(model: keras.Model, prefix: str = "") -> Iterator[str]:
    """Yields the paths of the layers that are not trainable."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if not layer.trainable:
            yield f"{prefix}{layer.name}"
        elif isinstance(layer, keras.Model):
            yield from _frozen_layers(layer, f"{prefix}{layer.name}/")
