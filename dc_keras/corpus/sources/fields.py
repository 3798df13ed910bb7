"""Reads single values out of a raw record: typed, never guessed, every gap noted.

Paths are dotted: `author.id`. Where several are given, the first that holds a usable
value counts.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from dc_keras.corpus.records import find_hashtags
from dc_keras.corpus.sources.post import (
    Person,
    RawRecord,
    Row,
    UnreadablePostError,
)

# With a point, with e+, or short: a hashed author id may well look like 12e3456.
_FLOAT_TEXT = re.compile(
    r"[+-]?\d+\.\d*(?:e[+-]?\d+)?|[+-]?\d+e\+\d+|\de\d{1,2}", re.IGNORECASE
)
_DOUBLED_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
# A spreadsheet keeps 15 digits of a number and writes zeros for the others.
_SPREADSHEET_ID = re.compile(r"\d{12,15}0000")
_LONGEST_LIST = 1_000_000
_INT64_MAX = 2**63 - 1
_EXACT_IN_A_DOUBLE = 2**53
# From here on the floats are multiples of 1024, and have 17 digits and zeros at most.
_SPACED_BY_1024 = 2**62
# What exports write where there is nothing: no gap, and no fault either.
_REDACTED = "REDACTED"
_NOTHING = ("", "0", 0, _REDACTED)
_YES = ("true", "yes", "1")
_NO = ("false", "no", "0")


class RoundedIdError(UnreadablePostError):
    """An id that passed through a float on its way here."""


class Fields:
    """The values of one raw record, and what was noted while reading them.

    Args:
        record: the raw record.
        witnesses: paths to ids that the format has as numbers. One id in 500 looks
            rounded by chance; two in one record do not.

    Attributes:
        notes: words such as `missing.music_id`, `malformed.views`,
            `rounded.music_id`, `mended_escapes`; one each.
    """

    __slots__ = ("_notes", "_record", "_witnesses")

    def __init__(self, record: RawRecord, *, witnesses: tuple[str, ...] = ()) -> None:
        self._record = record
        self._witnesses = witnesses
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
        for path in paths:
            value = self._get(path)
            if isinstance(value, str) and value and value != _REDACTED:
                return self._mend(value)
        self._note_gap(name, paths)
        return None

    def count(self, name: str, *paths: str) -> int | None:
        """Returns a whole number of at least 0, also out of a numeric string."""
        for path in paths:
            value = self._get(path)
            number = None if value is None else _whole_number(value)
            if number is not None:
                return number
        self._note_gap(name, paths)
        return None

    def seconds(self, name: str, *paths: str) -> float | None:
        """Returns a finite number of seconds of at least 0, also out of a text."""
        for path in paths:
            seconds = _number(self._get(path))
            if seconds is not None and math.isfinite(seconds) and seconds >= 0:
                return seconds
        self._note_gap(name, paths)
        return None

    def flag(self, *paths: str) -> bool | None:
        """Returns true or false, None where there is neither: 1 or 0, "yes" or "no"."""
        for path in paths:
            value = self._get(path)
            if value is not None:
                word = str(value).strip().casefold()
                if word in _YES or word in _NO:
                    return word in _YES
        return None

    def private_names(self, *paths: str) -> tuple[str, ...]:
        """Returns the texts at some paths that only help to leave names out."""
        values = map(self._get, paths)
        return tuple(value for value in values if isinstance(value, str) and value)

    def identifier(self, name: str, *paths: str) -> str | None:
        """Returns an id as a string; "", "0" and "REDACTED" are no ids.

        Raises:
            UnreadablePostError: the id passed through a float or a spreadsheet, or is
                no id at all.
        """
        for path in paths:
            value = self._get(path)
            if value is not None:
                found = (
                    str(value) if self._is_exact(value) else _identifier(name, value)
                )
                if found not in _NOTHING:
                    self._refuse_spreadsheet(name, found)
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

    def person(
        self,
        *,
        user_id: tuple[str, ...] = (),
        handle: tuple[str, ...] = (),
        sec_uid: tuple[str, ...] = (),
    ) -> Person | None:
        """Returns somebody, None where there is neither an id nor a handle.

        Raises:
            UnreadablePostError: the id passed through a float.
        """
        person = Person(
            user_id=self.identifier("author_id", *user_id) if user_id else None,
            handle=self._handle(handle) if handle else None,
            sec_uid=self.text("author_sec_uid", *sec_uid) if sec_uid else None,
        )
        return None if person.user_id is None and person.handle is None else person

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
        author = self.person(user_id=user_id, handle=handle, sec_uid=sec_uid)
        if author is None:
            raise UnreadablePostError("a post without an author")
        return author

    def entries(self, path: str) -> Sequence[Any]:
        """Returns the list at a path, () where there is none.

        A cell of a table may hold a list as JSON or as Python prints it.
        """
        value = self._get(path)
        if isinstance(value, dict) and isinstance(self._record, Row):
            return list(value.values())  # columns named `path.0`, `path.1`
        if isinstance(value, str) and value.startswith("["):
            value = _list_in_a_cell(value)
            if value is None:
                self.note(f"malformed.{path}")
        return value if isinstance(value, list) else ()

    def texts(self, path: str, *keys: str) -> Iterator[str]:
        """Yields the texts of a list, of an object in it the first of `keys` it has.

        Empty ones are left out.
        """
        for entry in self.entries(path):
            value = entry
            if isinstance(entry, dict):
                value = next((entry[key] for key in keys if entry.get(key)), None)
            if isinstance(value, str) and value:
                yield self._mend(value)

    def hashtags(
        self, caption: str | None, *, links: tuple[str, str], listed: tuple[str, str]
    ) -> tuple[str, ...]:
        """Returns the tags that a post links to, then those it is listed under.

        Args:
            caption: where the tags are read where the post has no links.
            links: path of the list of links, and the key of a tag in it.
            listed: likewise of the challenges.
        """
        path, key = links
        linked = (
            self.texts(path, key) if self.has(path) else find_hashtags(caption or "")
        )
        return (*linked, *self.texts(*listed))

    def split(self, path: str, separator: str = ",") -> Iterator[str]:
        """Yields the parts of a cell that holds several texts."""
        value = self._get(path)
        for part in value.split(separator) if isinstance(value, str) else ():
            if part.strip():
                yield self._mend(part.strip())

    def note(self, word: str) -> None:
        """Notes something to be counted."""
        self._notes[word] = None

    def _handle(self, paths: tuple[str, ...]) -> str | None:
        found = self.text("author_handle", *paths)
        return None if found is None else found.strip().removeprefix("@") or None

    def _get(self, path: str) -> Any:
        if "." not in path:
            return self._record.get(path)
        value: Any = self._record
        for key in _keys(path):
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    def _is_exact(self, value: object) -> bool:
        """Whether a number is an id that another id of the record vouches for."""
        return type(value) is int and any(
            type(other) is int
            and _EXACT_IN_A_DOUBLE < other != value
            and not looks_rounded(other)
            for other in map(self._get, self._witnesses)
        )

    def _refuse_spreadsheet(self, name: str, found: str) -> None:
        if isinstance(self._record, Row) and _SPREADSHEET_ID.fullmatch(found):
            raise RoundedIdError(
                f"`{name}` passed through a spreadsheet, which keeps 15 digits"
            )

    def _note_gap(self, name: str, paths: Iterable[str]) -> None:
        values = [value for value in map(self._get, paths) if value is not None]
        if not values:
            self.note(f"missing.{name}")
        elif any(value not in _NOTHING for value in values):
            self.note(f"malformed.{name}")

    def _mend(self, text: str) -> str:
        """Undoes two known damages: doubly escaped characters and halves of pairs."""
        if "\\u" in text:
            mended = _DOUBLED_ESCAPES.sub(_unescape, text)
            if mended != text:
                self.note("mended_escapes")
            text = mended
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            self.note("mended_surrogates")
            pairs = text.encode("utf-16-le", "surrogatepass")
            return pairs.decode("utf-16-le", "replace")
        return text


@lru_cache
def _keys(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def looks_rounded(number: int) -> bool:
    """Whether an id is what a 64-bit float makes of one.

    Above 2^53 a float keeps one number in many, and prints it in one of two ways:
    exactly (Python's int) or with the fewest digits and zeros behind (JavaScript). An
    id of 19 digits is either by chance once in about 500.
    """
    if number <= _EXACT_IN_A_DOUBLE:
        return False
    if number >= _SPACED_BY_1024 and number % 1024 and number % 100:
        return False  # the two ways leave one of these whole
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
    if not text.isdecimal() and _FLOAT_TEXT.fullmatch(text):
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
    if type(value) is int:
        return value if 0 <= value <= _INT64_MAX else None
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


def _list_in_a_cell(text: str) -> list[Any] | None:
    """Reads a list as JSON or as Python prints it; None where it is neither."""
    if len(text) > _LONGEST_LIST:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list):
            return value
    return None
