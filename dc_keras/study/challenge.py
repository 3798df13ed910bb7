"""Challenges and the hashtags and sounds that identify their posts (Section III-A).

A challenge that no post of a corpus matches may be misspelt. It otherwise shows only as
an empty panel or as labels that are all 0, so similar hashtags are suggested.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from dc_keras.corpus.records import normalize_hashtag, unique
from dc_keras.errors import DataError

_KEYS = ("hashtags", "sounds")
NUM_NEAREST = 3
# Comparing texts is slow, and a challenge is seldom among the rare tags of a corpus.
_MAX_TAGS = 20_000
_MIN_SIMILARITY = 0.3
_MAX_LINES = 5


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge: a post belongs to it if it has any of its hashtags or sounds.

    Attributes:
        name: name of the challenge, used in tables and in requests.
        hashtags: normalised hashtags, without duplicates.
        sounds: music ids, without duplicates.
        spellings: the hashtags as written in the study, case-folded, with their spaces.
            Captions are masked for these as well as for `hashtags`.
    """

    name: str
    hashtags: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, table: object) -> Challenge:
        """Builds a challenge from its TOML table.

        Raises:
            DataError: if the table has unknown keys, wrong types or an invalid hashtag,
                or has neither hashtags nor sounds.
        """
        where = f"[challenges.{name}]"
        if not isinstance(table, dict):
            raise DataError(f"{where} must be a table. Received: {table!r}")
        reject_unknown(where, table, _KEYS)
        tags = _strings(where, "hashtags", table)
        sounds = unique(_strings(where, "sounds", table))
        if not name.strip() or not (tags or sounds):
            raise DataError(
                f"{where} must have a name and at least one hashtag or sound. "
                f"Received: hashtags={list(tags)}, sounds={list(sounds)}"
            )
        return cls(
            name=name,
            hashtags=unique(_as_hashtag(where, tag) for tag in tags),
            sounds=sounds,
            spellings=unique(_fold(tag) for tag in tags),
        )


def reject_unknown(
    where: str, table: Mapping[str, Any], known: tuple[str, ...]
) -> None:
    """Raises a DataError if a table has unknown keys."""
    unknown = sorted(table.keys() - set(known))
    if unknown:
        raise DataError(
            f"{where} may only have {', '.join(known)}. Received: {', '.join(unknown)}"
        )


def _fold(tag: str) -> str:
    return unicodedata.normalize("NFKC", tag).casefold().strip().lstrip("#")


def _as_hashtag(where: str, written: str) -> str:
    joined = "".join(_fold(written).split())
    hashtag = normalize_hashtag(joined)
    # Only spaces may be dropped: a tag cut at another character would match unrelated
    # posts.
    if hashtag == "" or len(hashtag) != len(joined):
        raise DataError(
            f"{where}: a hashtag must have letters, digits and underscores only. "
            f"Received: hashtag={written!r}"
        )
    return hashtag


def _strings(where: str, key: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise DataError(
            f"{where}: `{key}` must be a list of texts (ids in quotes too). "
            f"Received: {key}={values!r}"
        )
    return tuple(values)


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
