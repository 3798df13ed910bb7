"""Text encoders of captions: BERT and others (PAPER choices 9 to 12; IV-A, IV-B)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import keras
import tensorflow as tf

from dc_keras.encoders.captions import BertPacker, CaptionCleaner
from dc_keras.encoders.fingerprints import fingerprint
from dc_keras.encoders.hub import (
    HubText,
    asset_hashes,
    graph_hash,
    one_line,
    takes_texts,
)
from dc_keras.encoders.registry import OwnEncoder, find_text, fixed_seeds
from dc_keras.encoders.token_encoders import load_token_encoder
from dc_keras.errors import DataError

# Part of every fingerprint, by hashtag mode. Increase it when the same captions give
# other embeddings.
PREPROCESSING_VERSIONS = {"keep": 1, "mask_focal": 2, "drop": 2}
POOLINGS = ("cls", "mean")


@dataclass(frozen=True)
class TextSpec:
    """Description of a text encoder, as JSON values.

    Attributes:
        handle: `hub:` and a path or URL, `keras_hub:` (or `keras_nlp:`) and a preset or
            directory, or the name of a registered encoder.
        max_tokens: maximum number of tokens, [CLS] and [SEP] included, at least 2; for
            BERT.
        pooling: "cls" ([CLS] of the last layer, not the pooled tanh) or "mean" (mean
            over the tokens of the last layer, without padding); for BERT.
        hashtags: "keep", "mask_focal" or "drop"; see `captions.CaptionCleaner`.
        focal_hashtags: the hashtags that "mask_focal" masks.
        module: the module that registers the encoder; None for other handles. It is set
            automatically for an encoder that is registered already.
        preprocessor: `hub:` and a path or URL of the preprocessing module of an encoder
            of TensorFlow Hub; None if the encoder needs none.

    Raises:
        DataError: `pooling` has another value, or `max_tokens` is under 2.
        DataError: the handle has no prefix and is no registered name.
        DataError: `preprocessor` or its encoder is no hub module.
    """

    handle: str
    max_tokens: int = 64
    pooling: str = "cls"
    hashtags: str = "keep"
    focal_hashtags: tuple[str, ...] = ()
    module: str | None = None
    preprocessor: str | None = None

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise DataError(
                f"`pooling` must be one of {', '.join(POOLINGS)}. "
                f"Received: pooling={self.pooling!r}"
            )
        # Checked before loading, because BERT warns of a sequence of one token.
        if self.max_tokens < 2:
            raise DataError(
                "`max_tokens` must be at least 2, for [CLS] and [SEP]. "
                f"Received: max_tokens={self.max_tokens}"
            )
        handles = (self.handle, self.preprocessor or "hub:")
        if self.preprocessor and not all(h.startswith("hub:") for h in handles):
            raise DataError(
                "a text preprocessor and its encoder must both be hub:PATH_OR_URL. "
                f"Received: text={self.handle!r}, "
                f"text_preprocessor={self.preprocessor!r}"
            )
        own = self.own
        object.__setattr__(self, "module", None if own is None else own.module)
        # JSON has no tuples.
        object.__setattr__(self, "focal_hashtags", tuple(self.focal_hashtags))

    @property
    def own(self) -> OwnEncoder | None:
        """The registry's entry; None for a handle with a prefix."""
        return None if ":" in self.handle else find_text(self.handle, self.module)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> TextSpec:
        """Returns the spec of a manifest's `text` settings."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: settings[name] for name in names if name in settings})


@dataclass(frozen=True)
class TextEncoder:
    """A built text encoder.

    Attributes:
        spec: the description that it was built from.
        model: model with cleaning and tokenisation, string (batch_size,) → float32
            (batch_size, embedding_dim).
        token_model: the part after tokenisation, without ops of TF-Text: dict of
            `token_ids` and `padding_mask`, int32 (batch_size, num_tokens) → float32
            (batch_size, embedding_dim). None for an encoder with its own tokeniser.
        embedding_dim: width of an embedding.
        fingerprint: SHA-256, in hex, of everything that affects the output:
            computation, weights, vocabulary, pooling, maximum number of tokens,
            hashtags and preprocessing version, but not the path or URL.
    """

    spec: TextSpec
    model: keras.Model
    token_model: keras.Model | None
    embedding_dim: int
    fingerprint: str

    def settings(self) -> dict[str, Any]:
        """Returns the settings of this encoder for a manifest."""
        spec = {k: v for k, v in asdict(self.spec).items() if v is not None}
        return {
            **spec,
            "focal_hashtags": list(self.spec.focal_hashtags),
            "preprocessing": PREPROCESSING_VERSIONS[self.spec.hashtags],
            "fingerprint": self.fingerprint,
            "embedding_dim": self.embedding_dim,
        }

    def special_tokens(self) -> dict[str, int]:
        """Returns the ids of [PAD], [UNK], [CLS] and [SEP], without the brackets.

        Only for an encoder with a `token_model`.
        """
        packer = self.model.get_layer("pack")
        names = ("pad", "unknown", "cls", "sep")
        return {name: getattr(packer, f"{name}_id") for name in names}

    def layers_with_tables(self) -> list[keras.layers.Layer]:
        """Returns the layers with lookup tables, which an export must track."""
        layers = self.model.layers
        return [layer for layer in layers if layer.name in ("pack", "texts")]


def build_text_encoder(spec: TextSpec) -> TextEncoder:
    """Builds a text encoder.

    Raises:
        DataError: as for `load_token_encoder`, `hub.HubText` and the layers of
            `captions`.
        DataError: a registered function fails, or returns another kind of model.
    """
    caption = keras.Input((), dtype="string", name="caption")
    cleaner = CaptionCleaner(spec.hashtags, spec.focal_hashtags, name="clean")
    identity: dict[str, Any] = {
        "preprocessing": PREPROCESSING_VERSIONS[spec.hashtags],
        "hashtags": spec.hashtags,
        "focal_hashtags": sorted(spec.focal_hashtags),
    }
    token_model = None
    texts = _load_texts(spec)
    if texts is not None:
        network, graph = texts
        embedding, weights = network(cleaner(caption)), network.weights
        identity |= {"graph": graph}
        if spec.own is not None:
            identity["name"] = spec.handle
    else:
        tokens = load_token_encoder(spec.handle, spec.preprocessor, spec.max_tokens)
        model = _pooled_model(tokens.encode, spec.pooling)
        embedding, weights = model(tokens.packer(cleaner(caption))), tokens.weights
        identity |= {"max_tokens": spec.max_tokens, "pooling": spec.pooling}
        identity |= tokens.identity
        token_model = model if isinstance(tokens.packer, BertPacker) else None
    return TextEncoder(
        spec=spec,
        model=keras.Model(caption, embedding, name="text_encoder"),
        token_model=token_model,
        embedding_dim=int(embedding.shape[-1]),
        fingerprint=fingerprint(identity, weights),
    )


def _load_texts(spec: TextSpec) -> tuple[Any, Any] | None:
    """Returns a network from strings to vectors, and what identifies its graph.

    None for the handle of an encoder of tokens.
    """
    if spec.own is not None:
        return _build_registered(spec.own)
    kind, _, place = spec.handle.partition(":")
    is_hub = kind == "hub" and place and spec.preprocessor is None
    if is_hub and takes_texts(place):
        graph = [graph_hash(place), asset_hashes(place)]
        return HubText(place, name="texts"), graph
    return None


def _build_registered(own: OwnEncoder) -> tuple[keras.Model, list[Any]]:
    try:
        texts = keras.Input((), dtype="string")
        with fixed_seeds():
            model = keras.Model(texts, own.build()(texts), name="texts")
        vectors = model(tf.constant(["a", "b"]))
    except Exception as error:
        raise DataError(
            f"the function that registers {own.name} must return a Keras model that "
            f"takes strings. Received: {one_line(error)}"
        ) from error
    if len(vectors.shape) != 2 or vectors.dtype != "float32":
        raise DataError(
            f"the encoder {own.name} must return float32 (batch_size, embedding_dim). "
            f"Received: {vectors.dtype} {tuple(vectors.shape)}"
        )
    layers = [x for x in model._flatten_layers() if hasattr(x, "get_vocabulary")]
    return model, [layer.get_vocabulary() for layer in layers]


def restore_cleaner(settings: Mapping[str, Any]) -> CaptionCleaner:
    """Returns the layer that cleaned the captions of feature records.

    Raises:
        DataError: the captions were cleaned by another version of this package.
    """
    mode = settings["hashtags"]
    cleaner = CaptionCleaner(mode, settings["focal_hashtags"])
    version = settings["preprocessing"]
    if version != PREPROCESSING_VERSIONS[mode]:
        raise DataError(
            "captions must be cleaned by the same preprocessing version: extract the "
            f"features again. Received: hashtags={mode!r} with "
            f"preprocessing={version}, not {PREPROCESSING_VERSIONS[mode]}"
        )
    return cleaner


def unknown_token_share(encoder: TextEncoder, captions: Sequence[str]) -> float:
    """Returns the share of [UNK] among all WordPieces of captions, 0 to 1.

    An English BERT knows few words of other scripts, and cannot distinguish unknown
    words.

    Raises:
        DataError: the encoder has its own tokeniser.
    """
    if encoder.token_model is None:
        raise DataError(
            "the share of unknown WordPieces needs an encoder with WordPieces. "
            f"Received: text={encoder.spec.handle!r}"
        )
    cleaner, packer = (encoder.model.get_layer(name) for name in ("clean", "pack"))
    unknown = total = 0
    for start in range(0, len(captions), 1024):
        batch = tf.constant(list(captions[start : start + 1024]))
        pieces = packer.tokenize(cleaner(batch)).flat_values
        unknown += int(tf.reduce_sum(tf.cast(pieces == packer.unknown_id, tf.int32)))
        total += int(tf.size(pieces))
    return unknown / total if total > 0 else 0.0


def _pooled_model(encode: Callable[[Any, Any], Any], pooling: str) -> keras.Model:
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    padding_mask = keras.Input((None,), dtype="int32", name="padding_mask")
    states = encode(token_ids, padding_mask)
    if pooling == "cls":
        embedding = states[:, 0]
    else:
        join = keras.layers.GlobalAveragePooling1D(name="mean")
        embedding = join(states, mask=keras.ops.cast(padding_mask, "bool"))
    return keras.Model(
        {"token_ids": token_ids, "padding_mask": padding_mask},
        embedding,
        name="token_encoder",
    )
