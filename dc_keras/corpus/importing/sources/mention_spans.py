"""Replaces mentions that a caption shows by a display name, such as "@Jane Doe".

Exports contain the position of each mention, in UTF-16 code units, and often the
handle. A display name may contain spaces and a surname, so its end is not recognisable
in the caption itself. Therefore it is replaced by the handle here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dc_keras.corpus.importing.sources.values import parse_whole_number
from dc_keras.corpus.records import has_mentions, is_mention

_SIGNS = ("@", "＠")


def show_handles(caption: str, entries: Iterable[Any]) -> str:
    """Returns a caption in which every marked mention is a handle.

    If the export does not contain the handle, a display name of several words becomes a
    bare "@". The entries are those of `textExtra`, with the key names of any version.
    """
    if not has_mentions(caption):
        return caption
    units = caption.encode("utf-16-le", "surrogatepass")
    pieces, cut = [], len(units)
    # From the end, so that replacements do not shift the remaining positions.
    for start, end, handle in sorted(_mentions(entries), reverse=True):
        if not start < end <= cut // 2:
            continue
        shown = _decode(units[2 * start : 2 * end])
        name = shown.rstrip()
        written = _as_handle(name, handle)
        if written == name:
            continue
        spaces = shown[len(name) :] or _gap(_decode(units[2 * end : 2 * end + 4]))
        pieces += [units[2 * end : cut], (written + spaces).encode("utf-16-le")]
        cut = 2 * start
    return _decode(b"".join([units[:cut], *reversed(pieces)]))


def is_handle(caption: str, start: int, end: int, handle: str) -> bool:
    """Whether a mention is already a handle; False if it needs `show_handles`."""
    shown = caption[start:end]
    return shown == f"@{handle}" and is_mention(shown)


def _as_handle(shown: str, handle: str) -> str:
    if not shown.startswith(_SIGNS):
        return shown
    if is_mention(f"@{handle}"):
        return f"@{handle}"
    return shown if is_mention(shown) else "@"


def _gap(following: str) -> str:
    """Returns the space that separates a handle from a directly following word."""
    return " " if following[:1].isalnum() or following[:1] in ("_", ".") else ""


def _mentions(entries: Iterable[Any]) -> Iterator[tuple[int, int, str]]:
    """Yields start, end, and the handle or "" of each entry that marks a mention."""
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        # The keys of textExtra, text_extra and TextExtra differ in spelling only.
        given = {str(key).lower().replace("_", ""): entry[key] for key in entry}
        start, end = (
            parse_whole_number(given.get("start")),
            parse_whole_number(given.get("end")),
        )
        if start is not None and end is not None and _is_mention(given):
            handle = given.get("useruniqueid")
            yield start, end, handle if isinstance(handle, str) else ""


def _is_mention(given: Mapping[str, Any]) -> bool:
    if given.get("useruniqueid") or given.get("userid"):
        return True
    return str(given.get("type")) == "0" and not given.get("hashtagname")


def _decode(units: bytes) -> str:
    return units.decode("utf-16-le", "replace")
