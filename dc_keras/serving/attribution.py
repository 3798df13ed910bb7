"""Which posts, frames, words and facts moved an answer: the rest is asked without each.

Nothing is approximated: what is left out is gone, all else stays as it is. Effects are
differences of log-odds, and they do not add up: two posts that say the same have little
effect each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dc_keras.errors import DataError
from dc_keras.serving.calibration import log_odds
from dc_keras.serving.predictor import Predictor
from dc_keras.serving.raw_requests import RawPost, RawUser, as_user, pack_users

SIDES = ("user", "challenge")
MOST_WORDS = 100
# Sets of posts that are joined at a time.
_SETS = 64
_UNKNOWN = RawPost("")
# What of a post is not known when a kind of fact is left out, and what of a user.
_POST_FACTS = {
    "sounds": ("sound", "sound_title"),
    "dates": ("create_time",),
    "durations": ("duration",),
    "counts": ("counts",),
}
_USER_FACTS = {"account": ("account",), "earlier joins": ("joined",)}
# The kinds of facts that are left out.
FACTS = (*_POST_FACTS, *_USER_FACTS)


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
        facts: of each kind of fact about the user and their posts: dates, sounds,
            counts and the like; empty for a model that sees videos only.
    """

    challenge: str
    probability: float
    user: tuple[PostEffect, ...]
    challenge_posts: tuple[PostEffect, ...]
    facts: tuple[Effect, ...] = ()


def explain(
    predictor: Predictor,
    user: RawUser | Sequence[RawPost],
    challenge: str,
    support: Sequence[RawPost] = (),
    most_posts: int = 3,
) -> Attribution:
    """Leaves out posts of both sides, and frames and words of those that moved most.

    Args:
        predictor: a bundle, in process or on a server.
        user: with the posts newest first, or the posts alone; the first m count.
        challenge: one that the bundle knows.
        support: the posts that describe it, as many as the bundle has of it and in its
            order; without them only whole posts of the challenge are left out.
        most_posts: posts of each side to look into.

    Raises:
        DataError: the user has no posts, the bundle does not know the challenge, or
            `support` has another number of posts.
    """
    who = as_user(user)
    if not who.posts:
        raise DataError("a user must have at least one post. Received: posts=0")
    predictor.require_challenges([challenge])
    history = list(who.posts[: predictor.config["study"]["history_max"]])
    found = predictor.ask("find_support", name=np.array([challenge], object))
    kinds = tuple(_POST_FACTS) if _sees_context(predictor) else ()
    variants = predictor.embed_variants(
        "user", [[post, *_without_facts(post, kinds)] for post in history]
    )
    videos = {
        "user": variants[:, 0],
        "challenge": found["challenge_videos"][0][found["valid"][0]],
    }
    asked = {
        "user": pack_users([who]),
        "challenge": {"name": np.array([challenge.encode()], object)},
    }
    if support and len(support) != len(videos["challenge"]):
        raise DataError(
            f"the bundle has {len(videos['challenge'])} posts of {challenge!r}. "
            f"Received: support={len(support)}"
        )
    whole = {
        side: _join(predictor, side, v[None], np.ones((1, len(v)), bool), asked[side])
        for side, v in videos.items()
    }
    [probability] = predictor.ask("score", **whole)["probability"]
    answers = {
        side: _Side(
            predictor, side, videos[side], whole, float(probability), asked[side]
        )
        for side in SIDES
    }
    return Attribution(
        challenge,
        float(probability),
        answers["user"].explain(history, most_posts),
        answers["challenge"].explain(support, most_posts),
        answers["user"].explain_facts(kinds, variants[:, 1:], who) if kinds else (),
    )


def _sees_context(predictor: Predictor) -> bool:
    return bool(predictor.config["context"]["context"] != "none")


def _without_facts(post: RawPost, kinds: Sequence[str]) -> Iterator[RawPost]:
    for kind in kinds:
        yield replace(post, **{n: getattr(_UNKNOWN, n) for n in _POST_FACTS[kind]})


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
        asked: further inputs of `join_user` or `join_challenge`, a row each.
    """

    predictor: Predictor
    side: str
    videos: np.ndarray
    whole: Mapping[str, np.ndarray]
    probability: float
    asked: Mapping[str, np.ndarray]

    def explain_facts(
        self, kinds: Sequence[str], variants: np.ndarray, user: RawUser
    ) -> tuple[Effect, ...]:
        """Leaves out each kind of fact of all posts, and each of the user.

        Args:
            kinds: of `_POST_FACTS`.
            variants: float32 (num_posts, len(kinds), width), the posts without each.
            user: who is asked about.
        """
        nobody = RawUser(user.posts)
        sets = [variants[:, number] for number in range(len(kinds))]
        asked = [self.asked] * len(kinds)
        for changed in _USER_FACTS.values():
            sets.append(self.videos)
            changes: dict[str, Any] = {n: getattr(nobody, n) for n in changed}
            asked.append(pack_users([replace(user, **changes)]))
        return tuple(
            self._effect_of(name, self._ask_sets(videos[None], one))
            for name, videos, one in zip(FACTS, sets, asked, strict=True)
        )

    def _effect_of(self, name: str, probability: np.ndarray) -> Effect:
        moved = log_odds(np.array(self.probability)) - log_odds(probability)
        return Effect(name, float(probability[0]), float(moved[0]))

    def _ask_sets(
        self,
        videos: np.ndarray,
        asked: Mapping[str, np.ndarray],
        valid: np.ndarray | None = None,
    ) -> np.ndarray:
        """Asks with other sets of posts on this side → float32 (num_sets,)."""
        count = len(videos)
        if valid is None:
            valid = np.ones(videos.shape[:2], bool)
        every = {name: np.repeat(value, count, axis=0) for name, value in asked.items()}
        [other] = set(SIDES) - {self.side}
        against = np.repeat(self.whole[other], count, axis=0)
        joined = _join(self.predictor, self.side, videos, valid, every)
        told = self.predictor.ask("score", **{self.side: joined, other: against})
        return told["probability"]

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
        variants = [replace(post, caption=caption) for caption in captions]
        videos = self.predictor.embed_variants(self.side, [variants], kept[None])[0]
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
        return self._ask_sets(videos, self.asked, valid)


def _join(
    predictor: Predictor,
    side: str,
    videos: np.ndarray,
    valid: np.ndarray,
    asked: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Joins sets of embedded posts → float32 (num_sets, width)."""
    sets = {f"{side}_videos": videos}
    return predictor.ask(f"join_{side}", valid=valid, **sets, **asked)[side]


def _without_each(words: Sequence[str], post: RawPost) -> Iterator[str]:
    """Yields the caption without each of its words."""
    every = post.caption.split()
    for number in range(len(words)):
        yield " ".join(every[:number] + every[number + 1 :])
