"""Writing frame records: in this process, in several, or on a cluster."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from dc_keras.corpus.records import Video
from dc_keras.errors import DataError
from tfrecords.decoding_process import DecodingProcess
from tfrecords.frame_records import (
    KIND,
    FrameShardJob,
    frame_settings,
    library_versions,
    plan_frame_shards,
    write_frame_shard,
)
from tfrecords.frame_sampling import SamplingConfig
from tfrecords.progress import ShardEntry
from tfrecords.shard_runs import (
    WHOLE,
    Cluster,
    Part,
    ShardRun,
    check_part,
    check_range,
    run_shards,
)

_POLL_S = 0.2
_NUM_NAMED = 3


def write_frame_records(
    videos: Iterable[Video],
    media_root: Path | None,
    directory: Path,
    config: SamplingConfig,
    *,
    num_shards: int,
    workers: int = 1,
    cluster: Cluster | None = None,
    part: Part = WHOLE,
    max_bad_media: int = 0,
    overwrite: bool = False,
) -> ShardRun:
    """Writes frame records of all posts, going on where an earlier run stopped.

    Every post gets a record; one without media, or with media that cannot be read, has
    no frames. Equal input gives equal bytes with any number of workers and machines.

    Args:
        videos: the posts, in any order.
        media_root: where their media paths begin; None for posts without media.
        directory: where the shards and the manifest go.
        config: how frames are taken.
        num_shards: shards of the whole, at least 1.
        workers: how many shards at a time, at least 1; each of them is decoded in a
            process of its own.
        cluster: takes the place of the workers.
        part: which shards are this run's.
        max_bad_media: how many media files may be unreadable.
        overwrite: whether records of other settings in `directory` are replaced.

    Raises:
        DataError: a number is outside its range; the posts or the directory cannot be
            used; or, after everything is written, more media files than allowed were
            unreadable.
    """
    check_range("num_shards", num_shards, 1, 99_999)
    check_range("workers", workers, 1, 1024)
    check_part(part, num_shards)
    jobs = plan_frame_shards(videos, media_root, directory, config, num_shards)
    settings = frame_settings(config, num_shards)

    def make(missing: Sequence[FrameShardJob], bar: Any) -> list[ShardEntry]:
        if cluster is not None:
            elsewhere = partial(_write_elsewhere, settings["versions"])
            return cluster.run(elsewhere, missing, bar.update)
        return _write_here(missing, min(workers, max(1, len(missing))), bar)

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
    named = "; ".join(f"{b['video_id']}: {b['reason']}" for b in bad[:_NUM_NAMED])
    rest = f"; and {len(bad) - _NUM_NAMED} more" if len(bad) > _NUM_NAMED else ""
    message = (
        f"all records are written, but {len(bad)} posts have no frames because their "
        f"media cannot be read ({named}{rest}; the manifest names each); allow them "
        f"with --max_bad_media={len(bad)}. Received: max_bad_media={max_bad_media}"
    )
    raise DataError(message)


def _write_elsewhere(versions: dict[str, str], job: FrameShardJob) -> ShardEntry:
    """Writes a shard on another machine, if that one decodes and encodes alike."""
    if versions != library_versions():
        raise DataError(
            "every machine must decode and encode by the same versions: "
            f"{versions}. Received: {library_versions()} on {os.uname().nodename}"
        )
    with DecodingProcess() as process:
        return write_frame_shard(job, _ignore, process.sample)


def _ignore() -> None:
    """Progress of a shard elsewhere is told when it is done."""


def _write_here(
    jobs: Sequence[FrameShardJob], workers: int, bar: Any
) -> list[ShardEntry]:
    """Makes shards side by side; each worker has a process that decodes for it."""
    is_stopped, counting = threading.Event(), threading.Lock()
    idle: SimpleQueue[DecodingProcess] = SimpleQueue()

    def on_video() -> None:
        if is_stopped.is_set():
            raise _Stopped
        with counting:
            bar.update()

    def make(job: FrameShardJob) -> ShardEntry:
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
                # Ctrl-C may reach another thread, and this one only when it wakes.
                done, pending = wait(pending, _POLL_S)
                entries += [future.result() for future in done]
            return entries
        finally:
            # Without effect when all went well; else the workers give up their shards.
            is_stopped.set()
            pool.shutdown(cancel_futures=True)


class _Stopped(Exception):  # noqa: N818 - no error: the run was stopped
    """This worker was told to give up its shard."""
