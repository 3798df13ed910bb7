"""Parses ids, numbers, times and texts in the notations of many tools."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from dc_keras.corpus.importing.sources.post import UnreadablePostError

# With a point, with e+, or short, because a hashed author id may look like 12e3456.
_FLOAT_TEXT = re.compile(
    r"[+-]?\d+[.,]\d*(?:e[+-]?\d+)?|[+-]?\d+e\+\d+|\de\d{1,2}", re.IGNORECASE
)
# Quotes that mark digits as text for spreadsheets, and grouped digits.
_QUOTED_ID = re.compile(r"""=?\s*["'´‘’`]+(?P<id>\w+)["'´‘’`]*""")
_GROUPED_ID = re.compile(r"\d{1,3}(?:([.,' \u00a0\u2009\u202f])\d{3})(?:\1\d{3}){3,}")
_GROUPED = re.compile(r"\d{1,3}(?:([.,' ’\u00a0\u202f])\d{3})(?:\1\d{3}){0,4}")
_LENGTH = re.compile(r"(?:(?P<h>\d+):)?(?P<m>\d{1,2}):(?P<s>\d{2}(?:\.\d+)?)")
# With three decimals the comma may group digits.
_DECIMAL_COMMA = re.compile(r"\d+,\d{1,2}")
_DOUBLED_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
# Spreadsheets keep 15 digits of a number and replace the others by zeros.
_SPREADSHEET_ID = re.compile(r"\d{12,15}0000")
_INT64_MAX = 2**63 - 1
EXACT_IN_A_DOUBLE = 2**53
# From here on, floats are multiples of 1024 and have at most 17 significant digits.
_SPACED_BY_1024 = 2**62
_BEYOND_ANY_ID = 2**64
# An id is its posting time shifted by 32 bits; the platform began in 2014.
_LONG_ID, FIRST_ID = 10**18, 1_388_534_400 << 32
_FIRST_MILLISECOND, _FIRST_MICROSECOND = 10**11, 10**14


class RoundedIdError(UnreadablePostError):
    """The id was rounded to a float."""


def looks_rounded(number: int) -> bool:
    """Whether an id looks like one that was rounded to a 64-bit float.

    Above 2^53, a float represents only some of the whole numbers. Tools print it
    exactly (Python's int), or with the fewest digits followed by zeros (JavaScript). An
    exact id of 19 digits has one of the two forms by chance once in about 500.
    """
    if number <= EXACT_IN_A_DOUBLE or number >= _BEYOND_ANY_ID:
        return False
    if number >= _SPACED_BY_1024 and number % 1024 and number % 100:
        return False  # both forms are multiples of 1024 or of 100
    nearest = float(number)
    return number in (int(nearest), int(Decimal(repr(nearest))))


def find_rounded(ids: Iterable[str]) -> list[int]:
    """Returns the positions of the ids, digits each, that look rounded."""
    numbers = list(map(int, ids))
    return [
        place
        for place, number in enumerate(numbers)
        # A fast test first, which excludes most ids.
        if (number < _SPACED_BY_1024 or not number % 1024 or not number % 100)
        and looks_rounded(number)
    ]


def read_id(name: str, value: object) -> str:
    """Returns an id as a text, without the quotes and grouping of spreadsheets.

    Raises:
        RoundedIdError: the id was rounded to a float.
        UnreadablePostError: the value is neither a text nor a whole number.
    """
    rounded = f"`{name}` passed through a float and is no longer exact"
    if isinstance(value, float):
        raise RoundedIdError(rounded)
    if isinstance(value, int) and not isinstance(value, bool):
        if looks_rounded(value):
            raise RoundedIdError(rounded)
        return str(value)
    if not isinstance(value, str):
        raise UnreadablePostError(f"`{name}` is not an id but a {type(value).__name__}")
    text = value.strip().strip("\ufeff\u200b\u200e\0")
    if text.isdecimal():
        return text
    if text != repair_surrogates(text):
        raise UnreadablePostError(f"`{name}` is not an id but a broken text")
    quoted = _QUOTED_ID.fullmatch(text)
    if quoted is not None:
        return quoted["id"]
    if _GROUPED_ID.fullmatch(text):
        return re.sub(r"\D", "", text)
    if _FLOAT_TEXT.fullmatch(text):
        raise RoundedIdError(rounded)
    return text


def parse_iso_time(text: str) -> datetime | None:
    """Returns the time of an ISO text, with or without a time zone; None if invalid."""
    try:
        return datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    except ValueError:
        return None


def parse_utc_time(text: object) -> int | None:
    """Returns the seconds of a text in UTC, None if it is not a time."""
    stamp = parse_iso_time(text) if isinstance(text, str) else None
    if stamp is None:
        return None
    stamp = stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)
    return int(stamp.timestamp())


def to_seconds(time: int) -> int:
    """Converts a time in seconds, ms or µs to seconds."""
    if time >= _FIRST_MICROSECOND:
        return time // 10**6
    return time // 1000 if time >= _FIRST_MILLISECOND else time


def parse_duration(value: object) -> float | None:
    """Returns a duration in seconds, from a number, `12,5`, `01:15` or `00:01:15`."""
    if isinstance(value, str):
        parts = _LENGTH.fullmatch(value.strip())
        if parts is not None:
            hours, minutes = int(parts["h"] or 0), int(parts["m"])
            return 3600 * hours + 60 * minutes + float(parts["s"])
        if _DECIMAL_COMMA.fullmatch(value.strip()):
            return float(value.replace(",", "."))
    return _number(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def parse_whole_number(value: object) -> int | None:
    """Returns a whole number from 0 to 2^63 - 1, also from a text; else None."""
    if type(value) is int:
        return value if 0 <= value <= _INT64_MAX else None
    if isinstance(value, str) and len(value) < 20:
        # pandas writes whole numbers with a point if a column has missing values.
        digits = value.strip().removesuffix(".0")
        value = int(digits) if digits.isdecimal() else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _INT64_MAX else None


def parse_grouped_number(value: object) -> int | None:
    """Returns the number of a text with grouped digits, `1,234,567`; else None."""
    if not isinstance(value, str) or not _GROUPED.fullmatch(value.strip()):
        return None
    return int(re.sub(r"\D", "", value))


def _unescape(match: re.Match[str]) -> str:
    units = [int(unit, 16) for unit in match.group().split("\\u")[1:]]
    data = b"".join(unit.to_bytes(2, "little") for unit in units)
    return data.decode("utf-16-le", "replace")


def is_foreign_id(number: int) -> bool:
    """Whether an id is as long as TikTok's, but of an earlier time, as of X."""
    return _LONG_ID <= number < FIRST_ID


def is_spreadsheet_rounded(digits: str) -> bool:
    """Whether an id looks like one that a spreadsheet rounded to 15 digits."""
    return _SPREADSHEET_ID.fullmatch(digits) is not None


def decode_double_escapes(text: str) -> str:
    """Decodes doubly escaped characters: a backslash, u and four hex digits."""
    return _DOUBLED_ESCAPES.sub(_unescape, text)


def repair_surrogates(text: str) -> str:
    """Returns a text without NULs, with split surrogate pairs joined or replaced."""
    text = text.replace("\0", "")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        pairs = text.encode("utf-16-le", "surrogatepass")
        return pairs.decode("utf-16-le", "replace").replace("\0", "")
    return text
