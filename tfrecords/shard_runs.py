"""What every run over shards does: take its part, skip what is done, end in a manifest.

Several runs may share the shards (`Part`), one machine or many; they meet in nothing
but the directory. How a missing shard is made, and where, is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

from dc_keras.errors import DataError
from tfrecords.storage.locking import writing
from tfrecords.progress import ShardEntry, finished_shard, read_progress
from tfrecords.writer import prepare_directory, write_manifest


class ShardJob(Protocol):
    """A shard to be made."""

    @property
    def directory(self) -> Path:
        """Where it goes."""

    @property
    def name(self) -> str:
        """Its file name."""

    @property
    def digest(self) -> str:
        """The sha256, hex, of everything that it is made from."""

    @property
    def num_posts(self) -> int:
        """How many records it will hold."""


AnyJob = TypeVar("AnyJob", bound=ShardJob)


class Cluster(Protocol):
    """Machines that make shards elsewhere; they see the same files under one path."""

    def run(
        self,
        make: Callable[[AnyJob], ShardEntry],
        jobs: Sequence[AnyJob],
        on_done: Callable[[int], object],
    ) -> list[ShardEntry]:
        """Returns what `make` gives for each job, in any order.

        Args:
            make: a function of a module, or a partial of one: it travels.
            jobs: what to make.
            on_done: called with a shard's number of posts when it is made.

        Raises:
            DataError: as `make`; or the cluster cannot be used.
        """


@dataclass(frozen=True)
class Part:
    """The shards of one run among several that share them.

    Attributes:
        index: this run's part, from 0 to `count - 1`: the shards whose number leaves
            this rest when divided by `count`.
        count: how many runs share the shards.
    """

    index: int = 0
    count: int = 1


WHOLE = Part()


@dataclass(frozen=True)
class ShardRun:
    """What a run did.

    Attributes:
        entries: the shards of this run, finished.
        num_resumed: how many of them an earlier run had finished.
        manifest: the manifest; None while shards of other runs are missing.
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
    """Raises a `DataError` for a part that these shards cannot be cut into."""
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
    """Makes a run's shards; the run that finds all of them finished ends the work.

    Args:
        jobs: one for every shard of the whole, in order.
        part: which of them are this run's.
        make: makes the missing ones; its second argument is a progress bar over posts.
        directory: where they go.
        kind: "frames" or "features".
        settings: for the manifest.
        overwrite: whether shards of other settings are replaced.

    Raises:
        DataError: the part or the directory cannot be used, another process makes the
            same part, or as `make`.
    """
    check_part(part, len(jobs))
    with writing(directory / f"{kind}-part-{part.index}-of-{part.count}"):
        prepare_directory(directory, kind, len(jobs), settings, overwrite=overwrite)
        return _run(jobs, part, make, directory, kind, settings)


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
    with tqdm(total=total, initial=total - to_do, unit="video", desc=kind) as bar:
        for entry in make(missing, bar):
            done[entry.name] = entry
    entries = tuple(done[job.name] for job in own)
    others = [job for job in jobs if job.name not in done]
    # Whether all are there costs little to see; whether they are whole, a read of each.
    if all(_is_there(job) for job in others):
        done |= _find_finished(others)
    manifest = None
    if len(done) == len(jobs):
        manifest = write_manifest(directory, kind, settings, list(done.values()))
    return ShardRun(entries, num_resumed, manifest)


def _is_there(job: ShardJob) -> bool:
    progress = read_progress(job.directory, job.name)
    return progress is not None and progress[0] == job.digest


def _find_finished(jobs: Iterable[ShardJob]) -> dict[str, ShardEntry]:
    found = (finished_shard(job.directory, job.name, job.digest) for job in jobs)
    return {entry.name: entry for entry in found if entry is not None}
