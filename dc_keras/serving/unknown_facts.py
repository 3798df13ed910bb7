"""Values for unknown facts of a request. Clients use it without TensorFlow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

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
