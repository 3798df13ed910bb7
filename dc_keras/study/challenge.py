"""Challenges and the hashtags and sounds that identify their posts (Section III-A)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dc_keras.corpus.records import normalize_hashtag, unique
from dc_keras.errors import DataError

_KEYS = ("hashtags", "sounds")


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
    """Raises an error if a table has unknown keys.

    Raises:
        DataError: if the table has any other key.
    """
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
