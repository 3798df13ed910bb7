"""The sources that exist, and which of them a record belongs to."""

from __future__ import annotations

from dc_keras.corpus.sources import share_item, web_item
from dc_keras.corpus.sources.post import RawRecord, Source
from dc_keras.errors import DataError

AUTO = "auto"

# In the order in which they are asked: the more particular shape first.
_SOURCES = (share_item.SOURCE, web_item.SOURCE)

SOURCE_NAMES = tuple(source.name for source in _SOURCES)


def choose_sources(name: str) -> tuple[Source, ...]:
    """Returns the sources to ask: all for "auto", else the one of that name.

    Raises:
        DataError: there is no such source.
    """
    if name == AUTO:
        return _SOURCES
    chosen = tuple(source for source in _SOURCES if source.name == name)
    if not chosen:
        known = ", ".join((AUTO, *SOURCE_NAMES))
        raise DataError(f"`source` must be one of {known}. Received: source={name!r}")
    return chosen


def sniff(record: RawRecord, sources: tuple[Source, ...]) -> Source | None:
    """Returns the first source whose shape the record has, None where none fits."""
    return next((source for source in sources if source.matches(record)), None)
