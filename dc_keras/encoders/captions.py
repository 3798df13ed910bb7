"""Layers that clean and tokenise captions inside the graph.

Features, training and a served model use the same layers. They use `BertTokenizer` of
TF-Text and core ops, which every stock model server since TF Serving 2.13 links.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_text as tf_text

from dc_keras.corpus.records import (
    HASHES,
    hashtag_pattern,
    normalize_hashtag,
    word_characters,
)
from dc_keras.errors import DataError

HASHTAG_MODES = ("keep", "mask_focal", "drop")
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


class CaptionCleaner(keras.layers.Layer):
    """Removes hashtags from captions (PAPER choice 11).

    `keep` does not change the text. `drop` removes every hashtag. `mask_focal`
    normalises the caption to NFKC and removes the focal hashtags in any case and
    Unicode form; if `#dance` is focal, `#dancer` is kept. `dc_keras.corpus.records`
    defines hashtags and where they end. In each mode, bytes that are not UTF-8 become
    U+FFFD.

    Args:
        mode: one of `HASHTAG_MODES`.
        focal_hashtags: the hashtags to mask, in any spelling; only for `mask_focal`.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        captions: string (batch_size,), UTF-8.

    Returns:
        string (batch_size,), valid UTF-8.

    Raises:
        DataError: unknown `mode`.
        DataError: `mask_focal` without focal hashtags, or one that is not a hashtag.
    """

    def __init__(
        self, mode: str, focal_hashtags: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if mode not in HASHTAG_MODES:
            raise DataError(
                f"`hashtags` must be one of {', '.join(HASHTAG_MODES)}. "
                f"Received: hashtags={mode!r}"
            )
        self.mode = mode
        self.focal_hashtags = tuple(focal_hashtags)
        self._focal = focal_pattern(focal_hashtags) if mode == "mask_focal" else ""

    def call(self, captions: tf.Tensor) -> tf.Tensor:
        """Cleans captions; see the class."""
        text = tf.strings.unicode_transcode(captions, "UTF-8", "UTF-8")
        if self.mode == "drop":
            return tf.strings.regex_replace(text, hashtag_pattern(), " ")
        if self.mode == "mask_focal":
            # The end of a tag is found in the raw text, because NFKC would turn the ™
            # of `#dance™` into letters of the tag. The space before separates `#a#b`.
            tag = f"([{HASHES}][{word_characters()}]*)"
            text = tf.strings.regex_replace(text, tag, r" \1 ")
            # Spellings are compared in decomposed form, where case maps one to one.
            text = tf_text.normalize_utf8(text, "NFKD")
            text = tf.strings.regex_replace(text, self._focal, r"\1")
            return tf_text.normalize_utf8(text, "NFKC")
        return text

    def clean(self, captions: Sequence[str]) -> list[str]:
        """Cleans texts outside a graph."""
        cleaned = self(tf.constant(list(captions), tf.string))
        return [text.decode("utf-8") for text in cleaned.numpy()]

    def compute_output_spec(self, captions: Any) -> keras.KerasTensor:
        """Returns the spec of the cleaned captions: string (batch_size,)."""
        return keras.KerasTensor(captions.shape, dtype="string")


def focal_pattern(focal_hashtags: Iterable[str]) -> str:
    """Returns the RE2 pattern of a focal hashtag and the character after it.

    The pattern is for text in NFKD.

    Args:
        focal_hashtags: hashtags in any spelling, with or without #. The words of a
            hashtag with spaces may also be separated in the caption.

    Raises:
        DataError: there is no hashtag, or one has characters other than letters, digits
            and underscores.
    """
    tags: set[str] = set()
    for tag in focal_hashtags:
        words = unicodedata.normalize("NFKC", tag).lstrip("#").split()
        is_tag = re.compile(f"[{word_characters()}]+").fullmatch
        if not words or not all(map(is_tag, words)):
            raise DataError(
                "a focal hashtag must be made of letters, digits and underscores. "
                f"Received: focal_hashtags={tag!r}"
            )
        folded = (normalize_hashtag(word) for word in words)
        decomposed = (unicodedata.normalize("NFKD", word) for word in folded)
        tags.add(r"\s+".join(map(_spellings, decomposed)))
    if not tags:
        raise DataError(
            "hashtags='mask_focal' needs the focal hashtags of a study; 'keep' and "
            "'drop' do not. Received: focal_hashtags=()"
        )
    # Longest first, so that `#karen challenge` is removed before `#karen`.
    choices = "|".join(sorted(tags, key=lambda tag: (-len(tag), tag)))
    return rf"#(?:{choices})([^{word_characters()}]|$)"


def _spellings(folded: str) -> str:
    """Returns the pattern of all texts that case-fold to a text.

    The text is split recursively into halves. One character may fold to the two
    characters around the split (ß to ss).
    """
    if len(folded) < 2:
        return f"[{folded}{_unfolded().get(folded, '')}]" if folded else ""
    middle = len(folded) // 2
    halves = _spellings(folded[:middle]) + _spellings(folded[middle:])
    across = _unfolded().get(folded[middle - 1 : middle + 1])
    if across is None:
        return halves
    around = _spellings(folded[: middle - 1]), _spellings(folded[middle + 1 :])
    return f"(?:{halves}|{around[0]}[{across}]{around[1]})"


@cache
def _unfolded() -> dict[str, str]:
    """Returns the characters of decomposed text by the text that they case-fold to.

    The keys have one or two characters. Python's tables are used, as in
    `normalize_hashtag`, because RE2's `(?i)` has another Unicode version.
    """
    unfolded: defaultdict[str, str] = defaultdict(str)
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        folded = character.casefold()
        if folded != character and unicodedata.is_normalized("NFKD", character):
            unfolded[folded] += character
    return dict(unfolded)


class BertPacker(keras.layers.Layer):
    """Turns captions into `[CLS] pieces [SEP]` (PAPER choices 9, 10, 12).

    Captions are tokenised by BERT's basic and WordPiece tokenisers, truncated to
    `max_tokens` and padded to the longest caption of the batch. An empty caption
    becomes `[CLS][SEP]`.

    Args:
        vocabulary: WordPieces; the position of a piece is its id.
        lower_case: whether to case-fold and strip accents, for uncased vocabularies.
        max_tokens: the longest sequence, [CLS] and [SEP] included, at least 2.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        captions: string (batch_size,), valid UTF-8.

    Returns:
        dict of `token_ids` and `padding_mask`, both int32 (batch_size, num_tokens),
        2 <= num_tokens <= max_tokens; the mask is 1 for tokens and 0 for padding.

    Raises:
        DataError: the vocabulary lacks a special token or repeats a piece.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        lower_case: bool,
        max_tokens: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary = tuple(vocabulary)
        self.lower_case = lower_case
        self.max_tokens = max_tokens
        check_vocabulary(self.vocabulary, "the vocabulary")
        self.pad_id, self.unknown_id, self.cls_id, self.sep_id = (
            self.vocabulary.index(token) for token in SPECIAL_TOKENS
        )
        self._table = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(self.vocabulary),
                tf.range(len(self.vocabulary), dtype=tf.int64),
            ),
            num_oov_buckets=1,
        )
        self._tokenizer = tf_text.BertTokenizer(self._table, lower_case=lower_case)

    def tokenize(self, captions: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of all pieces, int32 ragged (batch_size, None)."""
        words = self._tokenizer.tokenize(captions)
        return tf.cast(words.merge_dims(-2, -1), tf.int32)

    def call(self, captions: tf.Tensor) -> dict[str, tf.Tensor]:
        """Packs captions; see the class."""
        pieces = self.tokenize(captions)[:, : self.max_tokens - 2]
        column = tf.zeros([tf.shape(captions)[0], 1], tf.int32)
        packed = tf.concat([column + self.cls_id, pieces, column + self.sep_id], axis=1)
        token_ids = packed.to_tensor(default_value=self.pad_id)
        mask = tf.sequence_mask(packed.row_lengths(), tf.shape(token_ids)[1], tf.int32)
        return {"token_ids": token_ids, "padding_mask": mask}

    def compute_output_spec(self, captions: Any) -> dict[str, keras.KerasTensor]:
        """Returns the specs: int32 (batch_size, num_tokens), num_tokens unknown."""
        return packed_spec(captions)


def packed_spec(captions: Any) -> dict[str, keras.KerasTensor]:
    """Returns the specs of packed captions: int32 (batch_size, num_tokens)."""
    shape = (captions.shape[0], None)
    return {
        name: keras.KerasTensor(shape, dtype="int32")
        for name in ("token_ids", "padding_mask")
    }


def read_vocabulary(path: str | Path) -> tuple[str, ...]:
    """Reads a BERT vocabulary: UTF-8 text with one WordPiece per line.

    Raises:
        DataError: there is no such file, it is not UTF-8, lacks a special token or
            repeats a piece.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "the vocabulary must be a UTF-8 text file with one WordPiece per line. "
            f"Received: vocab_file={str(path)!r} ({error})"
        ) from error
    # Not splitlines(): U+0085 and U+2028 are pieces of multilingual vocabularies.
    lines = [line.rstrip("\r") for line in text.split("\n")]
    vocabulary = tuple(lines[:-1] if lines[-1] == "" else lines)
    check_vocabulary(vocabulary, f"vocab_file={str(path)!r}")
    return vocabulary


def check_vocabulary(vocabulary: Sequence[str], name: str) -> None:
    """Checks that a vocabulary has the special tokens and no repeated piece.

    Raises:
        DataError: a special token is missing, or a piece is repeated.
    """
    pieces = set(vocabulary)
    missing = [token for token in SPECIAL_TOKENS if token not in pieces]
    if missing:
        raise DataError(
            f"a BERT vocabulary must contain {', '.join(SPECIAL_TOKENS)}. "
            f"Received: {name} without {', '.join(missing)}"
        )
    if len(pieces) < len(vocabulary):
        piece, times = Counter(vocabulary).most_common(1)[0]
        raise DataError(
            f"a BERT vocabulary must contain each piece once. Received: {name} with "
            f"{piece!r} {times} times"
        )


def is_lower_case(vocabulary: Sequence[str]) -> bool:
    """Returns whether a vocabulary is uncased: no piece has a capital letter."""
    return all(
        p in SPECIAL_TOKENS or p == "[MASK]" or p == p.lower() for p in vocabulary
    )
