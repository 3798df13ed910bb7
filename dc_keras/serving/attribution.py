"""Explains a probability by leave-one-out effects of posts, frames, words and facts.

The bundle scores the pair again without each item; nothing is approximated. An effect
is a difference of log-odds. Effects do not add up: of two similar posts, each alone has
little effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tqdm import tqdm

from dc_keras.errors import DataError
from dc_keras.serving.calibration import log_odds
from dc_keras.serving.predictor import Predictor
from dc_keras.serving.raw_requests import RawPost, RawUser, as_user, pack_users

SIDES = ("user", "challenge")
MOST_WORDS = 100
# Sets of posts that are scored in one call.
_SETS = 64
_UNKNOWN = RawPost("")
# The fields of a post, and of a user, that become unknown for each kind of fact.
_POST_FACTS = {
    "sounds": ("sound", "sound_title"),
    "dates": ("create_time",),
    "durations": ("duration",),
    "counts": ("counts",),
}
_USER_FACTS = {"account": ("account",), "earlier joins": ("joined",)}
# The kinds of facts whose effects are computed.
FACTS = (*_POST_FACTS, *_USER_FACTS)


@dataclass(frozen=True)
class Effect:
    """The effect of one item on the probability.

    Attributes:
        name: the word or the kind of fact; "" for posts and frames.
        probability: probability that the user joins, without the item; None if nothing
            is left without it.
        log_odds: log-odds with the item minus log-odds without it; positive if the item
            raises the probability. None if nothing is left without it.
    """

    name: str
    probability: float | None
    log_odds: float | None


@dataclass(frozen=True)
class PostEffect:
    """The effects of a post and of its parts.

    Attributes:
        whole: effect of the whole post.
        frames: effect of each frame, in order; empty if they were not computed.
        words: effects of the caption's first `MOST_WORDS` words, in order; empty if
            they were not computed.
    """

    whole: Effect
    frames: tuple[Effect, ...] = ()
    words: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class Attribution:
    """The explanation of the probability that a user joins a challenge.

    Attributes:
        challenge: name of the challenge.
        probability: probability that the user joins.
        user: effects of the user's posts within the history limit, newest first.
        challenge_posts: effects of the posts that describe the challenge, in order;
            empty for a baseline of the paper.
        facts: effects of each kind of fact about the user and their posts, named as in
            `FACTS`; empty for a model that uses only videos.
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
    """Computes the effects of posts, and of the parts of the most influential posts.

    Args:
        predictor: a bundle, in process or on a server.
        user: the user, or only the user's posts, newest first; the first m are used.
        challenge: name of a challenge of the bundle.
        support: the posts that describe the challenge, in the number and order of the
            bundle. Without them, the challenge side has only effects of whole posts.
        most_posts: number of posts on each side whose frames and words are explained.

    Raises:
        DataError: the user has no posts, the bundle does not contain the challenge, or
            `support` has a different number of posts.
    """
    raw_user = as_user(user)
    if not raw_user.posts:
        raise DataError("a user must have at least one post. Received: posts=0")
    predictor.require_challenges([challenge])
    history = list(raw_user.posts[: predictor.config["study"]["history_max"]])
    has_context = predictor.config["context"]["context"] != "none"
    kinds = tuple(_POST_FACTS) if has_context else ()
    variants = predictor.embed_variants(
        "user", [[post, *_without_facts(post, kinds)] for post in history]
    )
    videos = {
        "user": variants[:, 0],
        "challenge": _find_support(predictor, challenge),
    }
    inputs = {
        "user": pack_users([raw_user]),
        "challenge": {"name": np.array([challenge.encode()], object)},
    }
    if support and len(support) != len(videos["challenge"]):
        raise DataError(
            f"the bundle has {len(videos['challenge'])} posts of {challenge!r}. "
            f"Received: support={len(support)}"
        )
    whole = {
        side: _join(predictor, side, v[None], np.ones((1, len(v)), bool), inputs[side])
        for side, v in videos.items()
    }
    [probability] = predictor.call("score", **whole)["probability"]
    sides = {
        side: _Side(
            predictor, side, videos[side], whole, float(probability), inputs[side]
        )
        for side in SIDES
    }
    return Attribution(
        challenge,
        float(probability),
        sides["user"].explain(history, most_posts),
        sides["challenge"].explain(support, most_posts),
        sides["user"].explain_facts(kinds, variants[:, 1:], raw_user) if kinds else (),
    )


def _find_support(predictor: Predictor, challenge: str) -> np.ndarray:
    """Returns the embedded posts of a challenge, float32 (num_posts, width).

    A baseline of the paper has none.
    """
    if predictor.config.get("baseline") is not None:
        return np.zeros((0, 0), np.float32)
    found = predictor.call("find_support", name=np.array([challenge], object))
    posts: np.ndarray = found["challenge_videos"][0][found["valid"][0]]
    return posts


def _without_facts(post: RawPost, kinds: Sequence[str]) -> Iterator[RawPost]:
    for kind in kinds:
        yield replace(post, **{n: getattr(_UNKNOWN, n) for n in _POST_FACTS[kind]})


