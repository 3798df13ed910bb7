"""Reads single values out of a raw record: typed, never guessed, every gap noted.

Paths are dotted: `author.id`. Where several are given, the first that holds a usable
value counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from dc_keras.corpus.sources.post import Person, RawRecord, UnreadablePostError

# With a point, with e+, or short: a hashed author id may well look like 12e3456.
_FLOAT_TEXT = re.compile(
    r"[+-]?\d+\.\d*(?:e[+-]?\d+)?|[+-]?\d+e\+\d+|\de\d{1,2}", re.IGNORECASE
)
_DOUBLED_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
_INT64_MAX = 2**63 - 1
_EXACT_IN_A_DOUBLE = 2**53
# What exports write where there is nothing: no gap, and no fault either.
_REDACTED = "REDACTED"
_NOTHING = ("", "0", 0, _REDACTED)
_YES = ("true", "yes", "1")
_NO = ("false", "no", "0")


class RoundedIdError(UnreadablePostError):
    """An id that passed through a float on its way here."""


class Fields:
    """The values of one raw record, and what was noted while reading them.

    Attributes:
        notes: words such as `missing.music_id`, `malformed.views`,
            `rounded.music_id`, `mended_escapes`; one each.
    """

    def __init__(self, record: RawRecord) -> None:
        self._record = record
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noted so far, in order, without repeats."""
        return tuple(self._notes)

    def has(self, path: str) -> bool:
        """Whether the path leads to anything but null."""
        return self._get(path) is not None

    def text(self, name: str, *paths: str) -> str | None:
        """Returns a mended text, None where there is none or an empty one."""
        for value in self._values(paths):
            if isinstance(value, str) and value not in ("", _REDACTED):
                return self._mend(value)
        self._note_gap(name, paths)
        return None

    def count(self, name: str, *paths: str) -> int | None:
        """Returns a whole number of at least 0, also out of a numeric string."""
        for value in self._values(paths):
            number = _whole_number(value)
            if number is not None:
                return number
        self._note_gap(name, paths)
        return None

    def seconds(self, name: str, *paths: str) -> float | None:
        """Returns a finite number of seconds of at least 0, also out of a text."""
        for value in self._values(paths):
            seconds = _number(value)
            if seconds is not None and math.isfinite(seconds) and seconds >= 0:
                return seconds
        self._note_gap(name, paths)
        return None

    def flag(self, *paths: str) -> bool | None:
        """Returns true or false, None where there is neither: 1 or 0, "yes" or "no"."""
        for value in self._values(paths):
            word = str(value).strip().casefold()
            if word in _YES or word in _NO:
                return word in _YES
        return None

    def private_names(self, *paths: str) -> tuple[str, ...]:
        """Returns the texts at some paths that only help to leave names out."""
        values = self._values(paths)
        return tuple(value for value in values if isinstance(value, str) and value)

    def identifier(self, name: str, *paths: str) -> str | None:
        """Returns an id as a string; "", "0" and "REDACTED" are no ids.

        Raises:
            UnreadablePostError: the id passed through a float, or is no id at all.
        """
        for value in self._values(paths):
            found = _identifier(name, value)
            if found not in _NOTHING:
                return found
        self._note_gap(name, paths)
        return None

    def optional_identifier(self, name: str, *paths: str) -> str | None:
        """Returns an id of digits, or None and a note where it is rounded or none."""
        try:
            found = self.identifier(name, *paths)
        except RoundedIdError:
            self.note(f"rounded.{name}")
            return None
        except UnreadablePostError:
            self.note(f"malformed.{name}")
            return None
        if found is not None and not found.isdecimal():
            self.note(f"malformed.{name}")
            return None
        return found

    def video_id(self, *paths: str) -> str:
        """Returns the id of the post: digits.

        Raises:
            UnreadablePostError: there is none, it passed through a float, or it has
                anything but digits.
        """
        found = self.identifier("video_id", *paths)
        if found is None:
            raise UnreadablePostError("no video id")
        if not (found.isascii() and found.isdecimal() and len(found) < 20):
            raise UnreadablePostError("`video_id` must be digits, at most 19")
        # Among texts chance makes one of these in about 500, so it is only told.
        if looks_rounded(int(found)):
            self.note("maybe_rounded.video_id")
        return found

    def author(
        self,
        *,
        user_id: tuple[str, ...] = (),
        handle: tuple[str, ...] = (),
        sec_uid: tuple[str, ...] = (),
    ) -> Person:
        """Returns who posted.

        Raises:
            UnreadablePostError: there is neither an id nor a handle, or the id passed
                through a float.
        """
        author = Person(
            user_id=self.identifier("author_id", *user_id) if user_id else None,
            handle=self.text("author_handle", *handle) if handle else None,
            sec_uid=self.text("author_sec_uid", *sec_uid) if sec_uid else None,
        )
        if author.user_id is None and author.handle is None:
            raise UnreadablePostError("a post without an author")
        return author

    def texts(self, path: str, key: str) -> Iterator[str]:
        """Yields `key` of each object in the list at `path`, empty ones left out."""
        entries = self._get(path)
        for entry in entries if isinstance(entries, list) else ():
            value = entry.get(key) if isinstance(entry, dict) else None
            if isinstance(value, str) and value:
                yield self._mend(value)

    def note(self, word: str) -> None:
        """Notes something to be counted."""
        self._notes[word] = None

    def _get(self, path: str) -> Any:
        value: Any = self._record
        for key in path.split("."):
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    def _values(self, paths: Iterable[str]) -> Iterator[Any]:
        return (value for value in map(self._get, paths) if value is not None)

    def _note_gap(self, name: str, paths: Iterable[str]) -> None:
        values = list(self._values(paths))
        if not values:
            self.note(f"missing.{name}")
        elif any(value not in _NOTHING for value in values):
            self.note(f"malformed.{name}")

    def _mend(self, text: str) -> str:
        """Undoes two known damages: doubly escaped characters and halves of pairs."""
        mended = _DOUBLED_ESCAPES.sub(_unescape, text)
        if mended != text:
            self.note("mended_escapes")
        whole = mended.encode("utf-16-le", "surrogatepass").decode(
            "utf-16-le", "replace"
        )
        if whole != mended:
            self.note("mended_surrogates")
        return whole


