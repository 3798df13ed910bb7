"""Removes people and posts from frame and feature records.

Shards, manifests and progress files become those of a fresh run on the remaining data.
An interrupted removal can be run again: clean shards are skipped, and the manifest of
the frames, which identifies the input of the features, is written after the features.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.records import Video
from dc_keras.corpus.store import Corpus, rows_of
from tfrecords.feature_records import feature_digest
from tfrecords.frame_records import plan_frame_shards
from tfrecords.frame_sampling import SamplingConfig
from tfrecords.progress import (
    ShardEntry,
    read_progress,
    remove_leftovers,
    write_progress,
)
from tfrecords.reader import iter_serialized
from tfrecords.schema import (
    build_frame_record,
    parse_feature_record,
    parse_frame_record,
)
from tfrecords.storage.checksums import hash_file
from tfrecords.writer import read_manifest, write_manifest, write_shard

# The digest of a shard that the next run must write again.
_UNKNOWN = ""
_EMBEDDED_BEFORE = "captions_embedded_before"


@dataclass(frozen=True)
class Removal:
    """The result of a removal from a directory of records.

    Attributes:
        directory: directory of the records.
        counts: numbers of removed `records`, of `captions_rewritten` in frame records,
            and of `captions_embedded_before` in feature records.
        entries: the remaining shards, in order.
        sha256: SHA-256 of each shard before the removal → after it.
    """

    directory: Path
    counts: Counter[str]
    entries: tuple[ShardEntry, ...]
    sha256: Mapping[str, str]

    def write_manifest(self) -> None:
        """Writes the manifest and the checksums of the remaining shards."""
        if self.entries:
            old = read_manifest(self.directory)
            write_manifest(self.directory, old["kind"], old["settings"], self.entries)


def remove_from_frames(
    directory: Path,
    corpora: Sequence[Corpus],
    forgotten: Forgotten,
    *,
    dry_run: bool = False,
) -> Removal:
    """Removes people and posts from frame records, without writing their manifest.

    Raises:
        DataError: there are no frame records.
        RecordError: a record is damaged.
    """
    manifest = read_manifest(directory)
    drops = manifest["settings"]["slideshows"] == "drop"
    bad_media, bad_slides = (
        [bad for bad in manifest.get(key, ()) if not forgotten.has(bad["video_id"])]
        for key in ("bad_media", "bad_slides")
    )
    dropped = _find_slideshows(corpora) if drops else frozenset()
    return _remove(
        directory,
        manifest,
        lambda: _FrameRest(forgotten, bad_media, bad_slides, dropped),
        _frame_digests(directory, manifest["settings"], corpora, forgotten),
        dry_run,
    )


def remove_from_features(
    directory: Path,
    corpora: Sequence[Corpus],
    frames: Mapping[str, str],
    forgotten: Forgotten,
    *,
    dry_run: bool = False,
) -> Removal:
    """Removes people and posts from feature records.

    The embedding of a caption that named a removed person is kept, but its shard is
    marked as outdated, so that the next `extract_features` embeds the rewritten
    caption.

    Args:
        directory: directory of feature records.
        corpora: the corpora before the removal.
        frames: SHA-256 of each shard of frames before the removal → after it.
        forgotten: the list of removed people and posts.
        dry_run: whether to only count.
    """
    manifest = read_manifest(directory)
    settings = manifest["settings"]
    rewritten = _find_rewritten(corpora, forgotten) if settings["text"] else frozenset()
    removal = _remove(
        directory,
        manifest,
        lambda: _FeatureRest(forgotten, rewritten),
        {
            feature_digest(made_from, settings): feature_digest(after, settings)
            for before, after in frames.items()
            for made_from in (before, after)
        },
        dry_run,
    )
    if not dry_run:
        removal.write_manifest()
    return removal


@dataclass
class _Rest:
    forgotten: Forgotten
    counts: Counter[str] = field(default_factory=Counter, init=False)
    num_left: int = field(default=0, init=False)

    def keep(self, serialized: bytes, shard: str, index: int) -> bytes | None:
        """Returns a record to keep, possibly rewritten, or None to remove it."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Returns the facts of the shard's entry."""
        return {}

    @property
    def is_stale(self) -> bool:
        """Whether a fresh run would write a different shard."""
        return False

    def _is_removed(self, video_id: str, user_id: str) -> bool:
        goes = bool(self.forgotten.among((video_id, user_id)))
        self.counts["records"] += goes
        self.num_left += not goes
        return goes


@dataclass
class _FrameRest(_Rest):
    """Frame records; `bad_media` and `dropped` explain posts without frames."""

    bad_media: Sequence[Mapping[str, str]]
    bad_slides: Sequence[Mapping[str, str]]
    dropped: Collection[str]
    with_frames: int = field(default=0, init=False)
    frames: int = field(default=0, init=False)
    without: list[str] = field(default_factory=list, init=False)
    kept: set[str] = field(default_factory=set, init=False)

    def keep(self, serialized: bytes, shard: str, index: int) -> bytes | None:
        record = parse_frame_record(serialized, shard=shard, index=index)
        if self._is_removed(record.video_id, record.user_id):
            return None
        self.frames += len(record.jpegs)
        self.with_frames += bool(record.jpegs)
        self.kept.add(record.video_id)
        if not record.jpegs:
            self.without.append(record.video_id)
        caption = self.forgotten.scrub(record.caption)
        if caption == record.caption:
            return serialized
        self.counts["captions_rewritten"] += 1
        return build_frame_record(dataclasses.replace(record, caption=caption))

    def facts(self) -> dict[str, Any]:
        without = set(self.without)
        bad_media = [dict(b) for b in self.bad_media if b["video_id"] in without]
        bad_slides = [dict(b) for b in self.bad_slides if b["video_id"] in self.kept]
        without -= {bad["video_id"] for bad in bad_media}
        num_dropped = len(without.intersection(self.dropped))
        counts = {
            "with_frames": self.with_frames,
            "without_media": len(without) - num_dropped,
            "bad_media": len(bad_media),
            "bad_slides": len(bad_slides),
            "slideshows_dropped": num_dropped,
            "frames": self.frames,
        }
        return {"counts": counts, "bad_media": bad_media, "bad_slides": bad_slides}


