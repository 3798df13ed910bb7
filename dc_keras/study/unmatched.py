"""Finds challenges that no post of a corpus matches, and suggests similar hashtags.

A misspelt hashtag gives a challenge without participants, which otherwise shows only as
an empty panel or as labels that are all 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import polars as pl

from dc_keras.errors import DataError
from dc_keras.study.challenge import Challenge

NUM_NEAREST = 3
# Comparing texts is slow, and a challenge is seldom among the rare tags of a corpus.
_MAX_TAGS = 20_000
_MIN_SIMILARITY = 0.3
_MAX_LINES = 5


def find_unmatched(
    challenges: Sequence[Challenge], videos: pl.DataFrame
) -> tuple[Challenge, ...]:
    """Returns the challenges none of whose hashtags and sounds occurs in any post."""
    tags = set(videos["hashtags"].explode())
    sounds = set(videos["music_id"])
    return tuple(
        challenge
        for challenge in challenges
        if tags.isdisjoint(challenge.hashtags) and sounds.isdisjoint(challenge.sounds)
    )


def require_matches(challenges: Sequence[Challenge], videos: pl.DataFrame) -> list[str]:
    """Returns warnings about challenges without posts.

    Returns:
        One line for each challenge that no post matches, with the most similar hashtags
        of the corpus; after five lines, one line with the number of the others. Empty
        for a corpus without posts.

    Raises:
        DataError: if there are posts and none matches any challenge.
    """
    if videos.is_empty():
        return []
    unmatched = find_unmatched(challenges, videos)
    if not unmatched:
        return []
    known = _frequent_tags(videos)
    lines = [_describe(challenge, known) for challenge in unmatched[:_MAX_LINES]]
    if len(unmatched) > _MAX_LINES:
        lines.append(f"no post matches {len(unmatched) - _MAX_LINES} more challenges")
    if len(unmatched) == len(challenges):
        raise DataError(
            "the corpus must have posts of at least one challenge of the study; does "
            f"the study belong to another corpus? Received: {'; '.join(lines)}"
        )
    return lines


def nearest_hashtags(tags: Iterable[str], known: Sequence[str]) -> list[str]:
    """Returns the known hashtags most similar to any given one, most similar first."""
    similarity: dict[str, float] = {}
    for tag in tags:
        for near in difflib.get_close_matches(tag, known, NUM_NEAREST, _MIN_SIMILARITY):
            ratio = difflib.SequenceMatcher(None, near, tag).ratio()
            similarity[near] = max(ratio, similarity.get(near, 0.0))
    return sorted(similarity, key=lambda tag: (-similarity[tag], tag))[:NUM_NEAREST]


def _describe(challenge: Challenge, known: Sequence[str]) -> str:
    marks = [f"#{tag}" for tag in challenge.hashtags]
    marks += [f"sound {sound}" for sound in challenge.sounds]
    line = f"no post matches {challenge.name} ({', '.join(marks)})"
    if not challenge.hashtags:
        return line
    nearest = nearest_hashtags(challenge.hashtags, known)
    near = ", ".join(f"#{tag}" for tag in nearest) or "none"
    return f"{line}; most similar hashtags of the corpus: {near}"


def _frequent_tags(videos: pl.DataFrame) -> list[str]:
    tags = videos.select(tag=pl.col("hashtags").explode()).drop_nulls()
    counts = tags.group_by("tag").len().sort("len", "tag", descending=[True, False])
    return counts["tag"].head(_MAX_TAGS).to_list()
