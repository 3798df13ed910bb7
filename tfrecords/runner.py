"""Running the shard jobs: in this process or in several, to be stopped at any time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from dc_keras.corpus.records import Video
from dc_keras.errors import DataError
from tfrecords.frame_records import (
    KIND,
    FrameShardJob,
    frame_settings,
    plan_frame_shards,
    write_frame_shard,
)
from tfrecords.frames import SamplingConfig
from tfrecords.writer import (
    ShardEntry,
    finished_shard,
    prepare_directory,
    write_manifest,
)

_POLL_S = 0.2
_NUM_NAMED = 3


@dataclass(frozen=True)
class FrameRun:
    """What a run did.

    Attributes:
        entries: the shards of this run, finished.
        num_resumed: how many of them an earlier run had finished.
        manifest: the manifest; None while shards of other runs are missing.
    """

    entries: tuple[ShardEntry, ...]
    num_resumed: int
    manifest: dict[str, Any] | None


def write_frame_records(
    videos: Iterable[Video],
    media_root: Path | None,
    directory: Path,
    config: SamplingConfig,
    *,
    num_shards: int,
    workers: int = 1,
    shard_index: int = 0,
    shard_count: int = 1,
    max_bad_media: int = 0,
) -> FrameRun:
    """Writes frame records of all posts, going on where an earlier run stopped.

    Every post gets a record; one without media, or with media that cannot be read, has
    no frames. Equal input gives equal bytes with any number of workers.

    Args:
        videos: the posts, in any order.
        media_root: where their media paths begin; None for posts without media.
        directory: where the shards and the manifest go.
        config: how frames are taken.
        num_shards: shards of the whole, at least 1.
        workers: processes, at least 1; 1 works in this one.
        shard_index: this run's part, from 0 to `shard_count - 1`: it makes the shards
            whose number leaves this rest when divided by `shard_count`.
        shard_count: how many runs share the work. The one that finds all shards
            finished writes the manifest.
        max_bad_media: how many media files may be unreadable.

    Raises:
        DataError: a number is outside its range; the posts or the directory cannot be
            used; or, after everything is written, more media files than allowed were
            unreadable.
    """
    _check_range("num_shards", num_shards, 1, 99_999)
    _check_range("workers", workers, 1, 1024)
    _check_range("shard_count", shard_count, 1, num_shards)
    _check_range("shard_index", shard_index, 0, shard_count - 1)
    jobs = plan_frame_shards(videos, media_root, directory, config, num_shards)
    prepare_directory(directory, KIND, num_shards)
    own = jobs[shard_index::shard_count]
    done = _find_finished(own)
    missing = [job for job in own if job.name not in done]
    resumed = len(done)
    for entry in _run(missing, workers, sum(len(job.videos) for job in own)):
        done[entry.name] = entry
    run = FrameRun(
        entries=tuple(done[job.name] for job in own),
        num_resumed=resumed,
        manifest=_finish(jobs, done, directory, frame_settings(config, num_shards)),
    )
    _check_bad_media(run.entries, max_bad_media)
    return run


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        message = f"`{name}` must be from {low} to {high}. Received: {name}={value}"
        raise DataError(message)


def _find_finished(jobs: Iterable[FrameShardJob]) -> dict[str, ShardEntry]:
    found = (finished_shard(job.directory, job.name, job.digest) for job in jobs)
    return {entry.name: entry for entry in found if entry is not None}


def _finish(
    jobs: Sequence[FrameShardJob],
    done: dict[str, ShardEntry],
    directory: Path,
    settings: dict[str, Any],
) -> dict[str, Any] | None:
    others = _find_finished(job for job in jobs if job.name not in done)
    entries = [*done.values(), *others.values()]
    if len(entries) < len(jobs):
        return None
    return write_manifest(directory, KIND, settings, entries)


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


def _run(
    jobs: Sequence[FrameShardJob], workers: int, num_videos: int
) -> list[ShardEntry]:
    """Makes the shards and shows how far they are, at what rate, for how long."""
    to_do = sum(len(job.videos) for job in jobs)
    with tqdm(
        total=num_videos, initial=num_videos - to_do, unit="video", desc="frames"
    ) as bar:
        if workers == 1:
            return [write_frame_shard(job, bar.update) for job in jobs]
        return _run_in_processes(jobs, min(workers, max(1, len(jobs))), bar)


def _run_in_processes(
    jobs: Sequence[FrameShardJob], workers: int, bar: Any
) -> list[ShardEntry]:
    # Spawned, not forked: TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    num_done, stop = context.Value("q", 0), context.Event()
    with ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(num_done, stop)
    ) as pool:
        futures = [pool.submit(_write_in_worker, job) for job in jobs]
        try:
            return _follow(futures, num_done, bar)
        except BrokenProcessPool as error:
            message = (
                "a worker process died, out of memory or by a media file that crashes "
                "the decoder; try again with --workers=1"
            )
            raise DataError(message) from error
        finally:
            # Without effect when all went well; else the workers give up their shards.
            stop.set()
            pool.shutdown(cancel_futures=True)


def _follow(
    futures: Sequence[Future[ShardEntry]], num_done: Any, bar: Any
) -> list[ShardEntry]:
    shown = 0
    pending = set(futures)
    while pending:
        finished, pending = wait(pending, timeout=_POLL_S)
        bar.update(num_done.value - shown)
        shown = num_done.value
        for future in finished:
            future.result()
    return [future.result() for future in futures]


class _Stopped(Exception):  # noqa: N818 - no error: the run was stopped
    """This worker was told to give up its shard."""


# What a worker shares with the process that started it.
_shared: dict[str, Any] = {}


def _start_worker(num_done: Any, stop: Any) -> None:
    # Ctrl-C reaches every process of the terminal; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _shared.update(num_done=num_done, stop=stop)


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_in_worker(job: FrameShardJob) -> ShardEntry:
    return write_frame_shard(job, _report_video)


def _report_video() -> None:
    if _shared["stop"].is_set():
        raise _Stopped
    with _shared["num_done"].get_lock():
        _shared["num_done"].value += 1
