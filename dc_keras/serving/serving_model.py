"""The participation model as a graph from raw posts to calibrated probabilities.

`dc_keras.serving.signatures` defines the signatures that a bundle exports.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf

from dc_keras.context.context_model import ContextModel
from dc_keras.context.pair_features import PAST
from dc_keras.context.post_features import PostInputs
from dc_keras.context.post_vectors import UNKNOWN
from dc_keras.context.set_vectors import join_posts
from dc_keras.serving.calibration import Calibration, calibrate
from dc_keras.serving.challenge_table import ChallengeTable, fit_to
from dc_keras.serving.video_graph import EncodedPosts, Encoders, VideoGraph
from dc_keras.training.participation_model import ParticipationModel
from dc_keras.training.saved_participation import load_participation

CAPTIONS = tf.TensorSpec((None, None), tf.string, name="captions")
TOKENS = tf.TensorSpec((None, None, None), tf.int32, name="token_ids")
FRAMES = tf.TensorSpec((None, None, None), tf.string, name="frames")
# Facts of posts and of users; docs/serving.md has their units and values for unknown.
POST_SPECS = (
    tf.TensorSpec((None, None), tf.string, name="sounds"),
    tf.TensorSpec((None, None), tf.string, name="sound_titles"),
    tf.TensorSpec((None, None), tf.int64, name="create_times"),
    tf.TensorSpec((None, None), tf.float32, name="durations"),
    tf.TensorSpec((None, None, 4), tf.float32, name="counts"),
)
USER_SPECS = (
    tf.TensorSpec((None, 3), tf.float32, name="account"),
    tf.TensorSpec((None, None), tf.string, name="joined"),
    tf.TensorSpec((None,), tf.int64, name="now"),
)


@dataclass(frozen=True, eq=False)
class ServingModel:
    """The parts of a bundle.

    Attributes:
        user_videos: embeds raw posts for the user side.
        challenge_videos: embeds raw posts for the challenge side.
        model: the fitted participation model.
        challenges: the table of the bundle's challenges.
        history_max: m, the maximum number of posts of a user.
        support_max: n, the maximum number of posts of a challenge.
        calibration: calibration of the model's probabilities.
    """

    user_videos: VideoGraph
    challenge_videos: VideoGraph
    model: ParticipationModel
    challenges: ChallengeTable
    history_max: int
    support_max: int
    calibration: Calibration

    @property
    def context(self) -> ContextModel | None:
        """The context model, or None."""
        return self.model.context

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides with posts; a baseline of the paper reads none of challenges."""
        return tuple(s for s in ("user", "challenge") if self.post_width(s))

    def post_width(self, side: str) -> int:
        """Returns the width of an embedded post: video embedding and context vector."""
        context = 0 if self.context is None else self.context.space.width
        return self._graph_of(side).video_dim + context

    # These functions are traced once for all signatures, because tracing takes seconds.
    @tf.function(
        input_signature=(CAPTIONS, FRAMES, *POST_SPECS, *USER_SPECS), autograph=False
    )
    def embed_user(
        self, captions: tf.Tensor, frames: tf.Tensor, *facts: tf.Tensor
    ) -> tf.Tensor:
        """Embeds the first m posts of each user, newest first → (B, user_width)."""
        return self._embed_user(captions, captions, frames, facts)

    @tf.function(
        input_signature=(TOKENS, CAPTIONS, FRAMES, *POST_SPECS, *USER_SPECS),
        autograph=False,
    )
    def embed_user_tokens(
        self,
        token_ids: tf.Tensor,
        captions: tf.Tensor,
        frames: tf.Tensor,
        *facts: tf.Tensor,
    ) -> tf.Tensor:
        """Embeds users from WordPiece ids, without ops of TF-Text."""
        return self._embed_user(token_ids, captions, frames, facts)

    @tf.function(input_signature=(CAPTIONS, FRAMES, *POST_SPECS), autograph=False)
    def embed_challenge(
        self, captions: tf.Tensor, frames: tf.Tensor, *facts: tf.Tensor
    ) -> tf.Tensor:
        """Embeds the first n posts of each challenge → (B, challenge_width)."""
        posts, valid = self._embed_sets(
            "challenge",
            self.support_max,
            captions,
            captions,
            frames,
            facts,
        )
        nameless = tf.fill((tf.shape(captions)[0],), "")
        return self.join_challenge(posts, valid, nameless)

    @tf.function(autograph=False)
    def score(self, user: tf.Tensor, challenge: tf.Tensor) -> tf.Tensor:
        """Returns calibrated probabilities of vectors of users and challenges, (B,)."""
        return calibrate(self.model.score(user, challenge), self.calibration)

    @tf.function(autograph=False)
    def join_user(
        self, posts: tf.Tensor, valid: tf.Tensor, *facts: tf.Tensor
    ) -> tf.Tensor:
        """Combines embedded posts and facts of users → (B, user_width); eq. (2).

        Args:
            posts: embedded posts, newest first, float32 (B, any, post_width).
            valid: True where there is a post, bool (B, any).
            facts: account, joined and now of the users; see `USER_SPECS`.
        """
        posts, valid = (fit_to(x, self.history_max) for x in (posts, valid))
        parts = []
        if self.model.fusion is not None:
            parts.append(self._fuse("user", posts, valid))
        if self.context is not None:
            context_posts = posts[:, :, self.user_videos.video_dim :]
            layout = self.context.pairs.layout
            parts.append(join_posts(layout.user, context_posts, valid))
            parts += self._user_fact_parts(*facts)
        return tf.concat(parts, axis=1)

    @tf.function(autograph=False)
    def join_challenge(
        self, posts: tf.Tensor, valid: tf.Tensor, name: tf.Tensor
    ) -> tf.Tensor:
        """Combines embedded posts of challenges → (B, challenge_width); eq. (1).

        Args:
            posts: embedded posts, float32 (B, any, post_width).
            valid: True where there is a post, bool (B, any).
            name: names, string (B,); label features of training are used for known
                ones.
        """
        posts, valid = (fit_to(x, self.support_max) for x in (posts, valid))
        parts = []
        if self.model.fusion is not None:
            parts.append(self._fuse("challenge", posts, valid))
        if self.context is not None:
            context_posts = posts[:, :, self.challenge_videos.video_dim :]
            layout = self.context.pairs.layout.challenge
            parts.append(join_posts(layout, context_posts, valid))
            start = self.model.video_widths[1] + layout.width
            parts.append(self.challenges.find(name)["challenge"][:, start:])
        return tf.concat(parts, axis=1)

    def embed_posts(
        self, side: str, facts: PostInputs, texts: tf.Tensor, frames: tf.Tensor
    ) -> tf.Tensor:
        """Embeds posts for one side, float32 (num_posts, post_width).

        Args:
            side: "user" or "challenge".
            facts: captions and facts of the posts.
            texts: captions, string (num_posts,), or token ids, int32 (num_posts, any).
            frames: JPEG files, string (num_posts, any).
        """
        video_posts = self._graph_of(side).read(texts, frames)
        context_posts = video_posts
        if self._needs_user_frames(side):
            context_posts = self.user_videos.read(texts, frames)
        return self._concat_parts(side, facts, video_posts, context_posts)

    def vary_posts(
        self,
        side: str,
        facts: PostInputs,
        frames: tf.Tensor,
        kept: tf.Tensor,
    ) -> tf.Tensor:
        """Embeds variants of posts, which may lack frames, words or facts.

        Args:
            side: "user" or "challenge".
            facts: captions and facts of each variant, (batch_size, num_variants, …).
            frames: JPEG files of each post, string (batch_size, any).
            kept: the frames of each variant, bool (batch_size, num_variants, any).

        Returns:
            float32 (batch_size, num_variants, post_width).
        """
        flat = [tf.reshape(column, (-1, *column.shape[2:])) for column in facts]
        captions = facts.captions
        video_posts = self._graph_of(side).read_variants(captions, frames, kept)
        context_posts = video_posts
        if self._needs_user_frames(side):
            context_posts = self.user_videos.read_variants(captions, frames, kept)
        embedded = self._concat_parts(
            side, PostInputs(*flat), video_posts, context_posts
        )
        shape = tf.concat([tf.shape(kept)[:2], [self.post_width(side)]], axis=0)
        return tf.reshape(embedded, shape)

    def _graph_of(self, side: str) -> VideoGraph:
        return self.user_videos if side == "user" else self.challenge_videos

    def _needs_user_frames(self, side: str) -> bool:
        """Returns whether the context needs frames of the user side's encoder."""
        frames = self.user_videos.frames
        is_other = frames is not self._graph_of(side).frames
        return self.context is not None and frames is not None and is_other

    def _concat_parts(
        self,
        side: str,
        facts: PostInputs,
        video_posts: EncodedPosts,
        context_posts: EncodedPosts,
    ) -> tf.Tensor:
        parts, videos = [], self._graph_of(side)
        if videos.video_dim:
            parts.append(videos.embed(video_posts))
        if self.context is not None:
            frames = context_posts.mean_frames
            parts.append(self._embed_context(facts, context_posts.caption, frames))
        return tf.concat(parts, axis=1)

    @tf.function(autograph=False)
    def _embed_context(
        self, facts: PostInputs, captions: tf.Tensor | None, frames: tf.Tensor | None
    ) -> tf.Tensor:
        return cast("ContextModel", self.context).space.embed(facts, captions, frames)

    def _embed_user(
        self,
        texts: tf.Tensor,
        captions: tf.Tensor,
        frames: tf.Tensor,
        facts: tuple[tf.Tensor, ...],
    ) -> tf.Tensor:
        count = len(POST_SPECS)
        posts, valid = self._embed_sets(
            "user", self.history_max, texts, captions, frames, facts[:count]
        )
        return self.join_user(posts, valid, *facts[count:])

    def _embed_sets(
        self,
        side: str,
        most: int,
        texts: tf.Tensor,
        captions: tf.Tensor,
        frames: tf.Tensor,
        facts: tuple[tf.Tensor, ...],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Embeds the first `most` posts of each set, without computing padding.

        Returns:
            The embedded posts, zero where there is no post, float32 (B, most,
            post_width); and the mask of posts, bool (B, most).
        """
        texts, captions, frames = (
            fit_to(values, most) for values in (texts, captions, frames)
        )
        is_token = texts.dtype == tf.int32
        has_text = (
            tf.reduce_any(texts != 0, axis=2)
            if is_token
            else tf.strings.length(texts) > 0
        )
        has_frames = tf.reduce_any(tf.strings.length(frames) > 0, axis=2)
        valid = has_text | has_frames
        inputs = [
            tf.boolean_mask(fit_to(column, most), valid)
            for column in (captions, *facts)
        ]
        embedded = self.embed_posts(
            side,
            PostInputs(*inputs),
            tf.boolean_mask(texts, valid),
            tf.boolean_mask(frames, valid),
        )
        shape = tf.concat([tf.shape(valid), [self.post_width(side)]], axis=0)
        values = tf.scatter_nd(tf.where(valid), embedded, tf.cast(shape, tf.int64))
        return values, valid

    def _fuse(self, side: str, posts: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
        """Fuses the video embeddings of sets, eqs. (1) and (2)."""
        fusion = cast("Any", self.model.fusion)
        values = posts[:, :, : self._graph_of(side).video_dim]
        values *= tf.cast(valid, tf.float32)[..., None]
        if side == "user":
            return fusion.represent_users(values, valid)
        return fusion.represent_challenges(values, valid)

    def _user_fact_parts(
        self, account: tf.Tensor, joined: tf.Tensor, now: tf.Tensor
    ) -> list[tf.Tensor]:
        """Returns the parts of user vectors after the history; see `pair_features`."""
        context = cast("ContextModel", self.context)
        logs = tf.math.log1p(tf.maximum(account, 0.0))
        row = self.challenges.lookup.lookup(joined)
        is_joined = tf.one_hot(row, context.pairs.layout.num_challenges)
        are_known = tf.reduce_any(tf.strings.length(joined) > 0, axis=1)
        return [
            tf.where(account >= 0, logs, UNKNOWN),
            tf.fill((tf.shape(row)[0], len(PAST)), UNKNOWN),
            tf.cast(are_known, tf.float32)[:, None],
            tf.reduce_max(is_joined, axis=1),
            context.space.day_of(now)[:, None],
        ]


def build_serving_model(
    directory: Path, calibration: str = "platt"
) -> tuple[ServingModel, dict[str, Any]]:
    """Builds the serving model of a participation model directory.

    `calibration` is one of `calibration.METHODS`.

    Returns:
        The model and the configuration of the bundle.

    Raises:
        DataError: the directory contains another kind of model, or an encoder has other
            weights than the one that made the features.
    """
    saved = load_participation(directory)
    model, config, known = saved.model, saved.config, saved.sets["vectors"]
    encoders, videos = Encoders(), {}
    for side in ("user", "challenge"):
        videos[side] = encoders.video_graph(
            saved.proxies.get(side),
            config["sides"][side],
            is_mean=saved.baseline is not None,
        )
    posts, valid = saved.sets["posts"], saved.sets["valid"]
    table = np.concatenate([known, _make_unknown_row(model, known)])
    captions = videos["user"].captions
    if captions is not None and captions.takes_tokens:
        config["special_tokens"] = captions.text.special_tokens()
    serving = ServingModel(
        user_videos=videos["user"],
        challenge_videos=videos["challenge"],
        model=model,
        challenges=ChallengeTable(tuple(config["challenges"]), table, posts, valid),
        history_max=_history_max(model, config),
        support_max=posts.shape[1],
        calibration=Calibration.of_model(directory, calibration),
    )
    return serving, config


def _history_max(model: ParticipationModel, config: dict[str, Any]) -> int:
    if model.context is not None:
        return model.context.pairs.layout.user.num_days
    return int(config["study"]["history_max"])


def _make_unknown_row(model: ParticipationModel, known: np.ndarray) -> np.ndarray:
    """Returns the row of the table for unknown names, (1, challenge_width).

    It is the mean over known challenges for averaged features, and unknown for others.
    """
    row = np.array(known.mean(axis=0))
    if model.context is not None:
        layout = model.context.pairs.layout
        start = model.video_widths[1]
        support = start + layout.challenge.width
        row[start : start + layout.challenge.taste] = 0.0
        row[start + layout.challenge.taste : support] = UNKNOWN
        # The mean of the popularity is kept; the other label features are unknown.
        row[support + 1] = UNKNOWN
        row[support + 2 :] = 0.0
    return np.asarray(row[None])
