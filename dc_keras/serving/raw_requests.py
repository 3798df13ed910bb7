"""Raw posts and users, and their conversion to the input arrays of signatures.

Clients use this module without TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dc_keras.errors import DataError, require_type

# The value for unknown, and the dimensions after those of users and posts.
OF_POSTS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "sounds": (b"", ()),
    "sound_titles": (b"", ()),
    "create_times": (np.int64(-1), ()),
    "durations": (np.float32(-1), ()),
    "counts": (np.float32(-1), (4,)),
}
OF_USERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "account": (np.float32(-1), (3,)),
    "joined": (b"", (1,)),
    "now": (np.int64(-1), ()),
}
FACTS = {**OF_POSTS, **OF_USERS}
# Inputs with the dimensions of users and posts, or of posts alone.
_POSTS = ("captions", "token_ids")


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

    Raises:
        DataError: a number is missing or not finite.
        TypeError: the caption is no text, or a frame is not the content of a file.
    """

    caption: str
    jpegs: Sequence[bytes] = ()
    sound: str = ""
    sound_title: str = ""
    create_time: int = -1
    duration: float = -1.0
    counts: tuple[float, ...] = (-1.0, -1.0, -1.0, -1.0)

    def __post_init__(self) -> None:
        require_type("caption", self.caption, str)
        for jpeg in self.jpegs:
            require_type("jpegs", jpeg, bytes)
        _require_numbers("counts", self.counts, 4)
        _require_numbers("create_time, duration", (self.create_time, self.duration), 2)


@dataclass(frozen=True)
class RawUser:
    """A user of a request.

    Attributes:
        posts: posts, newest first, at least one.
        account: followers, likes and posts of the account; -1 if unknown.
        joined: challenges that the user has joined; None if unknown.
        now: time of the prediction, UTC seconds; -1 for the time after the training
            data.

    Raises:
        DataError: a number is missing or not finite.
        TypeError: `joined` is a single text.
    """

    posts: Sequence[RawPost]
    account: tuple[float, float, float] = (-1.0, -1.0, -1.0)
    joined: Sequence[str] | None = None
    now: int = -1

    def __post_init__(self) -> None:
        _require_numbers("account", self.account, 3)
        _require_numbers("now", (self.now,), 1)
        if isinstance(self.joined, str):
            raise TypeError(f"`joined` must be a list. Received: {self.joined!r}")


def as_user(user: RawUser | Sequence[RawPost]) -> RawUser:
    """Returns a `RawUser`; one made of posts has no known facts."""
    return user if isinstance(user, RawUser) else RawUser(user)


def _require_numbers(name: str, values: Sequence[float], count: int) -> None:
    """Refuses None and NaN, which the model would compute with."""
    try:
        is_known = all(map(math.isfinite, values))
    except TypeError:
        is_known = False
    if len(values) != count or not is_known:
        raise DataError(
            f"`{name}` must be finite numbers, {count} of them, -1 where unknown. "
            f"Received: {values}"
        )


def pack_posts(sets: Sequence[Sequence[RawPost]], side: str) -> dict[str, np.ndarray]:
    """Returns sets of posts, of each "user" or "challenge", as padded inputs.

    Raises:
        DataError: a set has no posts, or there is no set.
        TypeError: a set is something else than a sequence of posts.
    """
    for posts in sets:
        require_type("posts", posts, Sequence)
        for post in posts:
            require_type("posts", post, RawPost)
    if not sets or not all(len(posts) for posts in sets):
        raise DataError(
            f"there must be a {side}, and each must have at least one post. Received: "
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


def fill_unknown(
    inputs: Mapping[str, np.ndarray], names: Collection[str]
) -> dict[str, np.ndarray]:
    """Returns inputs of a request; facts of `names` that are missing are unknown."""
    rows = next((values.shape[:1] for values in inputs.values()), (0,))
    unknown = unknown_facts(OF_USERS, rows)
    posts = [inputs[name].shape[:2] for name in _POSTS if name in inputs]
    if posts:
        unknown |= unknown_facts(OF_POSTS, posts[0])
    return {n: unknown[n] for n in names if n in unknown} | dict(inputs)


def unknown_facts(
    facts: Mapping[str, tuple[Any, tuple[int, ...]]], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Returns arrays of unknown values of `OF_POSTS` or `OF_USERS`.

    `shape` has the number of users and, for posts, the number of posts.
    """
    return {
        name: np.full(
            (*shape, *rest), value, object if isinstance(value, bytes) else value.dtype
        )
        for name, (value, rest) in facts.items()
    }
