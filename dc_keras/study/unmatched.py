"""Challenges that no post of a corpus matches, and which hashtags were perhaps meant.

A hashtag with a spelling mistake makes a challenge that nobody joined, which looks like
a panel that is too strict or labels that are all 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import polars as pl

from dc_keras.study.challenge import Challenge
from dc_keras.errors import DataError

NUM_NEAREST = 3
# Comparing texts is slow; a challenge is seldom among the rare tags of a corpus.
_MOST_TAGS = 20_000
_LEAST_SIMILARITY = 0.3
_MOST_TOLD = 5


def find_unmatched(
    challenges: Sequence[Challenge], videos: pl.DataFrame
) -> tuple[Challenge, ...]:
    """Returns the challenges of which no post has a hashtag or sound.

    Args:
        challenges: those of a study.
        videos: the corpus's table of posts.
    """
    tags = set(videos["hashtags"].explode())
    sounds = set(videos["music_id"])
    return tuple(
        challenge
        for challenge in challenges
        if tags.isdisjoint(challenge.hashtags) and sounds.isdisjoint(challenge.sounds)
    )


def require_matches(challenges: Sequence[Challenge], videos: pl.DataFrame) -> list[str]:
    """Says which challenges no post matches.

    Args:
        challenges: those of a study.
        videos: the corpus's table of posts.

    Returns:
        One line a challenge that no post matches, with the nearest hashtags that the
        corpus has; the last line counts the others where these are many.

    Raises:
        DataError: there are posts, and none matches any challenge.
    """
    if videos.is_empty():
        return []  # the study is not to blame
    unmatched = find_unmatched(challenges, videos)
    if not unmatched:
        return []
    known = _frequent_tags(videos)
    lines = [_describe(challenge, known) for challenge in unmatched[:_MOST_TOLD]]
    if len(unmatched) > _MOST_TOLD:
        lines.append(f"no post matches {len(unmatched) - _MOST_TOLD} more challenges")
    if len(unmatched) == len(challenges):
        raise DataError(
            "the posts of the corpus must join a challenge of the study; is it the "
            f"study of another corpus? Received: {'; '.join(lines)}"
        )
    return lines


def nearest_hashtags(wanted: Iterable[str], known: Sequence[str]) -> list[str]:
    """Returns the known hashtags that resemble any of some others, nearest first.

    Args:
        wanted: normalised hashtags.
        known: normalised hashtags, from which `NUM_NEAREST` are chosen at most.
    """
    similarity: dict[str, float] = {}
    for tag in wanted:
        for near in difflib.get_close_matches(
            tag, known, NUM_NEAREST, _LEAST_SIMILARITY
        ):
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
    near = ", ".join(f"#{tag}" for tag in nearest) or "none that resembles it"
    return f"{line}; the nearest hashtags of the corpus: {near}"


def _frequent_tags(videos: pl.DataFrame) -> list[str]:
    tags = videos.select(tag=pl.col("hashtags").explode()).drop_nulls()
    counts = tags.group_by("tag").len().sort("len", "tag", descending=[True, False])
    return counts["tag"].head(_MOST_TAGS).to_list()
