"""Raw posts and users, and their conversion to the input arrays of signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dc_keras.context.post_features import COUNTS
from dc_keras.errors import DataError
from dc_keras.serving.unknown_facts import OF_POSTS, unknown_facts

_NOTHING_KNOWN = (-1.0,) * len(COUNTS)


@dataclass(frozen=True)
class RawPost:
    """A post of a request.

    Attributes:
        caption: the text as posted, hashtags included.
        jpegs: frames in order of time, as JPEG files; empty without media.
        sound: id of the sound; "" if unknown.
        sound_title: title of the sound; "" if unknown.
        create_time: UTC seconds; -1 if unknown.
        duration: seconds; -1 if unknown.
        counts: views, likes, comments and shares; -1 if unknown.
    """

    caption: str
    jpegs: Sequence[bytes] = ()
    sound: str = ""
    sound_title: str = ""
    create_time: int = -1
    duration: float = -1.0
    counts: tuple[float, ...] = _NOTHING_KNOWN


@dataclass(frozen=True)
class RawUser:
    """A user of a request.

    Attributes:
        posts: posts, newest first, at least one.
        account: followers, likes and posts of the account; -1 if unknown.
        joined: challenges that the user has joined; None if unknown.
        now: time of the prediction, UTC seconds; -1 for the time after the training
            data.
    """

    posts: Sequence[RawPost]
    account: tuple[float, float, float] = (-1.0, -1.0, -1.0)
    joined: Sequence[str] | None = None
    now: int = -1


def as_user(user: RawUser | Sequence[RawPost]) -> RawUser:
    """Returns a `RawUser`; one made of posts has no known facts."""
    return user if isinstance(user, RawUser) else RawUser(user)


def pack_posts(sets: Sequence[Sequence[RawPost]], side: str) -> dict[str, np.ndarray]:
    """Returns sets of posts, of each "user" or "challenge", as padded inputs.

    Raises:
        DataError: a set has no posts.
    """
    if not all(len(posts) for posts in sets):
        raise DataError(
            f"every {side} must have at least one post. Received: "
            f"num_posts={[len(posts) for posts in sets]}"
        )
    shape = (len(sets), max(len(posts) for posts in sets))
    num_frames = max(1, *(len(post.jpegs) for posts in sets for post in posts))
    inputs = {
        "captions": np.full(shape, b"", object),
        "frames": np.full((*shape, num_frames), b"", object),
        **unknown_facts(OF_POSTS, shape),
    }
    for row, posts in enumerate(sets):
        for column, post in enumerate(posts):
            # "" without frames would count as padding; BERT ignores the blank.
            inputs["captions"][row, column] = post.caption.encode() or b" "
            inputs["frames"][row, column, : len(post.jpegs)] = list(post.jpegs)
            inputs["sounds"][row, column] = post.sound.encode()
            inputs["sound_titles"][row, column] = post.sound_title.encode()
            inputs["create_times"][row, column] = post.create_time
            inputs["durations"][row, column] = post.duration
            inputs["counts"][row, column] = post.counts
    return inputs


def pack_users(users: Sequence[RawUser]) -> dict[str, np.ndarray]:
    """Returns the facts of users as inputs of a signature."""
    width = max(1, *(len(user.joined or ()) for user in users))
    joined = np.full((len(users), width), b"", object)
    for row, user in enumerate(users):
        if user.joined is not None:
            # A name that is no challenge marks the empty set of joins as known.
            names = [name.encode() for name in user.joined] or [b"\0"]
            joined[row, : len(names)] = names
    return {
        "account": np.array([user.account for user in users], np.float32),
        "joined": joined,
        "now": np.array([user.now for user in users], np.int64),
    }
