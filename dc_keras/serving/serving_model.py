"""The participation model from raw posts to calibrated probabilities, in one graph.

Which signatures a bundle makes of it: `endpoints`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf

from dc_keras.context.context_model import ContextModel
from dc_keras.context.pair_features import PAST
from dc_keras.context.post_inputs import PostInputs
from dc_keras.context.post_vectors import UNKNOWN
from dc_keras.context.set_vectors import join_posts
from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    USER_REPRESENTATION,
)
from dc_keras.serving.calibration import Calibration, calibrate
from dc_keras.serving.challenge_table import ChallengeTable
from dc_keras.serving.fact_inputs import (
    POST_SPECS,
    USER_SPECS,
    PostFactsOfSets,
    UserFacts,
)
from dc_keras.serving.video_graph import Encoders, SeenPosts, VideoGraph
from dc_keras.training.model_directory import load_model
from dc_keras.training.participation_model import ParticipationModel
from dc_keras.training.saved_participation import (
    CHALLENGES_FILE,
    read_participation,
)

CAPTIONS = tf.TensorSpec((None, None), tf.string, name="captions")
TOKENS = tf.TensorSpec((None, None, None), tf.int32, name="token_ids")
FRAMES = tf.TensorSpec((None, None, None), tf.string, name="frames")


@dataclass(frozen=True, eq=False)
class ServingModel:
    """The parts of a bundle.

    Attributes:
        user_videos: reads raw posts as the user side sees them.
        challenge_videos: reads raw posts as the challenge side sees them.
        model: the fitted participation model.
        challenges: those known to the bundle.
        history_max: m, posts of a user that count.
        support_max: n, posts of a challenge that count.
        calibration: from the model's probabilities to those that are answered.
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

    def post_width(self, side: str) -> int:
        """Numbers a post: the video embedding of a side and the vector of context."""
        context = 0 if self.context is None else self.context.space.width
        return self._videos(side).video_dim + context

    # Traced once: each signature that traced it anew would take seconds.
    @tf.function(
        input_signature=(CAPTIONS, FRAMES, *POST_SPECS, *USER_SPECS), autograph=False
    )
    def embed_user(
        self, captions: tf.Tensor, frames: tf.Tensor, *facts: tf.Tensor
    ) -> tf.Tensor:
        """The first m posts of each user, newest first → (B, user_width); eq. (2)."""
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
        """As `embed_user`, with the ids of WordPieces: without an op of TF-Text."""
        return self._embed_user(token_ids, captions, frames, facts)

    @tf.function(input_signature=(CAPTIONS, FRAMES, *POST_SPECS), autograph=False)
    def embed_challenge(
        self, captions: tf.Tensor, frames: tf.Tensor, *facts: tf.Tensor
    ) -> tf.Tensor:
        """The first n posts of each challenge, or a brief → (B, challenge_width)."""
        posts, valid = self._embed_sets(
            "challenge",
            self.support_max,
            captions,
            captions,
            frames,
            PostFactsOfSets(*facts),
        )
        nameless = tf.fill((tf.shape(captions)[0],), "")
        return self.join_challenge(posts, valid, nameless)

    def score(self, user: tf.Tensor, challenge: tf.Tensor) -> tf.Tensor:
        """Vectors of users and challenges → calibrated probability, (B,)."""
        return calibrate(self.model.score(user, challenge), self.calibration)

    def join_user(
        self, posts: tf.Tensor, valid: tf.Tensor, facts: UserFacts
    ) -> tf.Tensor:
        """Embedded posts (B, any, post_width), newest first → (B, user_width)."""
        posts, valid = (
            fit_to(posts, self.history_max),
            fit_to(valid, self.history_max),
        )
        parts = []
        if self.model.fusion is not None:
            parts.append(self._fuse(USER_REPRESENTATION, "user", posts, valid))
        if self.context is not None:
            of_context = posts[:, :, self.user_videos.video_dim :]
            layout = self.context.pairs.layout
            parts.append(join_posts(layout.user, of_context, valid))
            parts += self._user_facts(facts)
        return tf.concat(parts, axis=1)

    def join_challenge(
        self, posts: tf.Tensor, valid: tf.Tensor, name: tf.Tensor
    ) -> tf.Tensor:
        """Embedded posts (B, any, post_width) → (B, challenge_width); eq. (1).

        What training learned of a challenge that `name` says is kept; of another one
        nothing is known but its posts.
        """
        posts, valid = (
            fit_to(posts, self.support_max),
            fit_to(valid, self.support_max),
        )
        parts = []
        if self.model.fusion is not None:
            parts.append(
                self._fuse(CHALLENGE_REPRESENTATION, "challenge", posts, valid)
            )
        if self.context is not None:
            of_context = posts[:, :, self.challenge_videos.video_dim :]
            layout = self.context.pairs.layout.challenge
            parts.append(join_posts(layout, of_context, valid))
            start = self.model.video_widths[1] + layout.width
            parts.append(self.challenges.find(name)["challenge"][:, start:])
        return tf.concat(parts, axis=1)

    def embed_posts(
        self, side: str, facts: PostInputs, texts: tf.Tensor, frames: tf.Tensor
    ) -> tf.Tensor:
        """Embeds posts as a side sees them, float32 (num_posts, post_width).

        Args:
            side: "user" or "challenge".
            facts: with captions.
            texts: captions string (num_posts,), or token ids int32 (num_posts, any).
            frames: string (num_posts, any).
        """
        seen = self._videos(side).read(texts, frames)
        of_context = seen
        if self._needs_other_frames(side):
            of_context = self.user_videos.read(texts, frames)
        return self._join_parts(side, facts, seen, of_context)

    def vary_posts(
        self,
        side: str,
        facts: PostInputs,
        frames: tf.Tensor,
        kept: tf.Tensor,
    ) -> tf.Tensor:
        """Embeds posts with other captions and facts, and without some frames.

        Args:
            side: "user" or "challenge".
            facts: of each variant, (batch_size, num_variants, …), with captions.
            frames: string (batch_size, any).
            kept: bool (batch_size, num_variants, any), the frames that a variant has.

        Returns:
            float32 (batch_size, num_variants, post_width).
        """
        flat = [tf.reshape(column, (-1, *column.shape[2:])) for column in facts]
        captions = facts.captions
        seen = self._videos(side).read_variants(captions, frames, kept)
        of_context = seen
        if self._needs_other_frames(side):
            of_context = self.user_videos.read_variants(captions, frames, kept)
        embedded = self._join_parts(side, PostInputs(*flat), seen, of_context)
        shape = tf.concat([tf.shape(kept)[:2], [self.post_width(side)]], axis=0)
        return tf.reshape(embedded, shape)

    def _videos(self, side: str) -> VideoGraph:
        return self.user_videos if side == "user" else self.challenge_videos

    def _needs_other_frames(self, side: str) -> bool:
        """Whether context sees a side's posts with another network than its proxy."""
        frames = self.user_videos.frames
        is_other = frames is not self._videos(side).frames
        return self.context is not None and frames is not None and is_other

    def _join_parts(
        self, side: str, facts: PostInputs, seen: SeenPosts, of_context: SeenPosts
    ) -> tf.Tensor:
        parts, videos = [], self._videos(side)
        if videos.embedding is not None:
            parts.append(videos.embed(seen))
        if self.context is not None:
            parts.append(
                self.context.space.embed(
                    facts, of_context.caption, of_context.mean_frames
                )
            )
        return tf.concat(parts, axis=1)

    def _embed_user(
        self,
        texts: tf.Tensor,
        captions: tf.Tensor,
        frames: tf.Tensor,
        facts: tuple[tf.Tensor, ...],
    ) -> tf.Tensor:
        of_posts = PostFactsOfSets(*facts[: len(POST_SPECS)])
        posts, valid = self._embed_sets(
            "user", self.history_max, texts, captions, frames, of_posts
        )
        return self.join_user(posts, valid, UserFacts(*facts[len(POST_SPECS) :]))

    def _embed_sets(
        self,
        side: str,
        most: int,
        texts: tf.Tensor,
        captions: tf.Tensor,
        frames: tf.Tensor,
        facts: PostFactsOfSets,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Embeds the first `most` posts of each set, and only those that are there.

        Returns:
            float32 (B, most, post_width), zero where there is no post; and bool (B,
            most), where there is one.
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
        there = [
            tf.boolean_mask(fit_to(column, most), valid)
            for column in (captions, *facts)
        ]
        embedded = self.embed_posts(
            side,
            PostInputs(*there),
            tf.boolean_mask(texts, valid),
            tf.boolean_mask(frames, valid),
        )
        shape = tf.concat([tf.shape(valid), [self.post_width(side)]], axis=0)
        values = tf.scatter_nd(tf.where(valid), embedded, tf.cast(shape, tf.int64))
        return values, valid

    def _fuse(
        self, layer: str, side: str, posts: tf.Tensor, valid: tf.Tensor
    ) -> tf.Tensor:
        """Joins the video embeddings of sets, eqs. (1) and (2)."""
        values = posts[:, :, : self._videos(side).video_dim]
        values *= tf.cast(valid, tf.float32)[..., None]
        return cast("Any", self.model.fusion).get_layer(layer)(values, valid)

    def _user_facts(self, facts: UserFacts) -> list[tf.Tensor]:
        """The parts of a user's vector behind the history; see `context.pairs`."""
        context = cast("ContextModel", self.context)
        account = tf.where(
            facts.account >= 0, tf.math.log1p(tf.maximum(facts.account, 0.0)), UNKNOWN
        )
        row = self.challenges.lookup.lookup(facts.joined)
        joined = tf.reduce_max(
            tf.one_hot(row, context.pairs.layout.num_challenges), axis=1
        )
        are_known = tf.reduce_any(tf.strings.length(facts.joined) > 0, axis=1)
        past = tf.fill((tf.shape(row)[0], len(PAST)), UNKNOWN)
        now = context.space.day_of(facts.now)
        return [
            account,
            past,
            tf.cast(are_known, tf.float32)[:, None],
            joined,
            now[:, None],
        ]


def build_serving_model(
    directory: Path, calibration: str = "platt"
) -> tuple[ServingModel, dict[str, Any]]:
    """Assembles the serving model of a participation model directory.

    Args:
        directory: of the model.
        calibration: one of `calibration.METHODS`.

    Returns:
        The model and the configuration of the bundle.

    Raises:
        DataError: the directory holds another kind of model, or an encoder whose
            weights are not those that the features were made with.
    """
    model, config = read_participation(directory)
    encoders = Encoders()
    videos = {}
    for side in ("user", "challenge"):
        proxy = None
        if model.fusion is not None:
            proxy, _ = load_model(directory / f"{side}_proxy")
        videos[side] = encoders.video_graph(proxy, config["sides"][side])
    with (
        (directory / CHALLENGES_FILE).open("rb") as file,
        np.load(file, allow_pickle=False) as sets,
    ):
        posts, valid, known = sets["posts"], sets["valid"], sets["vectors"]
    table = np.concatenate([known, _unknown_challenge(model, known)])
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


def _unknown_challenge(model: ParticipationModel, known: np.ndarray) -> np.ndarray:
    """What answers for an unknown name, (1, challenge_width).

    The mean of the known ones where they are averages themselves; else nothing known.
    """
    row = np.array(known.mean(axis=0))
    if model.context is not None:
        layout = model.context.pairs.layout
        start = model.video_widths[1]
        support = start + layout.challenge.width
        row[start : start + layout.challenge.taste] = 0.0
        row[start + layout.challenge.taste : support] = UNKNOWN
        # Popularity stays the mean; supporters, taste and other joins are not known.
        row[support + 1] = UNKNOWN
        row[support + 2 :] = 0.0
    return np.asarray(row[None])


def fit_to(values: tf.Tensor, count: int) -> tf.Tensor:
    """Cuts or pads the second dimension to `count`: with "", 0 or False."""
    values = values[:, :count]
    rest = values.shape[2:]
    missing = count - tf.shape(values)[1]
    margins = [[0, 0], [0, missing], *([0, 0] for _ in rest)]
    padded = tf.pad(values, margins, constant_values=tf.zeros((), values.dtype))
    return tf.ensure_shape(padded, (None, count, *rest))
