"""The terms of posts: words, hashtags, sounds and titles of sounds, as hash buckets.

Training and serving use the same TensorFlow ops. Terms are hashed, so that a model does
not store the words of posts.

Reference:
    Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from dc_keras.corpus.records import HASHES, ORIGINAL_SOUND_TITLES, word_characters

NUM_BUCKETS = 2**16


class PostTerms(NamedTuple):
    """Terms and term statistics of posts.

    Attributes:
        post: int64 (num_terms,), position of the post of each term, ascending. Terms of
            a post are distinct.
        bucket: int64 (num_terms,), hash bucket of each term, in [0, NUM_BUCKETS).
        num_tags: float32 (num_posts,), number of hashtags in the caption.
        is_original: float32 (num_posts,), 1 if the title marks the sound as the
            author's own, otherwise 0.
        has_sound: bool (num_posts,), whether an id or a title of the sound is known.
    """

    post: tf.Tensor
    bucket: tf.Tensor
    num_tags: tf.Tensor
    is_original: tf.Tensor
    has_sound: tf.Tensor


def find_terms(captions: tf.Tensor, sounds: tf.Tensor, titles: tf.Tensor) -> PostTerms:
    """Returns the terms of posts from three columns, string (num_posts,).

    Terms are the words and hashtags of the caption (UTF-8), the id of the sound (or its
    title if the id is ""), and the words of the title unless the sound is the author's
    own. Terms are lower case.
    """
    num_posts = tf.shape(captions, tf.int64)[0]
    words = _split_words(captions)
    titles = tf.strings.strip(_lower(titles))
    is_original = tf.strings.regex_full_match(titles, _ORIGINAL)
    named = tf.where(tf.strings.length(sounds) > 0, sounds, titles)
    has_sound = tf.strings.length(named) > 0
    of_title = _split_words(tf.where(is_original, "", titles))
    posts = [
        words.value_rowids(),
        of_title.value_rowids(),
        tf.boolean_mask(tf.range(num_posts), has_sound),
    ]
    terms = [
        words.values,
        tf.strings.join(["title:", of_title.values]),
        tf.strings.join(["sound:", tf.boolean_mask(named, has_sound)]),
    ]
    bucket = hash_terms(tf.concat(terms, axis=0))
    keys, _ = tf.unique(tf.concat(posts, axis=0) * NUM_BUCKETS + bucket)
    keys = tf.sort(keys)
    is_tag = tf.cast(tf.strings.substr(words.values, 0, 1) == "#", tf.float32)
    return PostTerms(
        post=keys // NUM_BUCKETS,
        bucket=keys % NUM_BUCKETS,
        num_tags=tf.math.unsorted_segment_sum(is_tag, words.value_rowids(), num_posts),
        is_original=tf.cast(is_original, tf.float32),
        has_sound=has_sound,
    )


_WORD = f"[{word_characters()}]"
_ORIGINAL = f"(?s){ORIGINAL_SOUND_TITLES} *(?: - .*)?"


def hash_terms(terms: tf.Tensor) -> tf.Tensor:
    """Returns the bucket of each term, int64 in [0, NUM_BUCKETS)."""
    return tf.strings.to_hash_bucket_fast(terms, NUM_BUCKETS)


def _split_words(text: tf.Tensor) -> tf.RaggedTensor:
    """Splits texts into lower-case words and hashtags; hashtags keep one leading #."""
    kept = f"[^{word_characters()}{HASHES}]+"
    text = tf.strings.regex_replace(_lower(text), kept, " ")
    tag = f"[{HASHES}]+({_WORD}+)"
    text = tf.strings.regex_replace(text, tag, r" #\1 ")
    text = tf.strings.regex_replace(text, f"[{HASHES}]+( |$)", " ")
    return tf.strings.split(text)


def _lower(text: tf.Tensor) -> tf.Tensor:
    """Returns lower-case texts; control characters and broken bytes become spaces."""
    # `tf.strings.lower` would end a text at its first NUL.
    text = tf.strings.unicode_transcode(
        text, "UTF-8", "UTF-8", replacement_char=0x20, replace_control_characters=True
    )
    return tf.strings.lower(text, encoding="utf-8")
