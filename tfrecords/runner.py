"""Writing frame records: in this process, in several, or on a cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2

from dc_keras.corpus.records import Video
from dc_keras.errors import DataError
from tfrecords.frame_records import (
    KIND,
    FrameShardJob,
    frame_settings,
    library_versions,
    plan_frame_shards,
    write_frame_shard,
)
from tfrecords.frames import SamplingConfig
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
# Once may be the machine's fault, such as memory that ran out.
_MOST_CRASHES = 2


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
        workers: processes, at least 1; 1 works in this one.
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
        if workers == 1:
            return [write_frame_shard(job, bar.update) for job in missing]
        return _run_in_processes(missing, min(workers, max(1, len(missing))), bar)

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
    cv2.setNumThreads(1)
    return write_frame_shard(job, _ignore)


def _ignore() -> None:
    """Progress of a shard elsewhere is told when it is done."""


def _run_in_processes(
    jobs: Sequence[FrameShardJob], workers: int, bar: Any
) -> list[ShardEntry]:
    """Makes shards in workers; a post that ends two of them is left without frames."""
    done: dict[str, ShardEntry] = {}
    crashes: Counter[str] = Counter()
    while len(done) < len(jobs):
        crashing = frozenset(post for post, n in crashes.items() if n >= _MOST_CRASHES)
        rest = [replace(j, crashing=crashing) for j in jobs if j.name not in done]
        suspects = _run_pool(rest, workers, bar, done)
        if len(done) < len(jobs) and not suspects:
            raise DataError(
                "a worker process died before it decoded anything; out of memory is "
                "the usual reason: try again with fewer --workers"
            )
        crashes.update(suspects)
    return list(done.values())


def _run_pool(
    jobs: Sequence[FrameShardJob], workers: int, bar: Any, done: dict[str, ShardEntry]
) -> list[str]:
    """Adds finished shards to `done`; returns the posts whose decoding ended a worker.

    One worker that dies ends the others, and their shards are begun anew.
    """
    # Spawned, not forked: TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    num_done, stop = context.Value("q", 0), context.Event()
    with (
        TemporaryDirectory(prefix="dc_keras-") as at_work,
        ProcessPoolExecutor(
            workers,
            context,
            initializer=_start_worker,
            initargs=(num_done, stop, at_work),
        ) as pool,
    ):
        futures = {pool.submit(_write_in_worker, job): job.name for job in jobs}
        processes = multiprocessing.active_children()
        try:
            for future in _follow(futures, num_done, bar):
                done[futures[future]] = future.result()
        except BrokenProcessPool:
            pool.shutdown()
            return _at_work(Path(at_work), processes)
        finally:
            # Without effect when all went well; else the workers give up their shards.
            stop.set()
            pool.shutdown(cancel_futures=True)
    return []


def _at_work(directory: Path, processes: Iterable[BaseProcess]) -> list[str]:
    """Returns what the processes that died of themselves were decoding."""
    ended = {0, -signal.SIGTERM}  # the pool ends the others so
    for process in processes:
        process.join(_POLL_S)
    notes = (directory / str(p.pid) for p in processes if p.exitcode not in ended)
    return [note.read_text() for note in notes if note.exists()]


def _follow(
    futures: Iterable[Future[ShardEntry]], num_done: Any, bar: Any
) -> Iterator[Future[ShardEntry]]:
    shown = 0
    pending = set(futures)
    while pending:
        finished, pending = wait(pending, timeout=_POLL_S)
        bar.update(num_done.value - shown)
        shown = num_done.value
        # What is done counts, even if a worker died in the same moment.
        yield from sorted(finished, key=lambda future: future.exception() is not None)


class _Stopped(Exception):  # noqa: N818 - no error: the run was stopped
    """This worker was told to give up its shard."""


# What a worker shares with the process that started it.
_shared: dict[str, Any] = {}


def _start_worker(num_done: Any, stop: Any, at_work: str) -> None:
    # Ctrl-C reaches every process of the terminal; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    note = Path(at_work) / str(os.getpid())
    _shared.update(num_done=num_done, stop=stop, note=note)


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_in_worker(job: FrameShardJob) -> ShardEntry:
    return write_frame_shard(job, _report_video, _shared["note"].write_text)


def _report_video() -> None:
    if _shared["stop"].is_set():
        raise _Stopped
    with _shared["num_done"].get_lock():
        _shared["num_done"].value += 1
