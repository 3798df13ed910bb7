"""Sources that users register: their functions may fail and return anything."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawRecord,
    Source,
    UnreadablePostError,
)
from dc_keras.errors import DataError

_NAME = re.compile(r"\w[\w.-]*")
_TOO_LARGE = 2**63


def make_source(
    name: str, sniff: Callable[[RawRecord], bool], read: Callable[[RawRecord], Post]
) -> Source:
    """Returns a source that rejects the records for which `read` fails.

    Raises:
        DataError: the name is not a word.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DataError(f"`name` must be a word. Received: name={name!r}")
    return Source(
        name=name,
        matches=partial(_matches, name, sniff),
        read=partial(_read, name, read),
    )


def describe_failure(error: BaseException) -> str:
    """Returns the kind of an exception and where it was raised, without its text."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"


def _matches(name: str, sniff: Callable[[RawRecord], bool], record: RawRecord) -> bool:
    try:
        return bool(sniff(record))
    except Exception as error:
        raise DataError(
            f"`sniff` of the source {name} must accept any object. "
            f"Received: {describe_failure(error)}"
        ) from error


def _read(name: str, read: Callable[[RawRecord], Post], record: RawRecord) -> Post:
    try:
        post = read(record)
    except UnreadablePostError:
        raise
    except Exception as error:
        reason = f"`read` of the source {name} failed: {describe_failure(error)}"
        raise UnreadablePostError(reason) from error
    try:
        # Checks the types of all values, and that texts have no lone surrogates.
        checked = msgspec.json.decode(msgspec.json.encode(post), type=Post)
        _require_values(checked)
    except UnreadablePostError:
        raise
    except Exception as error:
        is_plain = isinstance(error, msgspec.ValidationError)
        problem = str(error) if is_plain else type(error).__name__
        reason = f"`read` of the source {name} returned no valid post: {problem}"
        raise UnreadablePostError(reason) from error
    return checked


def _require_values(post: Post) -> None:
    """Raises an `UnreadablePostError` for values that a post cannot have."""
    Fields({"id": post.video_id}).video_id("id")
    if post.author is None or not (post.author.user_id or post.author.handle):
        raise UnreadablePostError("no author")
    of_account = () if post.account is None else msgspec.structs.astuple(post.account)
    times = [edge.time for edge in post.edges]
    for value in (*msgspec.structs.astuple(post), *of_account, *times):
        if isinstance(value, int | float) and not 0 <= value < _TOO_LARGE:
            raise UnreadablePostError("a number is negative or too large")
