"""Exports a keras-nlp BERT as a SavedModel with the standard encoder interface.

The root of the SavedModel is a `tf.train.Checkpoint` with `__call__` and lists of its
variables. A `tf.Module` would store every variable twice and would not record which
variables are trainable.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dc_keras.encoders.hub import INPUT_NAMES
from dc_keras.encoders.token_encoders import load_backbone, load_preset_vocabulary
from dc_keras.errors import DataError
from tfrecords.storage.checksums import seal_directory

_SAVED_MODEL = "saved_model.pb"


def export_text_encoder(
    handle: str,
    directory: str | Path,
    progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Writes a preset as a SavedModel that `hub:DIRECTORY` loads with equal outputs.

    Its `__call__` takes `input_word_ids`, `input_mask` and `input_type_ids`, int32
    (batch_size, num_tokens), and returns `pooled_output`, float32 (batch_size,
    hidden_dim), and `sequence_output`, float32 (batch_size, num_tokens, hidden_dim);
    `vocab_file` and `do_lower_case` are attributes. The SavedModel is written under a
    temporary name and renamed.

    Returns:
        The directory.

    Raises:
        DataError: the handle is no `keras_nlp:` handle or cannot be loaded.
        DataError: the directory exists and is not a SavedModel.
    """
    kind, _, preset = handle.partition(":")
    if kind not in ("keras_nlp", "keras_hub") or not preset:
        raise DataError(
            "only a keras-nlp BERT can be exported: keras_nlp:PRESET_OR_DIR. "
            f"Received: text={handle!r}"
        )
    target = Path(directory)
    _check_target(target)
    progress("loading the encoder and writing it as a SavedModel, about 20 seconds")
    backbone = load_backbone(preset)
    if not isinstance(backbone.output, dict) or "pooled_output" not in backbone.output:
        raise DataError(
            "only a BERT has the outputs of the standard encoder. "
            f"Received: text={handle!r} (a {type(backbone).__name__})"
        )
    vocabulary, lower_case = load_preset_vocabulary(preset)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=f".{target.name}-"
    ) as work:
        vocab_file = Path(work) / "vocab.txt"
        vocab_file.write_text("".join(f"{piece}\n" for piece in vocabulary), "utf-8")
        root = hub_module(backbone, vocab_file, lower_case)
        save = tf.autograph.experimental.do_not_convert(tf.saved_model.save)
        save(root, f"{work}/model")
        seal_directory(Path(work) / "model")
        if target.exists():
            target.rename(Path(work) / "replaced")
        (Path(work) / "model").rename(target)
    return target


def hub_module(
    backbone: keras.Model, vocab_file: Path, lower_case: bool
) -> tf.train.Checkpoint:
    """Returns the trackable root of the SavedModel of a standard BERT encoder."""

    def encode(inputs: dict[str, tf.Tensor], training: bool = False) -> Any:
        return backbone(
            {
                "token_ids": inputs["input_word_ids"],
                "padding_mask": inputs["input_mask"],
                "segment_ids": inputs["input_type_ids"],
            },
            training=training,
        )

    function = tf.function(encode, autograph=False)
    inputs = {
        name: tf.TensorSpec((None, None), tf.int32, name=name) for name in INPUT_NAMES
    }
    for training in (False, True):
        function.get_concrete_function(inputs, training=training)
    root = tf.train.Checkpoint()
    root.__call__ = function
    root.variables = [variable.value for variable in backbone.variables]
    root.trainable_variables = [v.value for v in backbone.trainable_variables]
    root.vocab_file = tf.saved_model.Asset(str(vocab_file))
    root.do_lower_case = tf.Variable(lower_case, trainable=False, dtype=tf.bool)
    return root


def _check_target(target: Path) -> None:
    is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not is_free and not (target / _SAVED_MODEL).is_file():
        raise DataError(
            "the output must be a new directory, or a SavedModel to replace. "
            f"Received: output={str(target)!r}"
        )
