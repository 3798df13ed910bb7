"""Writes feature records of frame records, shard by shard, with any encoders."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrecords.errors import DataError
from tfrecords.progress import ShardEntry
from tfrecords.reader import iter_frame_records, list_shard_paths
from tfrecords.schema import (
    SCHEMA_VERSION,
    FeatureRecord,
    FrameRecord,
    build_feature_record,
)
from tfrecords.shard_runs import (
    WHOLE,
    Part,
    ShardJob,
    ShardRun,
    run_on_cluster,
    run_shards,
)
from tfrecords.writer import read_manifest, shard_name, write_shard

if TYPE_CHECKING:
    from tfrecords.ray_runner import RayCluster

KIND = "features"
Extract = Callable[[Iterable[FrameRecord]], Iterable[FeatureRecord]]


def write_feature_records(
    records: Path,
    directory: Path,
    extract: Extract,
    settings: dict[str, Any],
    *,
    part: Part = WHOLE,
    cluster: RayCluster | None = None,
    spec: Any = None,
    overwrite: bool = False,
) -> ShardRun:
    """Writes one shard of features for each shard of frames, and the manifest.

    Shards that an earlier run completed from the same frames and settings are skipped.
    `extract` yields the features of each frame record, in order. A cluster needs the
    `spec` of the encoders instead, which is hashable and picklable: its `build()`
    returns encoders with the methods `settings()` and `extract(posts)`.

    Raises:
        DataError: There are no frame records, the directory contains other shards, or
            the encoders of a machine differ from those of the settings.
    """
    jobs = _plan_shards(records, directory, settings)

    def make(missing: Sequence[ShardJob], bar: Any) -> Iterable[ShardEntry]:
        if cluster is None:
            return (_write_shard(job, extract, bar.update) for job in missing)
        write = partial(_write_on_cluster, spec, settings)
        return run_on_cluster(cluster, write, missing, bar)

    return run_shards(
        jobs,
        part,
        make,
        directory=directory,
        kind=KIND,
        settings=settings,
        overwrite=overwrite,
    )


def _plan_shards(
    records: Path, directory: Path, settings: dict[str, Any]
) -> list[ShardJob]:
    shards = read_manifest(records, "frames")["shards"]
    paths = list_shard_paths(records)
    return [
        ShardJob(
            directory=directory,
            name=shard_name(KIND, index, len(shards)),
            num_posts=shard["num_records"],
            digest=feature_digest(shard["sha256"], settings),
            source=path,
        )
        for index, (shard, path) in enumerate(zip(shards, paths, strict=True))
    ]


def _write_shard(
    job: ShardJob, extract: Extract, on_video: Callable[[], object]
) -> ShardEntry:
    """Writes a feature record for each frame record of a shard, `job.source`."""

    def make_records() -> Iterator[bytes]:
        for record in extract(iter_frame_records(job.source)):
            yield build_feature_record(record)
            on_video()

    return write_shard(job.directory, job.name, job.digest, make_records(), dict)


def _write_on_cluster(spec: Any, settings: dict[str, Any], job: ShardJob) -> ShardEntry:
    """Writes a shard on another machine, if its encoders are those of the run."""
    extractor = _build_extractor(spec)
    for name, value in extractor.settings().items():
        if value != settings[name]:
            raise DataError(
                "each machine must have the encoders of the run: "
                f"{name}={settings[name]}. Received: {value} on {os.uname().nodename}"
            )
    # The cluster reports the progress per shard.
    return _write_shard(job, extractor.extract, lambda: None)


@lru_cache(maxsize=1)
def _build_extractor(spec: Any) -> Any:
    # Cached, because a node's process writes many shards and building takes seconds.
    return spec.build()


def feature_digest(frames_sha256: str, settings: dict[str, Any]) -> str:
    """Returns the hexadecimal sha256 of everything that determines a shard."""
    made_from = json.dumps([SCHEMA_VERSION, frames_sha256, settings], sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()
