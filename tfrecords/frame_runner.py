"""Writes frame records with several local processes or on a cluster."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from tfrecords.decoding_process import DecodingProcess
from tfrecords.errors import DataError
from tfrecords.frame_records import (
    KIND,
    SourcePost,
    frame_settings,
    library_versions,
    plan_frame_shards,
    write_frame_shard,
)
from tfrecords.frame_sampling import SamplingConfig
from tfrecords.progress import ShardEntry
from tfrecords.shard_runs import (
    WHOLE,
    Part,
    ShardJob,
    ShardRun,
    check_range,
    run_on_cluster,
    run_shards,
)

if TYPE_CHECKING:
    from tfrecords.ray_runner import RayCluster

_POLL_S = 0.2
_MAX_LISTED = 3


def write_frame_records(
    videos: Iterable[SourcePost],
    media_root: Path | None,
    directory: Path,
    config: SamplingConfig,
    *,
    num_shards: int,
    workers: int = 1,
    cluster: RayCluster | None = None,
    part: Part = WHOLE,
    max_bad_media: int = 0,
    overwrite: bool = False,
) -> ShardRun:
    """Writes frame records of all posts, and resumes an interrupted run.

    Each post has a record; records of posts without readable media have no frames.
    Equal input gives equal bytes with any number of workers and machines. A worker
    writes a shard and decodes in a separate process; a cluster replaces the workers.

    Raises:
        DataError: A number is outside its range; the posts or the directory cannot be
            used; or, after everything is written, more media files were unreadable than
            allowed.
    """
    check_range("num_shards", num_shards, 1, 99_999)
    check_range("workers", workers, 1, 1024)
    jobs = plan_frame_shards(videos, media_root, directory, config, num_shards)
    settings = frame_settings(config, num_shards)

    def make(missing: Sequence[ShardJob], bar: Any) -> Iterable[ShardEntry]:
        if cluster is not None:
            write = partial(_write_elsewhere, settings["versions"])
            return run_on_cluster(cluster, write, missing, bar)
        return _write_locally(missing, min(workers, max(1, len(missing))), bar)

    run = run_shards(
        jobs,
        part,
        make,
        directory=directory,
        kind=KIND,
        settings=settings,
        overwrite=overwrite,
    )
    _check_bad_media(run.entries, max_bad_media)
    return run


def _check_bad_media(entries: Iterable[ShardEntry], max_bad_media: int) -> None:
    bad = [bad for entry in entries for bad in entry.facts["bad_media"]]
    if len(bad) <= max_bad_media:
        return
    listed = "; ".join(f"{b['video_id']}: {b['reason']}" for b in bad[:_MAX_LISTED])
    rest = f"; and {len(bad) - _MAX_LISTED} more" if len(bad) > _MAX_LISTED else ""
    raise DataError(
        f"all records are written, but {len(bad)} posts have no frames because their "
        f"media cannot be read ({listed}{rest}; the manifest lists all); allow them "
        f"with --max_bad_media={len(bad)}. Received: max_bad_media={max_bad_media}"
    )


def _write_elsewhere(versions: dict[str, str], job: ShardJob) -> ShardEntry:
    """Writes a shard on another machine, if its library versions are the same."""
    if versions != library_versions():
        raise DataError(
            "each machine must have the same versions of the media libraries: "
            f"{versions}. Received: {library_versions()} on {os.uname().nodename}"
        )
    with DecodingProcess() as process:
        # The cluster reports the progress per shard.
        return write_frame_shard(job, lambda: None, process.sample)


def _write_locally(
    jobs: Sequence[ShardJob], workers: int, bar: Any
) -> list[ShardEntry]:
    is_stopped, counting = threading.Event(), threading.Lock()
    idle: SimpleQueue[DecodingProcess] = SimpleQueue()

    def on_video() -> None:
        if is_stopped.is_set():
            raise _Stopped
        with counting:
            bar.update()

    def make(job: ShardJob) -> ShardEntry:
        process = idle.get()
        try:
            return write_frame_shard(job, on_video, process.sample)
        finally:
            idle.put(process)

    with ExitStack() as stack:
        for _ in range(workers):
            idle.put(stack.enter_context(DecodingProcess()))
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        pending = {pool.submit(make, job) for job in jobs}
        entries = []
        try:
            while pending:
                # Waits with a timeout, so that this thread can handle Ctrl-C.
                done, pending = wait(pending, _POLL_S)
                entries += [future.result() for future in done]
            return entries
        finally:
            # After an error or Ctrl-C, makes the workers abandon their shards.
            is_stopped.set()
            pool.shutdown(cancel_futures=True)


class _Stopped(Exception):  # noqa: N818 - not an error: the run was stopped
    """Makes a worker abandon its shard when the run is stopped."""