def looks_rounded(number: int) -> bool:
    """Whether an id is what a 64-bit float makes of one.

    Above 2^53 a float keeps one number in many, and prints it in one of two ways:
    exactly (Python's int) or with the fewest digits and zeros behind (JavaScript). An
    id of 19 digits is either by chance once in about 500.
    """
    if number <= _EXACT_IN_A_DOUBLE:
        return False
    nearest = float(number)
    return number in (int(nearest), int(Decimal(repr(nearest))))


def _identifier(name: str, value: object) -> str:
    rounded = f"`{name}` passed through a float and is no longer exact"
    if isinstance(value, float):
        raise RoundedIdError(rounded)
    if isinstance(value, int) and not isinstance(value, bool):
        if looks_rounded(value):
            raise RoundedIdError(rounded)
        return str(value)
    if not isinstance(value, str):
        raise UnreadablePostError(f"`{name}` is not an id but a {type(value).__name__}")
    text = value.strip()
    if _FLOAT_TEXT.fullmatch(text):
        raise RoundedIdError(rounded)
    return text


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _whole_number(value: object) -> int | None:
    if isinstance(value, str) and len(value) < 20:
        # pandas writes whole numbers with a point where a column has gaps.
        digits = value.strip().removesuffix(".0")
        value = int(digits) if digits.isdecimal() else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _INT64_MAX else None


def _unescape(match: re.Match[str]) -> str:
    units = [int(unit, 16) for unit in match.group().split("\\u")[1:]]
    data = b"".join(unit.to_bytes(2, "little") for unit in units)
    return data.decode("utf-16-le", "replace")
