"""DATASET_CARD.md: contents, coverage and known gaps of a corpus.

The section on the last import describes its files, not which of their posts were new:
importing the same file twice leaves the card unchanged.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dc_keras.corpus.importing.quarantine import QUARANTINE_FILE, split_suffixes
from dc_keras.corpus.importing.unit_content import FileReport
from dc_keras.corpus.store import (
    EDGES_FILE,
    USERS_FILE,
    VIDEOS_FILE,
    require_info,
)
from dc_keras.escaping import format_markdown
from dc_keras.study.resolution import find_joins
from dc_keras.study.study import Study

CARD_FILE = "DATASET_CARD.md"

_NUM_HASHTAGS = 20
# Number of posts at which collecting one hashtag usually stops, as users report it.
_USUAL_CAPS = {"bellingcat": 180, "TikTok-Api": 500}
_COVERED = {
    "media": pl.col("media_path").is_not_null()
    | (pl.col("slide_paths").list.len() > 0),
    "author's id": ~pl.col("is_handle_only"),
    "posting time": pl.col("create_time").is_not_null(),
    "caption": pl.col("caption") != "",
    "hashtags": pl.col("hashtags").list.len() > 0,
    "sound id": pl.col("music_id").is_not_null(),
    "duration": pl.col("duration_s").is_not_null(),
    "views": pl.col("views").is_not_null(),
    "region": pl.col("region").is_not_null(),
    "language": pl.col("language").is_not_null(),
    "transcript": pl.col("transcript").is_not_null(),
    "collection time": pl.col("collected_at").is_not_null(),
}

_NUM_POSTS_AND_AUTHORS = (
    pl.len().alias("posts"),
    pl.col("user_id").n_unique().alias("authors"),
)
_KNOWN_GAPS = {
    "web_item": "Hashtag collections stop at about 500 to 1,000 posts; no followers "
    "and no reposts. The platform selects what anonymous sessions see.",
    "share_item": "Data of 2019 and 2020: no saves, no region, no language, no "
    "effects; mentions by id only.",
    "aweme": "Numbers that passed through JavaScript are rounded; some versions report "
    "zero plays.",
    "yt_dlp": "No sound id, no structured hashtags, no duets; hashtags and sounds "
    "cannot be listed.",
    "research_api": "Users by name only, and names change; no media files. Audits "
    "found view counts wrong by orders of magnitude before July 2024, missing posts "
    "(one in eight donated posts has no metadata) and failing hashtag queries for 2021 "
    "and 2022.",
    "fourcat_csv": "Users by name only, or hashed; no saves, no duration; duets "
    "without the original post.",
    "pyktok": "Users by name only; local times without a zone; no sounds, no saves; "
    "hashtags are taken from the caption.",
    "traktok": "Users by name only; no sound ids, no saves.",
    "pytok": "No sounds, no durations, no saves, no region.",
    "tikwm": "Hashtags from the title only; an unofficial service.",
    "bright_data": "Users by name only; sounds without ids in older deliveries.",
    "display_api": "Only posts of an app's own users; handles are taken from URLs; "
    "no sounds, no saves.",
    "minet": "No saves, no region.",
    "content_scraper": "Times without a zone: posting times are taken from the ids.",
    "douk": "Local times: posting times are taken from the ids; no sound ids, no "
    "duets, no region.",
    "simple_dict": "No sounds, no saves, no region.",
    "tiktok_10m": "Users by name only, taken from URLs; no sound ids.",
    "tiktok_scraper": "Unmaintained since 2023; no saves in older versions, no duets.",
    "hand_made": "Columns are identified by their headers; users by name only.",
    "whichtok_videos": "Posting times from the ids only; no durations, no saves.",
}
_NUM_FILES = 200
_TERMS = """\
The platform's terms for researchers require you to check about every 15 days which
posts were deleted and to remove them: `python -m pipelines.forget`. The same command
removes a person on request. Pseudonyms are keyed hashes: anyone with the key file can
identify a person. Captions are stored as written. This is personal data, in the
European Union and elsewhere."""


def describe(
    directory: Path,
    *,
    study: Study | None = None,
    unknown_words: tuple[str, float] | None = None,
    files: Sequence[FileReport] = (),
) -> str:
    """Returns the card of a corpus as Markdown.

    The posts are streamed, never loaded all at once.

    Args:
        directory: the corpus directory.
        study: the study whose challenges are counted; None counts the most frequent
            hashtags.
        unknown_words: name of a BERT encoder, and the share of the WordPieces of all
            captions that are [UNK] to it, 0 to 1; None prints how to measure it.
        files: reports on the files of the last import.

    Raises:
        DataError: if there is no corpus in the directory.
    """
    info = require_info(directory)
    videos = _posts(directory)
    sections = {
        "What is in it": _contents(directory, info, videos),
        "Coverage": _coverage(videos, list(info["sources"])),
        "Challenges" if study else "Hashtags": _challenges(videos, study),
        "Captions": _captions(unknown_words),
        "Missing, corrected and doubtful": _notes(info.get("notes", {})),
        **({"Files of the last import": _files(files)} if files else {}),
        "Not imported": _quarantined(directory / QUARANTINE_FILE),
        "Known gaps of the sources": _gaps(info["sources"]),
        "Terms": _TERMS,
    }
    parts = [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join(["# Dataset card", *parts]) + "\n"


def _posts(directory: Path) -> pl.LazyFrame:
    """Returns the posts with `is_handle_only`: no id of the author is known."""
    users = pl.scan_parquet(directory / USERS_FILE)
    is_handle = pl.col("aliases").list.contains(pl.col("user_id"))
    handles = users.select("user_id", is_handle.alias("is_handle_only"))
    return pl.scan_parquet(directory / VIDEOS_FILE).join(handles, on="user_id")


def _contents(directory: Path, info: Mapping[str, Any], videos: pl.LazyFrame) -> str:
    time = pl.col("create_time") * 1_000_000
    day = time.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d")
    totals = videos.select(
        day.min().alias("first"),
        day.max().alias("last"),
        pl.col("user_id").n_unique().alias("authors"),
        pl.col("mentions").list.len().sum().alias("mention"),
        pl.col("duet_of").count().alias("duet"),
        pl.col("stitch_of").count().alias("stitch"),
    )
    [total] = totals.collect(engine="streaming").to_dicts()
    dates = ""
    if total["first"] is not None:
        dates = f", posted {total['first']} to {total['last']} (UTC)"
    ties = pl.scan_parquet(directory / EDGES_FILE).group_by("kind").len().collect()
    kinds = Counter({kind: total[kind] for kind in ("mention", "duet", "stitch")})
    kinds.update(dict(ties.iter_rows()))
    rows = [("posts", source, number) for source, number in info["sources"].items()]
    rows += [("ties", kind, number) for kind, number in sorted(kinds.items()) if number]
    synthetic = "Synthetic: no person, post or sound in it exists. "
    return (
        f"{synthetic * bool(info.get('is_synthetic'))}"
        f"{info['counts']['videos']:,} posts by {total['authors']:,} authors{dates}. "
        "Identities are keyed pseudonyms.\n\n"
        + format_markdown(("what", "source or kind", "number"), rows)
    )


def _coverage(videos: pl.LazyFrame, sources: Sequence[str]) -> str:
    """Returns the share of posts that have each field, overall and by source."""
    shares = [known.mean().alias(name) for name, known in _COVERED.items()]
    whole = videos.select(pl.lit("all").alias("source"), *shares)
    by_source = videos.group_by("source").agg(shares)
    groups = {
        group["source"]: group
        for part in (whole, by_source)
        for group in part.collect(engine="streaming").iter_rows(named=True)
    }
    columns = ["all", *sources]
    rows = [
        (name, *(_percent(groups[column][name]) for column in columns))
        for name in _COVERED
    ]
    return "Share of posts that have each field:\n\n" + format_markdown(
        ("", *columns), rows
    )


def _challenges(videos: pl.LazyFrame, study: Study | None) -> str:
    rows: list[tuple[object, ...]]
    if study is None:
        tags = videos.select("hashtags", "user_id").explode("hashtags").drop_nulls()
        common = tags.group_by("hashtags").agg(*_NUM_POSTS_AND_AUTHORS)
        common = common.sort(["posts", "hashtags"], descending=[True, False])
        frequent = common.head(_NUM_HASHTAGS).collect(engine="streaming")
        rows = list(frequent.iter_rows())
        names = f"The {len(rows)} most frequent; --study counts challenges instead."
    else:
        marks = videos.select("video_id", "user_id", "hashtags", "music_id").collect()
        joins = find_joins(study, marks).join(marks, on="video_id")
        numbers_of = joins.group_by("challenge").agg(*_NUM_POSTS_AND_AUTHORS)
        counts = {position: numbers for position, *numbers in numbers_of.iter_rows()}
        rows = [
            (challenge.name, *counts.get(position, (0, 0)))
            for position, challenge in enumerate(study.challenges)
        ]
        names = f'The challenges of the study "{study.name}".'
    caps = ", ".join(f"{cap} with {tool}" for tool, cap in _USUAL_CAPS.items())
    return (
        f"{names} A count may be the limit of the collection tool, not the size of the "
        f"challenge. Usual limits per hashtag: {caps}.\n\n"
        + format_markdown(
            ("name", "posts", "authors"), [(f"`{n}`", *r) for n, *r in rows]
        )
    )


def _captions(unknown: tuple[str, float] | None) -> str:
    if unknown is None:
        return "The share of unknown tokens was not measured: import with --text."
    encoder, share = unknown
    return f"{_percent(share)} of the WordPieces are unknown ([UNK]) to `{encoder}`."


def _notes(notes: Mapping[str, Mapping[str, int]]) -> str:
    rows = [
        (source, f"`{note}`", number)
        for source, counts in notes.items()
        for note, number in counts.items()
    ]
    if not rows:
        return "Nothing."
    return (
        "Numbers of records by source; docs/importing.md explains the notes.\n\n"
        + format_markdown(("source", "note", "records"), rows)
    )


def _quarantined(path: Path) -> str:
    if not path.exists():
        return "Nothing: every record was imported."
    with path.open(encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    reasons = Counter(entry["reason"] for entry in entries)
    examples = {
        entry["reason"]: f"{entry['file']}, {entry['position']}"
        for entry in reversed(entries)
    }
    ordered = sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))
    rows = [(reason, number, examples[reason]) for reason, number in ordered]
    table = format_markdown(("reason", "records", "first"), rows)
    return f"See `{QUARANTINE_FILE}`.\n\n{table}"


def _files(files: Sequence[FileReport]) -> str:
    # Files are numbered: an export is often named after a person.
    rows = [
        (
            f"no. {number} ({''.join(split_suffixes(file.name)[1:])})",
            ", ".join(f"{n} `{name}`" for name, n in file.sources.most_common()) or "–",
            file.reasons.total(),
        )
        for number, file in enumerate(files[:_NUM_FILES], start=1)
    ]
    table = format_markdown(("file", "read as", "not read"), rows)
    further = len(files) - len(rows)
    return f"{table}\n\nAnd {further} further files." if further else table


def _gaps(sources: Iterable[str]) -> str:
    names = sorted(name for name in sources if name in _KNOWN_GAPS)
    known = [f"- `{name}`: {_KNOWN_GAPS[name]}" for name in names]
    return "\n".join(known) or "No source."


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
