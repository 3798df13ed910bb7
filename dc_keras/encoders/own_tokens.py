"""Loads text encoders with their own tokeniser, other than BERT's WordPieces.

These are presets of keras-hub (RoBERTa, XLM-RoBERTa, ALBERT, DeBERTa), and encoders of
TensorFlow Hub with their preprocessing module. The tokeniser is part of the graph.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dc_keras.encoders.bert import backbone_graph, backbone_states, read_backbone
from dc_keras.encoders.hub import (
    HubBert,
    asset_hashes,
    graph_hash,
    load_module,
    one_line,
)
from dc_keras.errors import DataError

_INPUTS = ("token_ids", "padding_mask", "segment_ids")


class OwnPacker(keras.layers.Layer):
    """Turns captions into token ids with an encoder's own tokeniser.

    Args:
        pack: TensorFlow function: string (batch_size,) → `token_ids` and
            `padding_mask`, both (batch_size, num_tokens).
        resources: trackable resources of the function, which an export must save.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        captions: string (batch_size,), valid UTF-8.

    Returns:
        dict of `token_ids` and `padding_mask`, both int32 (batch_size, num_tokens),
        where num_tokens is the length of the longest caption; the mask is 1 for tokens.
    """

    def __init__(
        self, pack: Callable[[Any], Mapping[str, Any]], resources: Any, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.resources = resources
        # Always as a graph, because keras-hub tokenises with other code in eager mode.
        self._pack = tf.function(pack, autograph=False).get_concrete_function(
            tf.TensorSpec((None,), tf.string)
        )

    def call(self, captions: tf.Tensor) -> dict[str, tf.Tensor]:
        """Packs captions; see the class."""
        packed = self._pack(captions)
        mask = tf.cast(packed["padding_mask"], tf.int32)
        # At least one token, for an empty batch.
        length = tf.reduce_max(tf.concat([[1], tf.reduce_sum(mask, axis=1)], axis=0))
        token_ids = tf.cast(packed["token_ids"], tf.int32)
        return {
            "token_ids": token_ids[:, :length],
            "padding_mask": mask[:, :length],
        }

    def compute_output_spec(self, captions: Any) -> dict[str, keras.KerasTensor]:
        """Returns the specs: int32 (batch_size, num_tokens), num_tokens unknown."""
        shape = (captions.shape[0], None)
        return {
            name: keras.KerasTensor(shape, dtype="int32")
            for name in ("token_ids", "padding_mask")
        }


@dataclass(frozen=True)
class OwnTokens:
    """A loaded encoder with its tokeniser.

    Attributes:
        packer: captions → `token_ids` and `padding_mask`.
        encode: (token_ids, padding_mask) → float32 (batch_size, num_tokens,
            hidden_dim). Works on Keras's symbolic tensors.
        weights: the variables that affect an embedding, in a fixed order.
        identity: JSON value that identifies the computation without its weights.
    """

    packer: OwnPacker
    encode: Callable[[Any, Any], Any]
    weights: tuple[Any, ...]
    identity: Any


def has_own_tokens(preset: str) -> bool:
    """Returns whether a keras-hub preset has a tokeniser other than WordPieces."""
    import keras_nlp

    try:
        tokenizer = keras_nlp.models.Tokenizer.from_preset(preset)
    except Exception:  # Loading the backbone then raises the error, if there is one.
        return False
    return not isinstance(tokenizer, keras_nlp.tokenizers.WordPieceTokenizer)


def load_preset(preset: str, max_tokens: int) -> OwnTokens:
    """Loads a keras-hub preset and its preprocessing.

    Args:
        preset: name of a preset, or a directory.
        max_tokens: maximum number of tokens of a caption, special tokens included.

    Raises:
        DataError: the preset cannot be reached, is no encoder of padded sequences, has
            no preprocessing, or does not accept `max_tokens` tokens.
    """
    import keras_nlp

    handle = f"keras_nlp:{preset}"
    backbone = read_backbone(preset)
    names = set(backbone.input) if isinstance(backbone.input, dict) else set()
    if not {"token_ids", "padding_mask"} <= names <= {*_INPUTS}:
        raise DataError(
            "the preset must be an encoder of token_ids and padding_mask (RoBERTa). "
            f"Received: text={handle!r} (a {type(backbone).__name__})"
        )
    try:
        preprocessor = keras_nlp.models.TextClassifierPreprocessor.from_preset(
            preset, sequence_length=max_tokens
        )
    except Exception as error:
        raise DataError(
            "the preset must include preprocessing of single texts. "
            f"Received: text={handle!r} ({one_line(error)})"
        ) from error
    loaded = OwnTokens(
        packer=OwnPacker(preprocessor.__call__, preprocessor, name="pack"),
        encode=backbone_states(backbone),
        weights=tuple(backbone.weights),
        identity=[
            type(backbone).__name__,
            backbone_graph(backbone),
            _tokenizer_identity(preprocessor.tokenizer),
        ],
    )
    _check_length(loaded, handle, max_tokens)
    return loaded


def load_hub_encoder(handle: str, preprocessor: str, max_tokens: int) -> OwnTokens:
    """Loads an encoder of TensorFlow Hub and its preprocessing module.

    Args:
        handle: path or URL of the encoder, with BERT's standard interface.
        preprocessor: path or URL of the preprocessing module.
        max_tokens: maximum number of tokens of a caption, special tokens included.

    Raises:
        DataError: one of them cannot be reached or has another interface, the
            preprocessing returns more tokens, or the encoder accepts fewer.
    """
    encoder, module = HubBert(handle, name="encoder"), load_module(preprocessor)

    def pack(texts: tf.Tensor) -> dict[str, Any]:
        inputs = _prepare(module, texts, max_tokens)
        return {
            "token_ids": inputs["input_word_ids"],
            "padding_mask": inputs["input_mask"],
        }

    try:
        pack(tf.constant(["a", "b"]))
    except Exception as error:
        raise DataError(
            "the preprocessing module must turn texts into input_word_ids and "
            f"input_mask. Received: text_preprocessor='hub:{preprocessor}' "
            f"({one_line(error)})"
        ) from error
    loaded = OwnTokens(
        packer=OwnPacker(pack, module, name="pack"),
        encode=encoder,
        weights=encoder.float_weights,
        identity=[
            graph_hash(handle),
            graph_hash(preprocessor),
            asset_hashes(preprocessor),
        ],
    )
    _check_length(loaded, f"hub:{handle}", max_tokens)
    return loaded


def _prepare(module: Any, texts: tf.Tensor, max_tokens: int) -> Any:
    """Tokenises and packs texts; without `bert_pack_inputs` the length is fixed."""
    if not hasattr(module, "bert_pack_inputs"):
        return module(texts)
    length = tf.constant(max_tokens)
    return module.bert_pack_inputs([module.tokenize(texts)], seq_length=length)


def _tokenizer_identity(tokenizer: Any) -> Any:
    """Returns the hashes of a tokeniser's files and its configuration."""
    with tempfile.TemporaryDirectory() as place:
        tokenizer.save_assets(place)
        hashes = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(Path(place).iterdir())
        }
    unrelated = ("name", "trainable", "dtype", "config_file")
    config = tokenizer.get_config()
    return [hashes, {key: config[key] for key in config if key not in unrelated}]


def _check_length(loaded: OwnTokens, handle: str, max_tokens: int) -> None:
    """Checks that the encoder accepts a sequence of maximum length."""
    try:
        packed = loaded.packer(tf.constant(["a " * max_tokens]))
        states = loaded.encode(packed["token_ids"], packed["padding_mask"])
    except Exception as error:
        raise DataError(
            f"the text encoder must take {max_tokens} tokens (--max_tokens). "
            f"Received: text={handle!r} ({one_line(error)})"
        ) from error
    num_tokens = packed["token_ids"].shape[1]
    if num_tokens > max_tokens or len(states.shape) != 3:
        raise DataError(
            f"the encoder must produce at most {max_tokens} tokens (--max_tokens) and "
            "states (batch_size, num_tokens, dim). "
            f"Received: text={handle!r} with {num_tokens} tokens and states "
            f"{tuple(states.shape)}"
        )
