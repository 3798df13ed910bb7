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
# Inputs with the dimensions of users and posts.
_POSTS = ("captions", "token_ids")


def fill_unknown(inputs: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Returns inputs of a request, with facts of `names` that are missing as unknown.

    The inputs are arrays, tensors or nested lists.
    """
    filled = dict(inputs)
    missing = [name for name in names if name not in inputs]
    try:
        num_rows = len(next(iter(inputs.values()), ()))
        posts = next((inputs[name] for name in _POSTS if name in inputs), None)
        num_posts = None if posts is None else _num_posts(posts)
    except TypeError:
        return filled  # Without a batch; the check of shapes raises the error.
    unknown = unknown_facts(OF_USERS, (num_rows,))
    if num_posts is not None:
        unknown |= unknown_facts(OF_POSTS, num_posts)
    return filled | {name: unknown[name] for name in missing if name in unknown}


def unknown_facts(
    facts: Mapping[str, tuple[Any, tuple[int, ...]]], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Returns arrays of unknown values of `OF_POSTS` or `OF_USERS`.

    `shape` has the number of users and, for posts, the number of posts.
    """
    return {
        name: _full((*shape, *rest), value) for name, (value, rest) in facts.items()
    }


def _num_posts(captions: Any) -> tuple[int, ...]:
    """Returns the dimensions of users and posts, or of posts for single captions."""
    if len(captions) == 0:
        return (0, 0)
    first = captions[0]
    is_set = not isinstance(first, str | bytes) and np.ndim(first) > 0
    return (len(captions), len(first)) if is_set else (len(captions),)


def _full(shape: tuple[int, ...], value: Any) -> np.ndarray:
    dtype = object if isinstance(value, bytes) else value.dtype
    return np.full(shape, value, dtype)
