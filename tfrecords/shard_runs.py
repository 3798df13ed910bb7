"""Runs over shards: selects a part, skips completed shards and writes the manifest.

Several runs on one or more machines may share the shards (`Part`); they share only the
directory. The caller decides how and where missing shards are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tqdm import tqdm

from tfrecords.errors import DataError
from tfrecords.progress import ShardEntry, finished_shard, read_progress
from tfrecords.storage.locking import writing
from tfrecords.writer import prepare_directory, write_manifest

if TYPE_CHECKING:
    from tfrecords.ray_runner import RayCluster


class ShardJob(Protocol):
    """A shard to write."""

    @property
    def directory(self) -> Path:
        """Directory of the shard."""

    @property
    def name(self) -> str:
        """File name of the shard."""

    @property
    def digest(self) -> str:
        """Hexadecimal sha256 of everything that determines the shard."""

    @property
    def num_posts(self) -> int:
        """Number of records of the shard."""


AnyJob = TypeVar("AnyJob", bound=ShardJob)


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
        message = f"`{name}` must be from {low} to {high}. Received: {name}={value}"
        raise DataError(message)


def check_part(part: Part, num_shards: int) -> None:
    """Raises a `DataError` for a part that is invalid for this number of shards."""
    check_range("shard_count", part.count, 1, num_shards)
    check_range("shard_index", part.index, 0, part.count - 1)


def run_shards(
    jobs: Sequence[AnyJob],
    part: Part,
    make: Callable[[Sequence[AnyJob], Any], Iterable[ShardEntry]],
    *,
    directory: Path,
    kind: str,
    settings: dict[str, Any],
    overwrite: bool = False,
) -> ShardRun:
    """Writes the shards of a run; the last run to finish also writes the manifest.

    Args:
        jobs: Jobs of all shards, in order.
        part: Part of them that this run writes.
        make: Writes the missing shards; its second argument is a progress bar of posts.
        directory: Output directory.
        kind: "frames" or "features".
        settings: Settings for the manifest.
        overwrite: Whether to replace shards with other settings.

    Raises:
        DataError: The part or the directory cannot be used, another process writes the
            same part, or as `make`.
    """
    check_part(part, len(jobs))
    with writing(directory / f"{kind}-part-{part.index}-of-{part.count}"):
        prepare_directory(directory, kind, len(jobs), settings, overwrite=overwrite)
        return _run(jobs, part, make, directory, kind, settings)


def run_on_cluster(
    cluster: RayCluster,
    write: Callable[[AnyJob], ShardEntry],
    jobs: Sequence[AnyJob],
    bar: Any,
) -> Iterator[ShardEntry]:
    """Yields the entries of shards that a cluster writes, as they are completed.

    Args:
        cluster: Machines with the same files under equal paths.
        write: Writes a shard; picklable.
        jobs: Shards to write.
        bar: Progress bar of posts.

    Raises:
        DataError: As `write`, or the cluster cannot be used.
    """
    for job, entry in cluster.run(write, jobs, "shard"):
        bar.update(job.num_posts)
        yield entry


def _run(
    jobs: Sequence[AnyJob],
    part: Part,
    make: Callable[[Sequence[AnyJob], Any], Iterable[ShardEntry]],
    directory: Path,
    kind: str,
    settings: dict[str, Any],
) -> ShardRun:
    own = jobs[part.index :: part.count]
    done = _find_finished(own)
    num_resumed = len(done)
    missing = [job for job in own if job.name not in done]
    total, to_do = (sum(job.num_posts for job in some) for some in (own, missing))
    # Without a bar where stderr is not a terminal.
    with tqdm(
        total=total, initial=total - to_do, unit="video", desc=kind, disable=None
    ) as bar:
        for entry in make(missing, bar):
            done[entry.name] = entry
    entries = tuple(done[job.name] for job in own)
    others = [job for job in jobs if job.name not in done]
    # The progress files are quick to read; comparing checksums reads all shards.
    if all(_has_progress(job) for job in others):
        done |= _find_finished(others)
    manifest = None
    if len(done) == len(jobs):
        manifest = write_manifest(directory, kind, settings, list(done.values()))
    return ShardRun(entries, num_resumed, manifest)


def _has_progress(job: ShardJob) -> bool:
    progress = read_progress(job.directory, job.name)
    return progress is not None and progress[0] == job.digest


def _find_finished(jobs: Iterable[ShardJob]) -> dict[str, ShardEntry]:
    entries = (finished_shard(job.directory, job.name, job.digest) for job in jobs)
    return {entry.name: entry for entry in entries if entry is not None}
