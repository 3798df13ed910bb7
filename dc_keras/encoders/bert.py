"""Loads BERT from a SavedModel of tensorflow-hub or from a keras-nlp preset.

Both provide a function from token ids to the states of the last layer, and the
vocabulary of the token ids (PAPER choice 9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dc_keras.encoders.captions import is_lower_case, read_vocabulary
from dc_keras.encoders.hub import HubBert, graph_hash, one_line
from dc_keras.errors import DataError


@dataclass(frozen=True)
class Bert:
    """A loaded BERT.

    Attributes:
        encode: (token_ids, padding_mask), both int32 (batch_size, num_tokens) →
            sequence_output, float32 (batch_size, num_tokens, hidden_dim). Works on
            Keras's symbolic tensors.
        weights: the variables that affect an embedding, in a fixed order.
        vocabulary: WordPieces; the position of a piece is its id.
        lower_case: whether the vocabulary is uncased.
        graph: JSON value that identifies the computation without its weights.
    """

    encode: Callable[[Any, Any], Any]
    weights: tuple[Any, ...]
    vocabulary: tuple[str, ...]
    lower_case: bool
    graph: Any


def load_bert(handle: str, *, max_tokens: int) -> Bert:
    """Loads the BERT of a handle.

    If the encoder does not state its case, a vocabulary without capital letters is
    treated as uncased.

    Args:
        handle: `hub:` and a path or URL, or `keras_nlp:` and a preset or directory.
        max_tokens: length of the longest sequence that the encoder must accept.

    Raises:
        DataError: the handle has neither prefix, cannot be reached, or does not have
            the standard encoder interface.
        DataError: there is no vocabulary, or it is larger than the embedding table.
        DataError: the encoder does not accept `max_tokens` tokens.
    """
    kind, _, place = handle.partition(":")
    if kind not in _LOADERS or place == "":
        raise DataError(
            "the text encoder must be hub:PATH_OR_URL, keras_nlp:PRESET_OR_DIR or the "
            f"name of a registered one. Received: text={handle!r}"
        )
    bert = _LOADERS[kind](place)
    # A sequence of maximum length of the highest id checks both embedding tables.
    ids = tf.fill((1, max_tokens), len(bert.vocabulary) - 1)
    try:
        bert.encode(ids, tf.ones_like(ids))
    except Exception as error:
        raise DataError(
            f"the text encoder must take {max_tokens} tokens (--max_tokens) and a "
            f"vocabulary of {len(bert.vocabulary)}. "
            f"Received: text={handle!r} ({one_line(error)})"
        ) from error
    return bert


def read_backbone(preset: str) -> keras.Model:
    """Loads a backbone of keras-hub.

    Args:
        preset: name of a preset, or a directory: a keras-hub preset or a Hugging Face
            checkpoint with safetensors.

    Raises:
        DataError: the preset cannot be reached or is no backbone.
    """
    import keras_nlp

    try:
        return keras_nlp.models.Backbone.from_preset(preset)
    except Exception as error:
        raise DataError(
            "cannot load the BERT preset. Offline, provide a keras-nlp preset or a "
            "Hugging Face directory (config.json, model.safetensors, vocab.txt) with "
            f"--text=keras_nlp:DIR. Received: text='keras_nlp:{preset}' "
            f"({one_line(error)})"
        ) from error


def load_backbone(preset: str) -> keras.Model:
    """Loads a keras-hub backbone with WordPieces: BERT, DistilBERT or ELECTRA.

    Args:
        preset: as for `read_backbone`.

    Raises:
        DataError: the preset cannot be reached or has another architecture.
    """
    import keras_nlp

    backbone = read_backbone(preset)
    known = ("BertBackbone", "DistilBertBackbone", "ElectraBackbone")
    if not isinstance(backbone, tuple(getattr(keras_nlp.models, k) for k in known)):
        raise DataError(
            "the preset must be a BERT, DistilBERT or ELECTRA, or include its own "
            f"tokenizer. Received: text='keras_nlp:{preset}' "
            f"(a {type(backbone).__name__})"
        )
    return backbone


def load_preset_vocabulary(preset: str) -> tuple[tuple[str, ...], bool]:
    """Returns a preset's WordPieces and whether they are uncased.

    Raises:
        DataError: the preset has no WordPiece vocabulary.
    """
    import keras_nlp

    try:
        tokenizer = keras_nlp.models.Tokenizer.from_preset(preset)
        return tuple(tokenizer.get_vocabulary()), bool(tokenizer.lowercase)
    except Exception as error:
        raise DataError(
            "the preset includes no WordPiece vocabulary (vocab.txt, "
            "tokenizer_config.json). "
            f"Received: text='keras_nlp:{preset}' ({one_line(error)})"
        ) from error


def _load_hub(handle: str) -> Bert:
    layer = HubBert(handle, name="bert")
    if layer.vocab_file is None:
        raise DataError(
            "the hub module includes no vocabulary (an asset `vocab_file`). "
            f"Received: text='hub:{handle}'"
        )
    vocabulary = read_vocabulary(layer.vocab_file)
    return Bert(
        encode=layer,
        weights=layer.float_weights,
        vocabulary=vocabulary,
        lower_case=(
            is_lower_case(vocabulary) if layer.lower_case is None else layer.lower_case
        ),
        graph=graph_hash(handle),
    )


def _load_keras_nlp(preset: str) -> Bert:
    backbone = load_backbone(preset)
    vocabulary, lower_case = load_preset_vocabulary(preset)
    return Bert(
        encode=backbone_states(backbone),
        weights=tuple(backbone.weights),
        vocabulary=vocabulary,
        lower_case=lower_case,
        graph=backbone_graph(backbone),
    )


def backbone_states(backbone: keras.Model) -> Callable[[Any, Any], Any]:
    """Returns the `Bert.encode` function of a backbone."""

    def encode(token_ids: Any, padding_mask: Any) -> Any:
        inputs = {
            "token_ids": token_ids,
            "padding_mask": padding_mask,
            "segment_ids": keras.ops.zeros_like(token_ids),
        }
        # DistilBERT has no segment ids, and returns only the states.
        outputs = backbone({name: inputs[name] for name in backbone.input})
        return outputs["sequence_output"] if isinstance(outputs, dict) else outputs

    return encode


def backbone_graph(backbone: keras.Model) -> dict[str, Any]:
    """Returns the configuration of a backbone that determines its computation."""
    config = backbone.get_config()
    return {key: config[key] for key in config if key not in ("name", "trainable")}


_LOADERS: dict[str, Callable[[str], Bert]] = {
    "hub": _load_hub,
    "keras_hub": _load_keras_nlp,
    "keras_nlp": _load_keras_nlp,
}
