"""The raw fields of posts that context features use."""

from __future__ import annotations

from typing import Any, NamedTuple

COUNTS = ("views", "likes", "comments", "shares")


class PostInputs(NamedTuple):
    """Raw fields of posts from a corpus or a request, as arrays or tensors.

    Attributes:
        captions: string (num_posts,).
        sounds: string (num_posts,), ids of sounds; "" where unknown.
        sound_titles: string (num_posts,); "" where unknown.
        create_times: int64 (num_posts,), UTC seconds; -1 where unknown.
        durations: float32 (num_posts,), seconds; -1 where unknown.
        counts: float32 (num_posts, 4), in the order of `COUNTS`; -1 where unknown.
    """

    captions: Any
    sounds: Any
    sound_titles: Any
    create_times: Any
    durations: Any
    counts: Any
