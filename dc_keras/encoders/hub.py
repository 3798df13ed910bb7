"""Loads SavedModels with tensorflow-hub: BERT, and encoders of texts."""

from __future__ import annotations

import hashlib
import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dc_keras.errors import DataError
from tfrecords.storage.checksums import SUMS_FILE
from tfrecords.storage.integrity import verify_directory

INPUT_NAMES = ("input_word_ids", "input_mask", "input_type_ids")
_STANDARD = (
    "the hub module must have the standard encoder interface "
    f"({', '.join(INPUT_NAMES)} → sequence_output)"
)
_VECTORS = "a hub module that takes texts must return float32 (batch_size, dim)"
_OFFLINE = (
    "cannot load the hub module. Offline, use --text=hub:DIR with a SavedModel "
    "directory, such as one of `python -m pipelines.export_text_encoder`"
)
# Formatting of Keras's messages, and names of nodes in TensorFlow's messages.
_DECORATION = re.compile(r"\x1b\[[\d;]*m|\{\{\w+_node [^}]*\}\}")


class _HubLayer(keras.layers.Layer):
    """A hub module as a Keras layer.

    The module's variables become the layer's own, so that Keras sees, trains and
    freezes them.
    """

    def __init__(self, handle: str, *, is_trained: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.module = module = load_module(handle)
        for attribute in ("__call__", "variables", "trainable_variables"):
            if not hasattr(module, attribute):
                raise _refuse(_STANDARD, handle, f"no {attribute}")
        trainable = {variable.ref() for variable in module.trainable_variables}
        self._adopted = [
            _adopt(variable, is_trained and variable.ref() in trainable)
            for variable in module.variables
        ]


class HubBert(_HubLayer):
    """A BERT of TensorFlow Hub as a Keras layer, whose weights Keras can train.

    The handle is a path or URL.

    Attributes:
        hidden_dim: width of a token's state.
        vocab_file: path of the module's vocabulary; None if it has none.
        lower_case: whether the module is uncased; None if it does not state this.

    Call arguments:
        token_ids: int32 (batch_size, num_tokens).
        padding_mask: int32 (batch_size, num_tokens), 1 for tokens.

    Returns:
        `sequence_output`, float32 (batch_size, num_tokens, hidden_dim).

    Raises:
        DataError: the handle cannot be reached or has another interface.
    """

    def __init__(self, handle: str, **kwargs: Any) -> None:
        super().__init__(handle, is_trained=True, **kwargs)
        parameters = inspect.signature(self.module.__call__).parameters
        # Without dropout, whatever the default of the module is.
        self._options = {"training": False} if "training" in parameters else {}
        try:
            one = tf.ones((1, 1), tf.int32)
            self.hidden_dim = int(self.call(one, one).shape[2])
        except Exception as error:
            raise _refuse(_STANDARD, handle, one_line(error)) from error
        self.built = True

    @property
    def vocab_file(self) -> str | None:
        """Path of the module's vocabulary."""
        asset = getattr(self.module, "vocab_file", None)
        return None if asset is None else asset.asset_path.numpy().decode()

    @property
    def float_weights(self) -> tuple[keras.Variable, ...]:
        """The weights without the states of dropout, which change with every export."""
        return tuple(w for w in self.weights if keras.backend.is_float_dtype(w.dtype))

    @property
    def lower_case(self) -> bool | None:
        """Whether the module is uncased; None if it does not state this."""
        variable = getattr(self.module, "do_lower_case", None)
        return None if variable is None else bool(variable.numpy())

    def call(self, token_ids: Any, padding_mask: Any) -> Any:
        """Runs the module; see the class."""
        values = (token_ids, padding_mask, tf.zeros_like(token_ids))
        inputs = dict(zip(INPUT_NAMES, values, strict=True))
        return self.module(inputs, **self._options)["sequence_output"]

    def compute_output_spec(
        self, token_ids: Any, padding_mask: Any
    ) -> keras.KerasTensor:
        """Returns the spec: float32 (batch_size, num_tokens, hidden_dim)."""
        return keras.KerasTensor((*token_ids.shape, self.hidden_dim), dtype="float32")


class HubText(_HubLayer):
    """A hub module that embeds texts, as a Keras layer; the handle is a path or URL.

    Attributes:
        embedding_dim: width of a vector.

    Call arguments:
        captions: string (batch_size,).

    Returns:
        float32 (batch_size, embedding_dim).

    Raises:
        DataError: the handle cannot be reached, or the module returns other outputs.
    """

    def __init__(self, handle: str, **kwargs: Any) -> None:
        super().__init__(handle, is_trained=False, **kwargs)
        try:
            vectors = self.module(tf.constant(["a", "b"]))
            is_valid = len(vectors.shape) == 2 and vectors.dtype == tf.float32
        except Exception as error:
            raise _refuse(_VECTORS, handle, one_line(error)) from error
        if not is_valid:
            raise _refuse(
                _VECTORS, handle, f"{vectors.dtype.name} {tuple(vectors.shape)}"
            )
        self.embedding_dim = int(vectors.shape[1])
        self.built = True

    def call(self, captions: Any) -> Any:
        """Runs the module; see the class."""
        return tf.ensure_shape(self.module(captions), (None, self.embedding_dim))

    def compute_output_spec(self, captions: Any) -> keras.KerasTensor:
        """Returns the spec: float32 (batch_size, embedding_dim)."""
        return keras.KerasTensor((captions.shape[0], self.embedding_dim), "float32")


def load_module(handle: str) -> Any:
    """Loads a hub module.

    Raises:
        DataError: the module cannot be reached or loaded, or a file is damaged.
    """
    if (Path(handle) / SUMS_FILE).exists():
        verify_directory(Path(handle), "export_text_encoder")
    try:
        return _tensorflow_hub().load(handle)
    except Exception as error:
        raise _refuse(_OFFLINE, handle, one_line(error)) from error


def takes_texts(handle: str) -> bool:
    """Returns whether a hub module takes strings, without loading it.

    Raises:
        DataError: the handle cannot be reached.
    """
    graphs = _read_saved_model(handle).meta_graphs
    objects = graphs[0].object_graph_def if graphs else None
    if objects is None or not objects.nodes:
        return False
    root = {child.local_name: child.node_id for child in objects.nodes[0].children}
    if "__call__" not in root:
        return False
    names = objects.nodes[root["__call__"]].function.concrete_functions
    for name in names:
        signature = objects.concrete_functions[name].canonicalized_input_signature
        arguments = signature.tuple_value.values[0].tuple_value.values
        if (
            arguments
            and arguments[0].tensor_spec_value.dtype == tf.string.as_datatype_enum
        ):
            return True
    return False


def asset_hashes(handle: str) -> list[str]:
    """Returns the SHA-256, in hex, of each asset of a module."""
    assets = Path(_tensorflow_hub().resolve(handle)) / "assets"
    files = sorted(path for path in assets.rglob("*") if path.is_file())
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def graph_hash(handle: str) -> str:
    """Returns the SHA-256, in hex, of a module's graph without its weights."""
    path = Path(_tensorflow_hub().resolve(handle)) / "saved_model.pb"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def one_line(error: Exception) -> str:
    """Returns an error on one line of at most 200 characters, for messages."""
    text = " ".join(_DECORATION.sub("", str(error)).split())
    return f"{type(error).__name__}: {text}"[:200]


def _read_saved_model(handle: str) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    hub, model = _tensorflow_hub(), saved_model_pb2.SavedModel()
    try:
        path = Path(hub.resolve(handle)) / "saved_model.pb"
        model.ParseFromString(path.read_bytes())
    except Exception as error:
        raise _refuse(_OFFLINE, handle, one_line(error)) from error
    return model


def _tensorflow_hub() -> Any:
    """Returns the package, imported without its warning about setuptools.

    It imports pkg_resources, which warns of its removal; pyproject.toml requires a
    version of setuptools that includes it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
        warnings.filterwarnings(
            "ignore", "Deprecated call to `pkg_resources", DeprecationWarning
        )
        import tensorflow_hub
    return tensorflow_hub


def _refuse(rule: str, handle: str, reason: str) -> DataError:
    return DataError(f"{rule}. Received: text='hub:{handle}' ({reason})")


def _adopt(variable: tf.Variable, trainable: bool) -> keras.Variable:
    adopted = keras.Variable(
        "zeros",
        shape=variable.shape,
        dtype=variable.dtype.name,
        trainable=trainable,
        name=variable.name.split(":")[0].replace("/", "_"),
    )
    adopted._value = variable  # Keras has no public way to share a variable.
    return adopted
