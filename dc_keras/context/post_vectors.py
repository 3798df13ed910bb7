"""Vectors of posts for context features.

The vector of a post has these blocks, in this order:

    topics    truncated SVD of the TF-IDF vector, fitted on training users
    captions  caption embedding, scaled to unit length, centred and projected
    frames    mean frame embedding, likewise; absent without frames
    facts     day, duration, views, likes, comments, shares, number of hashtags, and
              whether the sound is the author's own

Topics, captions and frames are zero where unknown; unknown facts are `UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD

from dc_keras.context.post_features import PostInputs
from dc_keras.context.terms import (
    NUM_BUCKETS,
    PostTerms,
    find_terms,
    hash_terms,
)

# Marks unknown values. JSON, the format of the server's responses, has no NaN.
UNKNOWN = -1e9
NUM_TOPICS = 128
NUM_DIRECTIONS = 128
# Minimum number of documents with a term.
MIN_DOCUMENTS = 2
FACTS = (
    "day",
    "duration",
    "views",
    "likes",
    "comments",
    "shares",
    "num_tags",
    "is_original",
)
_DAY = 86_400
_TINY = 1e-9
# Batch size in posts.
_CHUNK = 4096


class PostSpace(tf.Module):
    """Computes the vectors of posts. Its weights are fitted without labels.

    Args:
        weights: arrays by name, float32 except for `term_row`. `idf` (NUM_BUCKETS,): 0
            for terms that are not used. `topics` (num_terms + 1, num_topics): SVD
            components; the last row is for terms that are not used. `term_row` int32
            (NUM_BUCKETS,): row of each term in `topics`. `captions_centre` (dim,),
            `captions_directions` (dim, d), and the same for `frames`: centre and
            projection, d = 0 without embeddings. `origin` (): day 0 of all days.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(name="post_space")
        self.weights = {
            name: np.asarray(value, np.int32 if name == "term_row" else np.float32)
            for name, value in weights.items()
        }
        self._variables = {
            name: tf.Variable(value, trainable=False, name=name)
            for name, value in self.weights.items()
        }
        self.widths = (
            self.weights["topics"].shape[1],
            self.weights["captions_directions"].shape[1],
            self.weights["frames_directions"].shape[1],
        )

    @property
    def width(self) -> int:
        """Width of a post's vector."""
        return sum(self.widths) + len(FACTS)

    def embed(
        self,
        posts: PostInputs,
        caption_vectors: tf.Tensor | None,
        frame_vectors: tf.Tensor | None,
    ) -> tf.Tensor:
        """Returns the vectors of posts, float32 (num_posts, width).

        Args:
            posts: the posts.
            caption_vectors: float32 (num_posts, dim), outputs of the text encoder, zero
                for posts without one. None for a model without captions.
            frame_vectors: float32 (num_posts, dim), mean frame embeddings, zero for
                posts without one. None for a model without frames.
        """
        terms = find_terms(posts.captions, posts.sounds, posts.sound_titles)
        blocks = [self._topics(terms, tf.shape(posts.captions)[0])]
        for name, vectors in (("captions", caption_vectors), ("frames", frame_vectors)):
            if vectors is not None and self._variables[f"{name}_directions"].shape[1]:
                blocks.append(self._project(name, vectors))
        return tf.concat([*blocks, self._facts(posts, terms)], axis=1)

    def _topics(self, terms: PostTerms, num_posts: tf.Tensor) -> tf.Tensor:
        weight = tf.gather(self._variables["idf"], terms.bucket)
        row = tf.gather(self._variables["term_row"], terms.bucket)
        topics = tf.gather(self._variables["topics"], row) * weight[:, None]
        total = tf.math.unsorted_segment_sum(topics, terms.post, num_posts)
        square = tf.math.unsorted_segment_sum(weight**2, terms.post, num_posts)
        return total / tf.maximum(tf.sqrt(square), _TINY)[:, None]

    def _project(self, name: str, vectors: tf.Tensor) -> tf.Tensor:
        length = tf.norm(vectors, axis=1, keepdims=True)
        unit = vectors / tf.maximum(length, _TINY)
        centred = unit - self._variables[f"{name}_centre"]
        return tf.cast(length > 0, tf.float32) * (
            centred @ self._variables[f"{name}_directions"]
        )

    def _facts(self, posts: PostInputs, terms: PostTerms) -> tf.Tensor:
        columns = [
            self.day_of(posts.create_times)[:, None],
            _known(posts.durations)[:, None],
            _known(posts.counts),
            terms.num_tags[:, None],
            tf.where(terms.has_sound, terms.is_original, UNKNOWN)[:, None],
        ]
        return tf.concat(columns, axis=1)

    def day_of(self, seconds: tf.Tensor) -> tf.Tensor:
        """Returns UTC seconds as days since `origin`, `UNKNOWN` for negative ones."""
        # Seconds since 1970 are too large for float32.
        day = tf.cast(seconds // _DAY, tf.float32) - self._variables["origin"]
        day += tf.cast(seconds % _DAY, tf.float32) / float(_DAY)
        return tf.where(seconds >= 0, day, UNKNOWN)


def _known(values: tf.Tensor) -> tf.Tensor:
    return tf.where(values >= 0, values, UNKNOWN)


def embed_posts(
    space: PostSpace,
    posts: PostInputs,
    caption_vectors: np.ndarray | None,
    frame_vectors: np.ndarray | None,
) -> np.ndarray:
    """Returns the vectors of posts in batches, float32 (num_posts, width)."""
    count = len(posts.captions)
    vectors = np.zeros((count, space.width), np.float32)
    for start in range(0, count, _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = PostInputs(*(tf.constant(column[rows]) for column in posts))
        embeddings = [
            None if values is None else tf.constant(values[rows], tf.float32)
            for values in (caption_vectors, frame_vectors)
        ]
        vectors[rows] = space.embed(part, *embeddings).numpy()
    return vectors


def fit_space(
    posts: PostInputs,
    caption_vectors: np.ndarray | None,
    frame_vectors: np.ndarray | None,
    sets: Sequence[np.ndarray],
    focal_terms: Sequence[str] = (),
    seed: int = 0,
) -> PostSpace:
    """Fits topics, centres and projections on the posts of training users.

    Args:
        posts: all posts, as arrays.
        caption_vectors: see `PostSpace.embed`.
        frame_vectors: see `PostSpace.embed`.
        sets: rows of `posts` of each training user.
        focal_terms: hashtags and sounds of the challenges; their weight is 0.
        seed: seed of the truncated SVD.
    """
    rows = np.concatenate([*sets, np.zeros(0, np.int64)]).astype(np.int64)
    times = np.asarray(posts.create_times)[rows]
    known = times[times >= 0]
    weights = _learn_topics(posts, sets, focal_terms, seed)
    weights["origin"] = np.array(known.max() // _DAY if len(known) else 0)
    for name, vectors in (("captions", caption_vectors), ("frames", frame_vectors)):
        centre, directions = _learn_directions(vectors, sets)
        weights |= {f"{name}_centre": centre, f"{name}_directions": directions}
    return PostSpace(weights)


def _learn_topics(
    posts: PostInputs,
    sets: Sequence[np.ndarray],
    focal_terms: Sequence[str],
    seed: int,
) -> dict[str, np.ndarray]:
    post, bucket = _all_terms(posts)
    shape = (len(posts.captions), NUM_BUCKETS)
    has_term = csr_matrix((np.ones(len(post)), (post, bucket)), shape)
    members = _membership(sets, len(posts.captions))
    documents = np.asarray(((members @ has_term) > 0).sum(axis=0)).ravel()
    is_kept = documents >= MIN_DOCUMENTS
    is_kept[hash_terms(tf.constant(focal_terms, tf.string)).numpy()] = False
    idf = np.where(is_kept, np.log((1 + len(sets)) / (1 + documents)) + 1, 0.0)
    kept = np.flatnonzero(is_kept)
    term_row = np.full(NUM_BUCKETS, len(kept), np.int32)
    term_row[kept] = np.arange(len(kept))
    tfidf = has_term[:, kept].multiply(idf[kept]).tocsr()
    scaled = members.multiply(1 / np.maximum(_lengths(tfidf), _TINY)).tocsr() @ tfidf
    count = min(NUM_TOPICS, *(size - 1 for size in scaled.shape))
    topics = np.zeros((len(kept) + 1, max(count, 1)))
    if count >= 1 and scaled.nnz > 0:
        unit = scaled.multiply(1 / np.maximum(_lengths(scaled), _TINY)[:, None])
        svd = TruncatedSVD(count, random_state=seed).fit(unit.tocsr())
        topics[:-1] = svd.components_.T
    return {"idf": idf, "topics": topics, "term_row": term_row}


def _learn_directions(
    vectors: np.ndarray | None, sets: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean of the users' mean vectors and its principal directions."""
    if vectors is None:
        return np.zeros(0), np.zeros((0, 0))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, _TINY)
    means = [
        unit[rows].mean(axis=0)
        for posts in sets
        if len(rows := posts[lengths[posts, 0] > 0])
    ]
    # n centred points span at most n − 1 dimensions.
    count = min(NUM_DIRECTIONS, len(means) - 1)
    if count < 1:
        centre = np.mean(means or np.zeros((1, vectors.shape[1])), axis=0)
        return centre, np.zeros((vectors.shape[1], 1))
    centre = np.mean(means, axis=0)
    _, _, directions = np.linalg.svd(np.array(means) - centre, full_matrices=False)
    return centre, directions[:count].T


def _all_terms(posts: PostInputs) -> tuple[np.ndarray, np.ndarray]:
    batches = []
    for start in range(0, len(posts.captions), _CHUNK):
        part = slice(start, start + _CHUNK)
        terms = find_terms(*(tf.constant(column[part]) for column in posts[:3]))
        batches.append((terms.post.numpy() + start, terms.bucket.numpy()))
    if not batches:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    post, bucket = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return post, bucket


def _membership(sets: Sequence[np.ndarray], num_posts: int) -> csr_matrix:
    rows = np.repeat(np.arange(len(sets)), [len(posts) for posts in sets])
    posts = np.concatenate([*sets, np.zeros(0, np.int64)]).astype(np.int64)
    return csr_matrix((np.ones(len(posts)), (rows, posts)), (len(sets), num_posts))


def _lengths(matrix: csr_matrix) -> np.ndarray:
    return np.asarray(np.sqrt(np.ravel(matrix.multiply(matrix).sum(axis=1))))
