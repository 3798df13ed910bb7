"""Runs over shards: selects a part, skips completed shards and writes the manifest.

Several runs on one or more machines may share the shards (`Part`); they share only the
directory. The caller decides how and where missing shards are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from tfrecords.errors import DataError
from tfrecords.progress import ShardEntry, finished_shard, read_progress
from tfrecords.storage.locking import writing
from tfrecords.writer import prepare_directory, write_manifest

if TYPE_CHECKING:
    from tfrecords.ray_runner import RayCluster


@dataclass(frozen=True)
class ShardJob:
    """A shard to write; it travels to a worker.

    Attributes:
        directory: Directory of the shard.
        name: File name of the shard.
        num_posts: Number of records of the shard.
        digest: Hexadecimal sha256 of everything that determines the shard.
        source: What the records are made from.
    """

    directory: Path
    name: str
    num_posts: int
    digest: str
    source: Any


@dataclass(frozen=True)
class Part:
    """Part of the shards that one of several runs writes.

    Attributes:
        index: Index of the run, from 0 to `count - 1`. It writes the shards whose
            number modulo `count` is `index`.
        count: Number of runs that share the shards.
    """

    index: int = 0
    count: int = 1


WHOLE = Part()


@dataclass(frozen=True)
class ShardRun:
    """Result of a run.

    Attributes:
        entries: Completed shards of this run.
        num_resumed: Number of these that an earlier run had completed.
        manifest: Manifest; None while shards of other runs are missing.
    """

    entries: tuple[ShardEntry, ...]
    num_resumed: int
    manifest: dict[str, Any] | None


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Raises a `DataError` for a number that is not from `low` to `high`."""
    if not low <= value <= high:
        raise DataError(
            f"`{name}` must be from {low} to {high}. Received: {name}={value}"
        )


def run_shards(
    jobs: Sequence[ShardJob],
    part: Part,
    make: Callable[[Sequence[ShardJob], Any], Iterable[ShardEntry]],
    *,
    directory: Path,
    kind: str,
    settings: dict[str, Any],
    overwrite: bool = False,
) -> ShardRun:
    """Writes the shards of a run; the last run to finish also writes the manifest.

    `make` writes the missing shards, and updates a progress bar of posts.

    Raises:
        DataError: The part or the directory cannot be used, another process writes the
            same part, or as `make`.
    """
    check_range("shard_count", part.count, 1, len(jobs))
    check_range("shard_index", part.index, 0, part.count - 1)
    with writing(directory / f"{kind}-part-{part.index}-of-{part.count}"):
        prepare_directory(directory, kind, len(jobs), settings, overwrite=overwrite)
        own = jobs[part.index :: part.count]
        done = _find_finished(own)
        num_resumed = len(done)
        done |= {entry.name: entry for entry in _write_missing(own, done, make, kind)}
        entries = tuple(done[job.name] for job in own)
        others = [job for job in jobs if job.name not in done]
        # The progress files are quick to read; comparing checksums reads all shards.
        if all(_has_progress(job) for job in others):
            done |= _find_finished(others)
        manifest = None
        if len(done) == len(jobs):
            manifest = write_manifest(directory, kind, settings, list(done.values()))
        return ShardRun(entries, num_resumed, manifest)


def _write_missing(
    jobs: Sequence[ShardJob],
    done: Mapping[str, ShardEntry],
    make: Callable[[Sequence[ShardJob], Any], Iterable[ShardEntry]],
    kind: str,
) -> list[ShardEntry]:
    missing = [job for job in jobs if job.name not in done]
    total, to_do = (sum(job.num_posts for job in some) for some in (jobs, missing))
    # Without a bar where stderr is not a terminal.
    with tqdm(
        total=total, initial=total - to_do, unit="video", desc=kind, disable=None
    ) as bar:
        return list(make(missing, bar))


def run_on_cluster(
    cluster: RayCluster,
    write: Callable[[ShardJob], ShardEntry],
    jobs: Sequence[ShardJob],
    bar: Any,
) -> Iterator[ShardEntry]:
    """Yields the entries of shards that a cluster writes, as they are completed.

    Raises:
        DataError: As `write`, or the cluster cannot be used.
    """
    for job, entry in cluster.run(write, jobs, "shard"):
        bar.update(job.num_posts)
        yield entry


def _has_progress(job: ShardJob) -> bool:
    progress = read_progress(job.directory, job.name)
    return progress is not None and progress[0] == job.digest


def _find_finished(jobs: Iterable[ShardJob]) -> dict[str, ShardEntry]:
    entries = (finished_shard(job.directory, job.name, job.digest) for job in jobs)
    return {entry.name: entry for entry in entries if entry is not None}
