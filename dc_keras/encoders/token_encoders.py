"""Loads encoders of tokens with their tokeniser (PAPER choice 9).

BERT comes from a SavedModel of TensorFlow Hub or from a preset of keras-hub, with a
vocabulary of WordPieces. Other presets (RoBERTa, XLM-RoBERTa, ALBERT, DeBERTa) and
encoders of TensorFlow Hub with a preprocessing module have their own tokeniser, which
is part of the graph.
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

from dc_keras.encoders.captions import (
    BertPacker,
    is_lower_case,
    packed_spec,
    read_vocabulary,
)
from dc_keras.encoders.hub import (
    HubBert,
    asset_hashes,
    graph_hash,
    load_module,
    one_line,
)
from dc_keras.errors import DataError

_INPUTS = ("token_ids", "padding_mask", "segment_ids")
_WITH_WORD_PIECES = ("BertBackbone", "DistilBertBackbone", "ElectraBackbone")


class OwnPacker(keras.layers.Layer):
    """Turns captions into token ids with an encoder's own tokeniser.

    Args:
        pack: TensorFlow function: string (batch_size,) → `token_ids` and
            `padding_mask`, both (batch_size, num_tokens).
        resources: trackable resources of the function, which an export must save.

    Call arguments:
        captions: string (batch_size,), valid UTF-8.

    Returns:
        dict of `token_ids` and `padding_mask`, both int32 (batch_size, num_tokens),
        where num_tokens is the length of the longest caption; the mask is 1 for tokens.
    """

    def __init__(
        self, pack: Callable[[Any], Mapping[str, Any]], resources: Any
    ) -> None:
        super().__init__(name="pack")
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
        return packed_spec(captions)


@dataclass(frozen=True)
class TokenEncoder:
    """A loaded encoder with its tokeniser.

    Attributes:
        packer: captions → `token_ids` and `padding_mask`.
        encode: (token_ids, padding_mask), both int32 (batch_size, num_tokens) →
            float32 (batch_size, num_tokens, hidden_dim). Works on Keras's symbolic
            tensors.
        weights: the variables that affect an embedding, in a fixed order.
        identity: JSON values that identify the computation without its weights.
    """

    packer: BertPacker | OwnPacker
    encode: Callable[[Any, Any], Any]
    weights: tuple[Any, ...]
    identity: dict[str, Any]


def load_token_encoder(
    handle: str, preprocessor: str | None, max_tokens: int
) -> TokenEncoder:
    """Loads the encoder of a handle.

    If a BERT does not state its case, a vocabulary without capital letters is treated
    as uncased.

    Args:
        handle: `hub:` and a path or URL, or `keras_hub:` or `keras_nlp:` and a preset
            or directory.
        preprocessor: `hub:` and a path or URL of a preprocessing module; None for the
            encoder's own vocabulary or tokeniser.
        max_tokens: length of the longest sequence, special tokens included.

    Raises:
        DataError: the handle has neither prefix, cannot be reached, or has another
            interface; there is no vocabulary or preprocessing; or the encoder does not
            accept `max_tokens` tokens or all of the vocabulary.
    """
    kind, _, place = handle.partition(":")
    if kind not in ("hub", "keras_hub", "keras_nlp") or place == "":
        raise DataError(
            "the text encoder must be hub:PATH_OR_URL, keras_nlp:PRESET_OR_DIR or the "
            f"name of a registered one. Received: text={handle!r}"
        )
    if preprocessor is not None:
        module = preprocessor.removeprefix("hub:")
        encoder = _load_hub_encoder(place, module, max_tokens)
    elif kind == "hub":
        encoder = _load_hub_bert(place, max_tokens)
    elif _has_own_tokens(place):
        encoder = _load_preset(place, max_tokens)
    else:
        encoder = _load_preset_bert(place, max_tokens)
    _check_length(encoder, handle, max_tokens)
    return encoder


def _read_backbone(preset: str) -> keras.Model:
    """Loads a backbone of keras-hub, from a name or a directory."""
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

    A preset is a name or a directory, also of a Hugging Face checkpoint.

    Raises:
        DataError: the preset cannot be reached or has another architecture.
    """
    backbone = _read_backbone(preset)
    if type(backbone).__name__ not in _WITH_WORD_PIECES:
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


def _load_hub_bert(handle: str, max_tokens: int) -> TokenEncoder:
    layer = HubBert(handle, name="bert")
    if layer.vocab_file is None:
        raise DataError(
            "the hub module includes no vocabulary (an asset `vocab_file`). "
            f"Received: text='hub:{handle}'"
        )
    vocabulary, lower_case = read_vocabulary(layer.vocab_file), layer.lower_case
    if lower_case is None:
        lower_case = is_lower_case(vocabulary)
    packer = BertPacker(vocabulary, lower_case, max_tokens, name="pack")
    return _bert(packer, layer, layer.float_weights, graph_hash(handle))


