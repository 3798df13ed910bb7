"""The list of sources, and the selection of the source of a record."""

from __future__ import annotations

import runpy
from dataclasses import replace

from dc_keras.corpus.importing.sources import (
    hand_made,
    own_data,
    platform_posts,
    relations,
    tool_posts,
)
from dc_keras.corpus.importing.sources.custom import describe_failure
from dc_keras.corpus.importing.sources.post import RawRecord, Source
from dc_keras.errors import DataError

AUTO = "auto"

# In the order in which they are tried: specific formats first.
_SOURCES = (
    platform_posts.SHARE_ITEM,
    own_data.SOURCE,
    relations.COMMENT,
    tool_posts.TIKWM,  # its `aweme_id` differs from that of the app
    platform_posts.AWEME,
    tool_posts.YT_DLP,
    tool_posts.TIKTOK_SCRAPER,
    tool_posts.CONTENT_SCRAPER,
    tool_posts.DOUK,
    tool_posts.BRIGHT_DATA,
    tool_posts.MINET,
    tool_posts.SIMPLE_DICT,
    platform_posts.DISPLAY_API,
    relations.SUGGESTED,
    relations.WHICHTOK_USERS,
    tool_posts.WHICHTOK_VIDEOS,
    tool_posts.FOURCAT_CSV,
    tool_posts.PYKTOK,
    tool_posts.TRAKTOK,
    tool_posts.PYTOK,
    relations.FOLLOWERS,
    relations.FOLLOWING,  # equals the previous format; must be selected by name
    hand_made.SOURCE,  # leaves the records of the following formats to them
    platform_posts.RESEARCH_API,
    tool_posts.TIKTOK_10M,
    platform_posts.WEB_ITEM,
)

# Sources registered by the user, which are tried first.
_REGISTERED: list[Source] = []

SOURCE_NAMES = tuple(sorted(source.name for source in _SOURCES))


def register(source: Source) -> None:
    """Adds a source, which is tried before all others; its name must be new."""
    if source.name in (AUTO, *SOURCE_NAMES, *(known.name for known in _REGISTERED)):
        raise DataError(
            f"`name` must not be that of another source. Received: name={source.name!r}"
        )
    _REGISTERED.append(source)


def _run_source_file(path: str) -> tuple[Source, ...]:
    """Returns the sources that a file registers, for the caller alone."""
    before = len(_REGISTERED)
    try:
        runpy.run_path(path)
        found = tuple(_REGISTERED[before:])
    except (DataError, OSError):
        raise
    except (Exception, SystemExit) as error:
        raise DataError(
            f"{path} must be a Python file that registers a source. "
            f"Received: {describe_failure(error)}: {error}"
        ) from error
    finally:
        del _REGISTERED[before:]
    if not found:
        raise DataError(f"{path} must call `register_source`. Received: no call")
    return found


def choose_sources(name: str, source_file: str | None = None) -> tuple[Source, ...]:
    """Returns the sources to try: all for "auto", else the one with this name.

    Args:
        name: "auto" or the name of a source.
        source_file: Python file that registers sources; it is executed.

    Raises:
        DataError: there is no such source, or the file fails.
    """
    custom = tuple(_REGISTERED)
    if source_file is not None:
        custom = (*_run_source_file(source_file), *custom)
    known_sources = (*custom, *_SOURCES)
    if name == AUTO and not custom:
        return _SOURCES
    if name == AUTO:
        # A fast reader would bypass the registered sources.
        return tuple(replace(source, read_lines=None) for source in known_sources)
    chosen = tuple(source for source in known_sources if source.name == name)
    if not chosen:
        known = ", ".join((AUTO, *sorted(source.name for source in known_sources)))
        raise DataError(f"`source` must be one of {known}. Received: source={name!r}")
    return chosen


def sniff(record: RawRecord, sources: tuple[Source, ...]) -> Source | None:
    """Returns the first source that matches the record, None if there is none."""
    for source in sources:
        if source.matches(record):
            return source
    return None
