"""DATASET_CARD.md: what a corpus holds, what it lacks, and what to know before use.

What it says of the last import tells what its files were, and not what was new in
them: importing a file twice changes no byte of the card either.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dc_keras.corpus.importing.export_reader import FileReport
from dc_keras.corpus.importing.quarantine import QUARANTINE_FILE, split_suffixes
from dc_keras.corpus.store import (
    EDGES_FILE,
    USERS_FILE,
    VIDEOS_FILE,
    require_info,
)
from dc_keras.escaping import escape_controls
from dc_keras.study.resolution import find_joins
from dc_keras.study.study import Study

CARD_FILE = "DATASET_CARD.md"

_NUM_HASHTAGS = 20
# Where collections of one hashtag usually end, as users of the tools report it.
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
    "web_item": "Hashtag collections end at some 500 to 1,000 posts; followers and "
    "reposts are not there. Anonymous sessions see what the platform likes to show.",
    "share_item": "Of 2019 and 2020: no saves, no region, no language, no effects; "
    "mentions by id only.",
    "aweme": "Numbers that passed through JavaScript are rounded; some versions hide "
    "plays behind a zero.",
    "yt_dlp": "No sound id, no structured hashtags, no duets; of a hashtag or a sound "
    "it lists nothing.",
    "research_api": "Users by name only, which changes; no files. Audits found view "
    "counts wrong by orders of magnitude before July 2024, posts missing (one in eight "
    "donated posts has no metadata), and hashtag queries of 2021 and 2022 failing.",
    "fourcat_csv": "Users by name only, or hashed; no saves, no duration; of a duet "
    "not with what.",
    "pyktok": "Users by name only; local times without a zone; no sounds, no saves; "
    "hashtags out of the caption.",
    "traktok": "Users by name only; no sound ids, no saves.",
    "pytok": "No sounds, no durations, no saves, no region.",
    "tikwm": "No hashtags but those in the title; nobody answers for the service.",
    "bright_data": "Users by name only; sounds without ids in older deliveries.",
    "display_api": "An app sees its own users' posts only; handles out of addresses; "
    "no sounds, no saves.",
    "minet": "No saves, no region.",
    "content_scraper": "Times without a zone: the ids tell.",
    "douk": "Local times: the ids tell; no sound ids, no duets, no region.",
    "simple_dict": "No sounds, no saves, no region.",
    "tiktok_10m": "Users by name only, out of addresses; no sound ids.",
    "tiktok_scraper": "Unmaintained since 2023; no saves in older versions, no duets.",
    "hand_made": "What the columns are is told by their headers; users by name only.",
    "whichtok_videos": "No posting times but those in the ids; no durations, no saves.",
}
_NUM_FILES = 200
_TERMS = """\
Whoever holds posts of the platform must, under its terms for researchers, look up about
every 15 days which of them are gone and drop those: `python -m pipelines.forget`. The
same command serves a person who asks to be forgotten. Pseudonyms are keyed: whoever has
the key file can look a person up, and captions are kept as people wrote them. It is
personal data, in the European Union and elsewhere."""


@dataclass(frozen=True, slots=True)
class UnknownWords:
    """How much of the captions a BERT does not know.

    Attributes:
        encoder: which BERT.
        share: of the WordPieces of all captions that are [UNK], 0 to 1.
    """

    encoder: str
    share: float


def describe(
    directory: Path,
    *,
    study: Study | None = None,
    unknown_words: UnknownWords | None = None,
    files: Sequence[FileReport] = (),
) -> str:
    """Returns the card of a corpus, Markdown.

    The posts are never held in memory all at once.

    Args:
        directory: the corpus directory.
        study: whose challenges to count; None counts the commonest hashtags.
        unknown_words: as measured; None says how to measure.
        files: what the files of the last import were.

    Raises:
        DataError: there is no corpus.
    """
    info = require_info(directory)
    videos = _posts(directory)
    sections = {
        "What is in it": _contents(directory, info, videos),
        "Coverage": _coverage(videos, list(info["sources"])),
        "Challenges" if study else "Hashtags": _challenges(videos, study),
        "Captions": _captions(unknown_words),
        "Missing, mended and doubtful": _notes(info.get("notes", {})),
        **({"Files of the last import": _files(files)} if files else {}),
        "Not imported": _quarantined(directory / QUARANTINE_FILE),
        "Known gaps of the sources": _gaps(info["sources"]),
        "Terms": _TERMS,
    }
    parts = [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join(["# Dataset card", *parts]) + "\n"


def _posts(directory: Path) -> pl.LazyFrame:
    """Returns the posts, with whether their author is known by a handle alone."""
    users = pl.scan_parquet(directory / USERS_FILE)
    is_handle = pl.col("aliases").list.contains(pl.col("user_id"))
    handles = users.select("user_id", is_handle.alias("is_handle_only"))
    return pl.scan_parquet(directory / VIDEOS_FILE).join(handles, on="user_id")


def _contents(directory: Path, info: Mapping[str, Any], videos: pl.LazyFrame) -> str:
    time = pl.col("create_time") * 1_000_000
    day = time.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d")
    facts = videos.select(
        day.min().alias("first"),
        day.max().alias("last"),
        pl.col("user_id").n_unique().alias("authors"),
        pl.col("mentions").list.len().sum().alias("mention"),
        pl.col("duet_of").count().alias("duet"),
        pl.col("stitch_of").count().alias("stitch"),
    )
    [fact] = facts.collect(engine="streaming").to_dicts()
    dates = ""
    if fact["first"] is not None:
        dates = f", posted {fact['first']} to {fact['last']} (UTC)"
    ties = pl.scan_parquet(directory / EDGES_FILE).group_by("kind").len().collect()
    kinds = Counter({kind: fact[kind] for kind in ("mention", "duet", "stitch")})
    kinds.update(dict(ties.iter_rows()))
    rows = [("posts", source, number) for source, number in info["sources"].items()]
    rows += [("ties", kind, number) for kind, number in sorted(kinds.items()) if number]
    return (
        f"{info['counts']['videos']:,} posts by {fact['authors']:,} authors{dates}. "
        "Identities are keyed pseudonyms.\n\n"
        + _table(("what", "source or kind", "number"), rows)
    )


def _coverage(videos: pl.LazyFrame, sources: Sequence[str]) -> str:
    """Share of posts that have each field, in all and by source."""
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
    return "Share of posts that have it:\n\n" + _table(("", *columns), rows)


def _challenges(videos: pl.LazyFrame, study: Study | None) -> str:
    rows: list[tuple[object, ...]]
    if study is None:
        tags = videos.select("hashtags", "user_id").explode("hashtags").drop_nulls()
        common = tags.group_by("hashtags").agg(*_NUM_POSTS_AND_AUTHORS)
        common = common.sort(["posts", "hashtags"], descending=[True, False])
        found = common.head(_NUM_HASHTAGS).collect(engine="streaming")
        rows = list(found.iter_rows())
        names = f"The {len(rows)} commonest; --study counts challenges instead."
    else:
        marks = videos.select("video_id", "user_id", "hashtags", "music_id").collect()
        joins = find_joins(study, marks).join(marks, on="video_id")
        found = joins.group_by("challenge").agg(*_NUM_POSTS_AND_AUTHORS)
        counts = {position: numbers for position, *numbers in found.iter_rows()}
        rows = [
            (challenge.name, *counts.get(position, (0, 0)))
            for position, challenge in enumerate(study.challenges)
        ]
        names = f'Of the study "{study.name}".'
    caps = ", ".join(f"{cap} with {tool}" for tool, cap in _USUAL_CAPS.items())
    return (
        f"{names} A count may be the end of a collection and not of the challenge: "
        f"hashtags usually end at about {caps}.\n\n"
        + _table(("name", "posts", "authors"), [(f"`{n}`", *r) for n, *r in rows])
    )


def _captions(unknown: UnknownWords | None) -> str:
    if unknown is None:
        return "How much of them a BERT knows was not measured: import with --text."
    return (
        f"{_percent(unknown.share)} of their WordPieces are [UNK] to "
        f"`{unknown.encoder}`: words that it cannot tell apart."
    )


def _notes(notes: Mapping[str, Mapping[str, int]]) -> str:
    rows = [
        (source, f"`{note}`", number)
        for source, counts in notes.items()
        for note, number in counts.items()
    ]
    if not rows:
        return "Nothing."
    return (
        "Records of what is in the corpus, by source; docs/importing.md says what each "
        "word means.\n\n" + _table(("source", "note", "records"), rows)
    )


def _quarantined(path: Path) -> str:
    if not path.exists():
        return "Every record given was read."
    with path.open(encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    reasons = Counter(entry["reason"] for entry in entries)
    examples = {
        entry["reason"]: f"{entry['file']}, {entry['position']}"
        for entry in reversed(entries)
    }
    ordered = sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))
    rows = [(reason, number, examples[reason]) for reason, number in ordered]
    table = _table(("reason", "records", "the first"), rows)
    return f"See `{QUARANTINE_FILE}`.\n\n{table}"


def _files(files: Sequence[FileReport]) -> str:
    # Numbered: an export is often named after the person whose posts it holds.
    rows = [
        (
            f"{number} " + "".join(split_suffixes(file.name)[1:]),
            ", ".join(f"{n} `{name}`" for name, n in file.sources.most_common()) or "–",
            file.reasons.total(),
        )
        for number, file in enumerate(files[:_NUM_FILES], start=1)
    ]
    table = _table(("file", "read as", "not read"), rows)
    further = len(files) - len(rows)
    return f"{table}\n\nAnd {further} further files." if further else table


def _gaps(sources: Iterable[str]) -> str:
    names = sorted(name for name in sources if name in _KNOWN_GAPS)
    known = [f"- `{name}`: {_KNOWN_GAPS[name]}" for name in names]
    return "\n".join(known) or "No source."


def _table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(map(_cell, cells)) + " |"

    columns = list(columns)
    return "\n".join([line(columns), "|---" * len(columns) + "|", *map(line, rows)])


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return escape_controls(str(value)).replace("|", "\\|")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
