"""The sources that exist, and which of them a record belongs to."""

from __future__ import annotations

from dataclasses import replace

from dc_keras.corpus.importing.sources import aweme

from dc_keras.corpus.importing.sources import bright_data

from dc_keras.corpus.importing.sources import comments

from dc_keras.corpus.importing.sources import content_scraper

from dc_keras.corpus.importing.sources import display_api

from dc_keras.corpus.importing.sources import douk

from dc_keras.corpus.importing.sources import fourcat_csv

from dc_keras.corpus.importing.sources import hand_made

from dc_keras.corpus.importing.sources import minet

from dc_keras.corpus.importing.sources import own_data

from dc_keras.corpus.importing.sources import pyktok

from dc_keras.corpus.importing.sources import pytok

from dc_keras.corpus.importing.sources import research_api

from dc_keras.corpus.importing.sources import share_item

from dc_keras.corpus.importing.sources import simple_tables

from dc_keras.corpus.importing.sources import suggested

from dc_keras.corpus.importing.sources import tiktok_scraper

from dc_keras.corpus.importing.sources import tikwm

from dc_keras.corpus.importing.sources import web_comment

from dc_keras.corpus.importing.sources import web_item

from dc_keras.corpus.importing.sources import whichtok

from dc_keras.corpus.importing.sources import yt_dlp
from dc_keras.corpus.importing.sources.post import RawRecord, Source
from dc_keras.errors import DataError

AUTO = "auto"

# In the order in which they are asked: the more particular shape first.
_SOURCES = (
    share_item.SOURCE,
    own_data.SOURCE,
    web_comment.SOURCE,
    research_api.COMMENT,
    comments.SOURCE,
    tikwm.SOURCE,  # its `aweme_id` is another thing than the app's
    aweme.SOURCE,
    yt_dlp.SOURCE,
    tiktok_scraper.SOURCE,
    content_scraper.SOURCE,
    douk.SOURCE,
    bright_data.SOURCE,
    minet.SOURCE,
    simple_tables.TUTORIAL,
    display_api.SOURCE,
    suggested.SOURCE,
    whichtok.USERS,
    whichtok.VIDEOS,
    whichtok.SUGGESTIONS,
    fourcat_csv.SOURCE,
    pyktok.PYKTOK,
    pyktok.TRAKTOK,
    pytok.SOURCE,
    research_api.FOLLOWERS,
    research_api.FOLLOWING,  # looks like the one before; must be asked for
    hand_made.SOURCE,  # leaves to the next ones what they read whole
    research_api.VIDEO,
    simple_tables.TIKTOK_10M,
    web_item.SOURCE,
)

# Those that a user added; they are asked first.
_REGISTERED: list[Source] = []

SOURCE_NAMES = tuple(sorted(source.name for source in _SOURCES))


def register(source: Source) -> None:
    """Adds a source, to be asked before all others.

    Raises:
        DataError: another source has this name.
    """
    if source.name in (AUTO, *SOURCE_NAMES, *(known.name for known in _REGISTERED)):
        raise DataError(
            f"`name` must be one that no source has. Received: name={source.name!r}"
        )
    _REGISTERED.append(source)


def choose_sources(name: str) -> tuple[Source, ...]:
    """Returns the sources to ask: all for "auto", else the one of that name.

    Raises:
        DataError: there is no such source.
    """
    known_sources = (*_REGISTERED, *_SOURCES)
    if name == AUTO and not _REGISTERED:
        return _SOURCES
    if name == AUTO:
        # The quick way of one source would not ask the others.
        return tuple(replace(source, read_lines=None) for source in known_sources)
    chosen = tuple(source for source in known_sources if source.name == name)
    if not chosen:
        known = ", ".join((AUTO, *sorted(source.name for source in known_sources)))
        raise DataError(f"`source` must be one of {known}. Received: source={name!r}")
    return chosen


def sniff(record: RawRecord, sources: tuple[Source, ...]) -> Source | None:
    """Returns the first source whose shape the record has, None where none fits."""
    for source in sources:
        if source.matches(record):
            return source
    return None
