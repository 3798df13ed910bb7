"""The sources that exist, and which of them a record belongs to."""

from __future__ import annotations

from dc_keras.corpus.sources import (
    aweme,
    fourcat_csv,
    pyktok,
    pytok,
    research_api,
    share_item,
    suggested,
    tiktok_scraper,
    web_comment,
    web_item,
    whichtok,
    yt_dlp,
)
from dc_keras.corpus.sources.post import RawRecord, Source
from dc_keras.errors import DataError

AUTO = "auto"

# In the order in which they are asked: the more particular shape first.
_SOURCES = (
    share_item.SOURCE,
    web_comment.SOURCE,
    aweme.SOURCE,
    tiktok_scraper.SOURCE,
    yt_dlp.SOURCE,
    suggested.SOURCE,
    whichtok.USERS,
    whichtok.VIDEOS,
    whichtok.SUGGESTIONS,
    fourcat_csv.SOURCE,
    pyktok.PYKTOK,
    pyktok.TRAKTOK,
    pytok.SOURCE,
    research_api.COMMENT,
    research_api.FOLLOWERS,
    research_api.FOLLOWING,  # looks like the one before; must be asked for
    research_api.VIDEO,
    web_item.SOURCE,
)

SOURCE_NAMES = tuple(sorted(source.name for source in _SOURCES))


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
    for source in sources:
        if source.matches(record):
            return source
    return None