def _load_preset_bert(preset: str, max_tokens: int) -> TokenEncoder:
    backbone = load_backbone(preset)
    vocabulary, lower_case = load_preset_vocabulary(preset)
    packer = BertPacker(vocabulary, lower_case, max_tokens, name="pack")
    states, graph = _states_of(backbone), _graph_of(backbone)
    return _bert(packer, states, tuple(backbone.weights), graph)


def _bert(
    packer: BertPacker,
    encode: Callable[[Any, Any], Any],
    weights: tuple[Any, ...],
    graph: Any,
) -> TokenEncoder:
    identity = {
        "graph": graph,
        "vocabulary": packer.vocabulary,
        "lower_case": packer.lower_case,
    }
    return TokenEncoder(packer, encode, weights, identity)


def _has_own_tokens(preset: str) -> bool:
    """Returns whether a keras-hub preset has a tokeniser other than WordPieces."""
    import keras_nlp

    try:
        tokenizer = keras_nlp.models.Tokenizer.from_preset(preset)
    except Exception:  # Loading the backbone then raises the error, if there is one.
        return False
    return not isinstance(tokenizer, keras_nlp.tokenizers.WordPieceTokenizer)


def _load_preset(preset: str, max_tokens: int) -> TokenEncoder:
    import keras_nlp

    handle = f"keras_nlp:{preset}"
    backbone = _read_backbone(preset)
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
    tokenizer = _identify_tokenizer(preprocessor.tokenizer)
    return TokenEncoder(
        packer=OwnPacker(preprocessor.__call__, preprocessor),
        encode=_states_of(backbone),
        weights=tuple(backbone.weights),
        identity={"graph": [type(backbone).__name__, _graph_of(backbone), tokenizer]},
    )


def _load_hub_encoder(handle: str, preprocessor: str, max_tokens: int) -> TokenEncoder:
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
    hashes = [graph_hash(handle), graph_hash(preprocessor), asset_hashes(preprocessor)]
    return TokenEncoder(
        OwnPacker(pack, module), encoder, encoder.float_weights, {"graph": hashes}
    )


def _prepare(module: Any, texts: tf.Tensor, max_tokens: int) -> Any:
    """Tokenises and packs texts; without `bert_pack_inputs` the length is fixed."""
    if not hasattr(module, "bert_pack_inputs"):
        return module(texts)
    length = tf.constant(max_tokens)
    return module.bert_pack_inputs([module.tokenize(texts)], seq_length=length)


def _states_of(backbone: keras.Model) -> Callable[[Any, Any], Any]:
    """Returns the `TokenEncoder.encode` function of a backbone."""

    def encode(token_ids: Any, padding_mask: Any) -> Any:
        segment_ids = keras.ops.zeros_like(token_ids)
        inputs = dict(zip(_INPUTS, (token_ids, padding_mask, segment_ids), strict=True))
        # DistilBERT has no segment ids, and returns only the states.
        outputs = backbone({name: inputs[name] for name in backbone.input})
        return outputs["sequence_output"] if isinstance(outputs, dict) else outputs

    return encode


def _graph_of(backbone: keras.Model) -> dict[str, Any]:
    """Returns the configuration of a backbone that determines its computation."""
    config = backbone.get_config()
    return {key: config[key] for key in config if key not in ("name", "trainable")}


def _identify_tokenizer(tokenizer: Any) -> Any:
    with tempfile.TemporaryDirectory() as place:
        tokenizer.save_assets(place)
        hashes = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(Path(place).iterdir())
        }
    unrelated = ("name", "trainable", "dtype", "config_file")
    config = tokenizer.get_config()
    return [hashes, {key: config[key] for key in config if key not in unrelated}]


def _check_length(encoder: TokenEncoder, handle: str, max_tokens: int) -> None:
    """Checks that the encoder accepts a sequence of maximum length, and any token."""
    packer, rule = encoder.packer, f"{max_tokens} tokens (--max_tokens)"
    try:
        packed = packer(tf.constant(["a " * max_tokens]))
        token_ids, mask = packed["token_ids"], packed["padding_mask"]
        if isinstance(packer, BertPacker):
            # The highest id checks both embedding tables.
            rule += f" and a vocabulary of {len(packer.vocabulary)}"
            token_ids = tf.fill((1, max_tokens), len(packer.vocabulary) - 1)
            mask = tf.ones_like(token_ids)
        states = encoder.encode(token_ids, mask)
    except Exception as error:
        raise DataError(
            f"the text encoder must take {rule}. "
            f"Received: text={handle!r} ({one_line(error)})"
        ) from error
    num_tokens = token_ids.shape[1]
    if num_tokens > max_tokens or len(states.shape) != 3:
        raise DataError(
            f"the encoder must produce at most {max_tokens} tokens (--max_tokens) and "
            "states (batch_size, num_tokens, dim). "
            f"Received: text={handle!r} with {num_tokens} tokens and states "
            f"{tuple(states.shape)}"
        )
