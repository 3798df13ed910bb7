"""What makes a post part of a challenge (Section III-A finds them by hashtag)."""

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
    """What makes a post part of a challenge: any of its hashtags or sounds.

    Attributes:
        name: as shown in tables and asked for in serving.
        hashtags: normalised hashtags, without repeats.
        sounds: music ids.
        spellings: the hashtags as written in the Study, folded but with their spaces:
            what to mask in captions besides the tags.
    """

    name: str
    hashtags: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, table: object) -> Challenge:
        """Builds a challenge from its TOML table.

        Raises:
            DataError: unknown keys, wrong types, a tag that cannot be one, or neither
                hashtags nor sounds.
        """
        where = f"[challenges.{name}]"
        if not isinstance(table, dict):
            raise DataError(f"{where} must be a table. Received: {table!r}")
        reject_unknown(where, table, _KEYS)
        written = _strings(where, "hashtags", table)
        sounds = unique(_strings(where, "sounds", table))
        if not name.strip() or not (written or sounds):
            raise DataError(
                f"{where} must have a name and at least one hashtag or sound. "
                f"Received: hashtags={list(written)}, sounds={list(sounds)}"
            )
        return cls(
            name=name,
            hashtags=unique(_as_hashtag(where, tag) for tag in written),
            sounds=sounds,
            spellings=unique(_fold(tag) for tag in written),
        )


def reject_unknown(
    where: str, table: Mapping[str, Any], known: tuple[str, ...]
) -> None:
    """Refuses keys that nothing reads.

    Args:
        where: the table, as named in the message.
        table: what was given.
        known: the keys that it may have.

    Raises:
        DataError: there are others.
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
    # Spaces are a spelling; any other character that is cut off is a mistake, and would
    # match posts that nobody meant.
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