@dataclass
class _FeatureRest(_Rest):
    """Feature records; `rewritten` are the posts with a changed caption."""

    rewritten: Collection[str]

    def keep(self, serialized: bytes, shard: str, index: int) -> bytes | None:
        record = parse_feature_record(serialized, shard=shard, index=index)
        if self._is_removed(record.video_id, record.user_id):
            return None
        self.counts[_EMBEDDED_BEFORE] += record.video_id in self.rewritten
        return serialized

    @property
    def is_stale(self) -> bool:
        return self.counts[_EMBEDDED_BEFORE] > 0


def _remove(
    directory: Path,
    manifest: Mapping[str, Any],
    make_rest: Callable[[], _Rest],
    digests: Mapping[str, str],
    dry_run: bool,
) -> Removal:
    """Removes records from every shard; `digests` are those of current shards."""
    counts: Counter[str] = Counter()
    entries, sha256 = [], {}
    for shard in manifest["shards"]:
        path, rest = directory / shard["name"], make_rest()
        num_changed = sum(new is not old for old, new in _iter_kept(path, rest))
        counts += rest.counts
        if dry_run:
            continue
        remove_leftovers(directory, path.name)
        if num_changed:
            kept = (new for _, new in _iter_kept(path, make_rest()))
            records = (record for record in kept if record is not None)
            digest = _new_digest(read_progress(directory, path.name), rest, digests)
            entry = write_shard(
                directory, path.name, digest, records, rest.facts, keeps_manifest=True
            )
        else:
            entry = _keep_entry(path, rest, digests)
        entries.append(entry)
        sha256[shard["sha256"]] = entry.sha256
    return Removal(directory, counts, tuple(entries), sha256)


def _iter_kept(path: Path, rest: _Rest) -> Iterator[tuple[bytes, bytes | None]]:
    for index, serialized in enumerate(iter_serialized(path)):
        yield serialized, rest.keep(serialized, path.name, index)


def _new_digest(
    progress: tuple[str, ShardEntry] | None, rest: _Rest, digests: Mapping[str, str]
) -> str:
    """Returns the digest of a current shard; an invalid one for any other shard."""
    if progress is None or rest.is_stale:
        return _UNKNOWN
    return digests.get(progress[0], _UNKNOWN)


def _keep_entry(path: Path, rest: _Rest, digests: Mapping[str, str]) -> ShardEntry:
    """Returns the entry of an unchanged shard, and updates its progress file."""
    progress, sha256 = read_progress(path.parent, path.name), hash_file(path)
    if progress is not None and progress[1].sha256 == sha256:
        before, entry = progress
        if rest.is_stale or before in digests:
            digest = _new_digest(progress, rest, digests)
            if digest != before:
                write_progress(path.parent, digest, entry)
        return entry
    # A removal was interrupted after this shard, or progress files are outdated.
    size = path.stat().st_size
    entry = ShardEntry(path.name, rest.num_left, sha256, size, rest.facts())
    if progress is not None:
        digest = _new_digest(progress, rest, digests)
        write_progress(path.parent, digest, entry)
    return entry


def _frame_digests(
    directory: Path,
    settings: Mapping[str, Any],
    corpora: Sequence[Corpus],
    forgotten: Forgotten,
) -> dict[str, str]:
    """Returns the digests of the shards of the corpora, before → after."""
    names = (item.name for item in dataclasses.fields(SamplingConfig))
    config = SamplingConfig(**{name: settings[name] for name in names})
    digests: dict[str, str] = {}
    for corpus in corpora:
        remaining = forgotten.filter_videos(corpus.videos)
        if remaining.is_empty():  # a run on no posts is impossible
            continue
        before, after = (
            plan_frame_shards(
                rows_of(Video, videos),
                corpus.media_root,
                directory,
                config,
                settings["num_shards"],
            )
            for videos in (corpus.videos, remaining)
        )
        for old, new in zip(before, after, strict=True):
            digests |= {old.digest: new.digest, new.digest: new.digest}
    return digests


def _find_slideshows(corpora: Sequence[Corpus]) -> frozenset[str]:
    has_media = pl.col("media_path").is_not_null() | (
        pl.col("slide_paths").list.len() > 0
    )
    is_found = pl.col("is_slideshow") & has_media
    return frozenset(v for c in corpora for v in c.videos.filter(is_found)["video_id"])


def _find_rewritten(corpora: Sequence[Corpus], forgotten: Forgotten) -> frozenset[str]:
    return frozenset(
        video_id
        for corpus in corpora
        for video_id, caption in corpus.videos.select("video_id", "caption").iter_rows()
        if forgotten.scrub(caption) != caption
    )