@dataclass(frozen=True)
class _Side:
    """Computes the effects of one side of a pair.

    Attributes:
        predictor: the bundle.
        side: one of `SIDES`.
        videos: the embedded posts, float32 (num_posts, width).
        whole: the complete representation of each side, (1, width).
        probability: probability of the complete pair.
        inputs: the other inputs of `join_user` or `join_challenge`, one row each.
    """

    predictor: Predictor
    side: str
    videos: np.ndarray
    whole: Mapping[str, np.ndarray]
    probability: float
    inputs: Mapping[str, np.ndarray]

    def explain_facts(
        self, kinds: Sequence[str], variants: np.ndarray, user: RawUser
    ) -> tuple[Effect, ...]:
        """Returns the effect of each kind of fact of all posts, and of the user.

        `variants` are the posts without each of the `kinds`, float32 (num_posts,
        len(kinds), width).
        """
        unknown = RawUser(user.posts)
        sets = [variants[:, number] for number in range(len(kinds))]
        inputs = [self.inputs] * len(kinds)
        for fields in _USER_FACTS.values():
            sets.append(self.videos)
            changes: dict[str, Any] = {n: getattr(unknown, n) for n in fields}
            inputs.append(pack_users([replace(user, **changes)]))
        scores = [
            self._score_sets(videos[None], facts)
            for videos, facts in zip(sets, inputs, strict=True)
        ]
        return self._effects(FACTS, np.concatenate(scores))

    def _score_sets(
        self,
        videos: np.ndarray,
        inputs: Mapping[str, np.ndarray],
        valid: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns the probability with each set of posts, float32 (num_sets,).

        Args:
            videos: the embedded posts, float32 (num_sets, num_posts, width).
            inputs: the other inputs of the side, one row.
            valid: the posts that count, bool (num_sets, num_posts); None for all.
        """
        count = len(videos)
        if valid is None:
            valid = np.ones(videos.shape[:2], bool)
        repeated = {n: np.repeat(value, count, axis=0) for n, value in inputs.items()}
        [other] = set(SIDES) - {self.side}
        vectors = {
            self.side: _join(self.predictor, self.side, videos, valid, repeated),
            other: np.repeat(self.whole[other], count, axis=0),
        }
        return self.predictor.call("score", **vectors)["probability"]

    def explain(
        self, posts: Sequence[RawPost], most_posts: int
    ) -> tuple[PostEffect, ...]:
        """Returns the effects of posts, and of parts of the `most_posts` largest."""
        wholes = self._leave_out_each()
        sizes = np.array([abs(effect.log_odds or 0.0) for effect in wholes])
        # The stable sort prefers the earlier of two equal posts.
        inside = np.argsort(-sizes, kind="stable")[:most_posts].tolist()
        bar = tqdm(wholes, f"{self.side} posts", unit="post", disable=None)
        return tuple(
            self._explain_parts(position, whole, posts[position])
            if posts and position in inside
            else PostEffect(whole)
            for position, whole in enumerate(bar)
        )

    def _explain_parts(self, position: int, whole: Effect, post: RawPost) -> PostEffect:
        """Returns the effects of a post's frames and words, if the model uses them."""
        settings = self.predictor.config["sides"][self.side]
        num_frames = len(post.jpegs) if settings["vision"] else 0
        words = post.caption.split()[:MOST_WORDS] if settings["text"] else []
        names = [""] * num_frames + words
        if not names:
            return PostEffect(whole)
        kept = np.ones((len(names), max(num_frames, 1)), bool)
        kept[range(num_frames), range(num_frames)] = False
        captions = [post.caption] * num_frames + list(_without_each(words, post))
        variants = [replace(post, caption=caption) for caption in captions]
        videos = self.predictor.embed_variants(self.side, [variants], kept[None])[0]
        sets = np.repeat(self.videos[None], len(names), axis=0)
        sets[:, position] = videos
        starts = range(0, len(names), _SETS)
        scores = [self._score_sets(sets[s : s + _SETS], self.inputs) for s in starts]
        effects = self._effects(names, np.concatenate(scores))
        return PostEffect(whole, effects[:num_frames], effects[num_frames:])

    def _leave_out_each(self) -> tuple[Effect, ...]:
        """Returns the effect of each whole post."""
        count = len(self.videos)
        if count < 2:
            return (Effect("", None, None),) * count
        sets = np.broadcast_to(self.videos, (count, *self.videos.shape))
        kept = ~np.eye(count, dtype=bool)
        return self._effects([""] * count, self._score_sets(sets, self.inputs, kept))

    def _effects(
        self, names: Sequence[str], probability: np.ndarray
    ) -> tuple[Effect, ...]:
        """Returns the effects of items, from the probability without each of them."""
        effects = log_odds(np.array(self.probability)) - log_odds(probability)
        return tuple(
            Effect(name, float(p), float(effect))
            for name, p, effect in zip(names, probability, effects, strict=True)
        )


def _join(
    predictor: Predictor,
    side: str,
    videos: np.ndarray,
    valid: np.ndarray,
    inputs: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Returns the vector of each set of embedded posts, float32 (num_sets, width)."""
    if side == "challenge" and predictor.config.get("baseline") is not None:
        return predictor.call("find_challenge", **inputs)["challenge"]
    sets = {f"{side}_videos": videos}
    return predictor.call(f"join_{side}", valid=valid, **sets, **inputs)[side]


def _without_each(words: Sequence[str], post: RawPost) -> Iterator[str]:
    """Yields, for each word, the caption without it."""
    caption = post.caption.split()
    for number in range(len(words)):
        yield " ".join(caption[:number] + caption[number + 1 :])
