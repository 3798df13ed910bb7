"""Which posts, frames and words moved an answer: each is left out and the rest asked.

Nothing is approximated: what is left out is gone, all else stays as it is. Effects are
differences of log-odds, and they do not add up: two posts that say the same have little
effect each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dc_keras.errors import DataError
from dc_keras.serving.calibration import log_odds
from dc_keras.serving.predictor import Predictor, RawPost

SIDES = ("user", "challenge")
MOST_WORDS = 100
# Sets of posts that are joined at a time.
_SETS = 64


@dataclass(frozen=True)
class Effect:
    """What one thing did to an answer.

    Attributes:
        name: the word; "" for posts and frames.
        probability: that the user joins, without it; None where nothing is left.
        log_odds: with it less without it: above 0, it spoke for joining. None alike.
    """

    name: str
    probability: float | None
    log_odds: float | None


@dataclass(frozen=True)
class PostEffect:
    """What a post did, and inside it.

    Attributes:
        whole: of the post.
        frames: of each frame, in order; empty where nobody looked.
        words: of the caption's first `MOST_WORDS`, in order; empty alike.
    """

    whole: Effect
    frames: tuple[Effect, ...] = ()
    words: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class Attribution:
    """Why a user is said to join a challenge, or not.

    Attributes:
        challenge: its name.
        probability: that the user joins.
        user: of each post of the user that counts, newest first.
        challenge_posts: of each post that describes the challenge, in their order.
    """

    challenge: str
    probability: float
    user: tuple[PostEffect, ...]
    challenge_posts: tuple[PostEffect, ...]


def explain(
    predictor: Predictor,
    history: Sequence[RawPost],
    challenge: str,
    support: Sequence[RawPost] = (),
    most_posts: int = 3,
) -> Attribution:
    """Leaves out posts of both sides, and frames and words of those that moved most.

    Args:
        predictor: a bundle, in process or on a server.
        history: posts of the user, newest first; the first m count.
        challenge: one that the bundle knows.
        support: the posts that describe it, as many as the bundle has of it and in its
            order; without them only whole posts of the challenge are left out.
        most_posts: posts of each side to look into.

    Raises:
        DataError: the user has no posts, the bundle does not know the challenge, or
            `support` has another number of posts.
    """
    if not history:
        raise DataError("a user must have at least one post. Received: posts=0")
    predictor.require_challenges([challenge])
    history = list(history[: predictor.config["study"]["history_max"]])
    found = predictor.ask("find_support", name=np.array([challenge], object))
    videos = {
        "user": predictor.embed_posts("user", history),
        "challenge": found["challenge_videos"][0][found["valid"][0]],
    }
    if support and len(support) != len(videos["challenge"]):
        raise DataError(
            f"the bundle has {len(videos['challenge'])} posts of {challenge!r}. "
            f"Received: support={len(support)}"
        )
    whole = {
        side: _join(predictor, side, v[None], np.ones((1, len(v)), bool))
        for side, v in videos.items()
    }
    [probability] = predictor.ask("score", **whole)["probability"]
    answers = {
        side: _Side(predictor, side, videos[side], whole, float(probability))
        for side in SIDES
    }
    return Attribution(
        challenge,
        float(probability),
        answers["user"].explain(history, most_posts),
        answers["challenge"].explain(support, most_posts),
    )


@dataclass(frozen=True)
class _Change:
    """A post that is left out, or replaced by a variant of itself."""

    name: str
    position: int
    video: np.ndarray | None = None


@dataclass(frozen=True)
class _Side:
    """One side of a question, of which things are left out.

    Attributes:
        predictor: is asked.
        side: one of `SIDES`.
        videos: float32 (num_posts, width), the embedded posts.
        whole: by side, the representation with nothing left out, (1, width).
        probability: with nothing left out.
    """

    predictor: Predictor
    side: str
    videos: np.ndarray
    whole: Mapping[str, np.ndarray]
    probability: float

    def explain(
        self, posts: Sequence[RawPost], most_posts: int
    ) -> tuple[PostEffect, ...]:
        """Leaves out each post, and parts of the `most_posts` that moved most."""
        count = len(self.videos)
        wholes = self._effects([_Change("", position) for position in range(count)])
        moved = np.array([abs(effect.log_odds or 0.0) for effect in wholes])
        # Stable: of equal ones the first is looked into.
        inside = np.argsort(-moved, kind="stable")[:most_posts].tolist()
        return tuple(
            self._look_into(position, whole, posts[position])
            if posts and position in inside
            else PostEffect(whole)
            for position, whole in enumerate(wholes)
        )

    def _look_into(self, position: int, whole: Effect, post: RawPost) -> PostEffect:
        """Leaves out frames and words of a post, where the model sees such."""
        sees = self.predictor.config["sides"][self.side]
        num_frames = len(post.jpegs) if sees["vision"] else 0
        words = post.caption.split()[:MOST_WORDS] if sees["text"] else []
        names = [""] * num_frames + words
        if not names:
            return PostEffect(whole)
        kept = np.ones((len(names), max(num_frames, 1)), bool)
        kept[range(num_frames), range(num_frames)] = False
        captions = [post.caption] * num_frames + list(_without_each(words, post))
        videos = _vary(self.predictor, self.side, captions, post.jpegs, kept)
        effects = self._effects(
            [
                _Change(name, position, video)
                for name, video in zip(names, videos, strict=True)
            ]
        )
        return PostEffect(whole, effects[:num_frames], effects[num_frames:])

    def _effects(self, changes: Sequence[_Change]) -> tuple[Effect, ...]:
        """Asks anew after each of some changes."""
        is_emptied = len(self.videos) == 1 and not any(
            change.video is not None for change in changes
        )
        if is_emptied or not changes:
            return tuple(Effect(change.name, None, None) for change in changes)
        starts = range(0, len(changes), _SETS)
        told = np.concatenate([self._ask(changes[s : s + _SETS]) for s in starts])
        moved = log_odds(np.array(self.probability)) - log_odds(told)
        return tuple(
            Effect(change.name, float(probability), float(effect))
            for change, probability, effect in zip(changes, told, moved, strict=True)
        )

    def _ask(self, changes: Sequence[_Change]) -> np.ndarray:
        videos = np.repeat(self.videos[None], len(changes), axis=0)
        valid = np.ones(videos.shape[:2], bool)
        for row, change in enumerate(changes):
            if change.video is None:
                valid[row, change.position] = False
            else:
                videos[row, change.position] = change.video
        [other] = set(SIDES) - {self.side}
        against = np.repeat(self.whole[other], len(changes), axis=0)
        joined = _join(self.predictor, self.side, videos, valid)
        told = self.predictor.ask("score", **{self.side: joined, other: against})
        return told["probability"]


def _join(
    predictor: Predictor, side: str, videos: np.ndarray, valid: np.ndarray
) -> np.ndarray:
    """Joins sets of embedded posts → float32 (num_sets, width)."""
    sets = {f"{side}_videos": videos}
    return predictor.ask(f"join_{side}", valid=valid, **sets)[side]


def _vary(
    predictor: Predictor,
    side: str,
    captions: Sequence[str],
    jpegs: Sequence[bytes],
    kept: np.ndarray,
) -> np.ndarray:
    """Embeds variants of a post → float32 (num_variants, width).

    Args:
        predictor: is asked.
        side: one of `SIDES`.
        captions: of each variant.
        jpegs: all frames of the post.
        kept: bool (num_variants, num_frames), at least one frame wide.
    """
    frames = list(jpegs[: kept.shape[1]]) or [b""]
    answer = predictor.ask(
        f"vary_{side}_video",
        # "" would be padding elsewhere; a blank reads the same to BERT.
        captions=np.array([[text.encode() or b" " for text in captions]], object),
        frames=np.array([frames], object),
        kept=kept[None],
    )
    varied: np.ndarray = answer[f"{side}_videos"][0]
    return varied


def _without_each(words: Sequence[str], post: RawPost) -> Iterator[str]:
    """Yields the caption without each of its words."""
    every = post.caption.split()
    for number in range(len(words)):
        yield " ".join(every[:number] + every[number + 1 :])
