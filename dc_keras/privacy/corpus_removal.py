"""Removes people and posts from a corpus and its media."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import polars as pl

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.importing.quarantine import QUARANTINE_FILE
from dc_keras.corpus.records import Edge, User
from dc_keras.corpus.store import (
    Corpus,
    CorpusWriter,
    rows_of,
    write_sealed,
)
from dc_keras.study.dataset_card import CARD_FILE, describe
from tfrecords.media_paths import MEDIA_SUFFIXES

_DIGITS = re.compile(r"[0-9]+")


def forget_corpus(
    corpus: Corpus, forgotten: Forgotten, *, dry_run: bool = False
) -> Counter[str]:
    """Removes people and posts from the tables, quarantine and card of a corpus.

    The tables become equal to those of an import without the removed data: authors
    without posts and edges are removed, and first and last seen follow from the
    remaining posts. `dry_run` only counts.

    Returns:
        The numbers of removed `posts`, `people`, `ties` and lines of `quarantine`, and
        of `posts_rewritten`; empty if nothing changes.
    """
    videos = forgotten.filter_videos(corpus.videos)
    ties = forgotten.filter_edges(corpus.edges)
    users = _kept_users(corpus, videos, ties, forgotten)
    before = corpus.videos.filter(pl.col("video_id").is_in(videos["video_id"]))
    lines, num_dropped = _filter_quarantine(
        corpus.directory / QUARANTINE_FILE, forgotten
    )
    counts = Counter(
        posts=corpus.videos.height - videos.height,
        people=corpus.users.height - users.height,
        ties=corpus.edges.height - ties.height,
        quarantine=num_dropped,
        posts_rewritten=int((before.hash_rows() != videos.hash_rows()).sum()),
    )
    # An interrupted run may have left some files unchanged.
    if not dry_run and (counts.total() or not forgotten.is_finished):
        with CorpusWriter(corpus.directory) as writer:
            writer.add_videos(videos)
            if num_dropped:
                # `finish` removes an empty file.
                writer.files.path(QUARANTINE_FILE).write_text("".join(lines), "utf-8")
            writer.finish(
                rows_of(User, users),
                rows_of(Edge, ties),
                key_fingerprint=corpus.info["key_fingerprint"],
                media_root=corpus.media_root,
                num_quarantined=len(lines),
                notes=corpus.info.get("notes"),
                is_synthetic=corpus.is_synthetic,
            )
        _renew_card(corpus.directory)
    return +counts


def forget_media(
    media_root: Path, forgotten: Forgotten, *, dry_run: bool = False
) -> int:
    """Deletes videos and images with a removed id in their name; returns the number."""
    paths = [
        path
        for path in sorted(media_root.rglob("*"))
        if path.suffix.lower() in MEDIA_SUFFIXES
        and forgotten.among(_DIGITS.findall(f"{path.parent.name} {path.stem}"))
    ]
    if dry_run:
        return len(paths)
    for path in paths:
        path.unlink()
    # A directory of slides has the id of the post as its name.
    for directory in {path.parent for path in paths} - {media_root}:
        if forgotten.has(directory.name) and not any(directory.iterdir()):
            directory.rmdir()
    return len(paths)


def _kept_users(
    corpus: Corpus, videos: pl.DataFrame, ties: pl.DataFrame, forgotten: Forgotten
) -> pl.DataFrame:
    users = forgotten.drop_rows(corpus.users, ("user_id",))
    lost = corpus.videos.join(videos, on="video_id", how="anti")["user_id"]
    is_seen = pl.col("user_id").is_in(_active_ids(videos, ties))
    was_seen = pl.col("user_id").is_in(_active_ids(corpus.videos, corpus.edges))
    times = videos.group_by("user_id").agg(
        pl.col("create_time").min().alias("first"),
        pl.col("create_time").max().alias("last"),
    )
    has_lost = pl.col("user_id").is_in(lost)
    return (
        users.filter(is_seen | ~was_seen)
        .join(times, on="user_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(has_lost).then(new).otherwise(old).alias(old)
            for old, new in (("first_seen", "first"), ("last_seen", "last"))
        )
        .select(corpus.users.columns)
    )


def _active_ids(videos: pl.DataFrame, ties: pl.DataFrame) -> pl.Series:
    ends = (videos["user_id"], ties["user_id"], ties["target_id"])
    return pl.concat([end.alias("end") for end in ends]).unique()


def _filter_quarantine(path: Path, forgotten: Forgotten) -> tuple[list[str], int]:
    if not path.exists():
        return [], 0
    with path.open(encoding="utf-8", newline="\n") as file:
        lines = file.readlines()
    kept = [line for line in lines if not forgotten.names_any(json.loads(line))]
    return kept, len(lines) - len(kept)


def _renew_card(directory: Path) -> None:
    # Without the challenges of the study, which is not recorded in the corpus.
    if (directory / CARD_FILE).exists():
        write_sealed(directory / CARD_FILE, describe(directory))
