"""Where BERT comes from: a SavedModel through tensorflow-hub, or a keras-nlp preset.

Both ways end in the same: a function from token ids to the last layer's states, and the
vocabulary that the ids belong to (PAPER choice 9).
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
        weights: the variables that shape an embedding, in a fixed order.
        vocabulary: WordPieces; the position of a piece is its id.
        lower_case: whether the vocabulary is uncased.
        graph: JSON value that says which computation the weights belong to.
    """

    encode: Callable[[Any, Any], Any]
    weights: tuple[Any, ...]
    vocabulary: tuple[str, ...]
    lower_case: bool
    graph: Any


def load_bert(handle: str, *, max_tokens: int, vocab_file: str | None) -> Bert:
    """Loads what a handle names.

    A vocabulary that does not come with a word on its case is uncased where no piece
    has a capital letter.

    Args:
        handle: `hub:` and a path or URL, or `keras_nlp:` and a preset or directory.
        max_tokens: the longest sequence that it must take.
        vocab_file: vocabulary to use in place of its own; None for its own.

    Raises:
        DataError: the handle has neither prefix, cannot be reached, or does not have
            the standard encoder interface.
        DataError: there is no vocabulary, or one larger than the embedding table.
        DataError: it takes no `max_tokens` tokens.
    """
    kind, _, place = handle.partition(":")
    if kind not in _LOADERS or place == "":
        raise DataError(
            "the text encoder must be hub:PATH_OR_URL, keras_nlp:PRESET_OR_DIR or the "
            f"name of a registered one. Received: text={handle!r}"
        )
    bert = _LOADERS[kind](place, vocab_file)
    # The longest sequence of the last id, once: a table may be too short for either.
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
        DataError: it cannot be reached or is none.
    """
    import keras_nlp

    try:
        return keras_nlp.models.Backbone.from_preset(preset)
    except Exception as error:
        raise DataError(
            "cannot load the BERT preset. Offline, bring a keras-nlp preset or a "
            "Hugging Face directory (config.json, model.safetensors, vocab.txt) and "
            f"give --text=keras_nlp:DIR. Received: text='keras_nlp:{preset}' "
            f"({one_line(error)})"
        ) from error


def load_backbone(preset: str) -> keras.Model:
    """Loads a backbone of keras-hub that reads WordPieces: BERT, DistilBERT, ELECTRA.

    Args:
        preset: as of `read_backbone`.

    Raises:
        DataError: it cannot be reached or is none of these.
    """
    import keras_nlp

    backbone = read_backbone(preset)
    known = ("BertBackbone", "DistilBertBackbone", "ElectraBackbone")
    if not isinstance(backbone, tuple(getattr(keras_nlp.models, k) for k in known)):
        raise DataError(
            "the preset must be a BERT, DistilBERT or ELECTRA, or bring a tokenizer "
            f"of its own. Received: text='keras_nlp:{preset}' "
            f"(a {type(backbone).__name__})"
        )
    return backbone


def load_preset_vocabulary(preset: str) -> tuple[tuple[str, ...], bool]:
    """Returns a preset's WordPieces and whether they are uncased.

    Raises:
        DataError: it has no WordPiece vocabulary.
    """
    import keras_nlp

    try:
        tokenizer = keras_nlp.models.Tokenizer.from_preset(preset)
        return tuple(tokenizer.get_vocabulary()), bool(tokenizer.lowercase)
    except Exception as error:
        raise DataError(
            "the preset brings no WordPiece vocabulary (vocab.txt, "
            "tokenizer_config.json); a spec may name one as `vocab_file`. "
            f"Received: text='keras_nlp:{preset}' ({one_line(error)})"
        ) from error


def _load_hub(handle: str, vocab_file: str | None) -> Bert:
    layer = HubBert(handle, name="bert")
    source = layer.vocab_file if vocab_file is None else vocab_file
    if source is None:
        raise DataError(
            "the hub module brings no vocabulary (an asset `vocab_file`); a spec may "
            f"name one as `vocab_file`. Received: text='hub:{handle}'"
        )
    vocabulary = read_vocabulary(source)
    return Bert(
        encode=layer,
        weights=layer.float_weights,
        vocabulary=vocabulary,
        lower_case=(
            is_lower_case(vocabulary) if layer.lower_case is None else layer.lower_case
        ),
        graph=graph_hash(handle),
    )


def _load_keras_nlp(preset: str, vocab_file: str | None) -> Bert:
    backbone = load_backbone(preset)
    if vocab_file is None:
        vocabulary, lower_case = load_preset_vocabulary(preset)
    else:
        vocabulary = read_vocabulary(vocab_file)
        lower_case = is_lower_case(vocabulary)
    return Bert(
        encode=backbone_states(backbone),
        weights=tuple(backbone.weights),
        vocabulary=vocabulary,
        lower_case=lower_case,
        graph=backbone_graph(backbone),
    )


def backbone_states(backbone: keras.Model) -> Callable[[Any, Any], Any]:
    """Returns a backbone's function from ids and mask to states; see `Bert.encode`."""

    def encode(token_ids: Any, padding_mask: Any) -> Any:
        inputs = {
            "token_ids": token_ids,
            "padding_mask": padding_mask,
            "segment_ids": keras.ops.zeros_like(token_ids),
        }
        # DistilBERT knows no segments, and gives the states alone.
        found = backbone({name: inputs[name] for name in backbone.input})
        return found["sequence_output"] if isinstance(found, dict) else found

    return encode


def backbone_graph(backbone: keras.Model) -> dict[str, Any]:
    """Returns what a backbone computes, as JSON values, without its weights."""
    config = backbone.get_config()
    return {key: config[key] for key in config if key not in ("name", "trainable")}


_LOADERS: dict[str, Callable[[str, str | None], Bert]] = {
    "hub": _load_hub,
    "keras_hub": _load_keras_nlp,
    "keras_nlp": _load_keras_nlp,
}
