"""Writes feature records of frame records, shard by shard, with any encoders."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tfrecords.errors import DataError
from tfrecords.progress import ShardEntry
from tfrecords.reader import iter_frame_records, list_shard_paths
from tfrecords.schema import (
    SCHEMA_VERSION,
    FeatureRecord,
    FrameRecord,
    build_feature_record,
)
from tfrecords.shard_runs import WHOLE, Part, ShardRun, run_on_cluster, run_shards
from tfrecords.writer import read_manifest, shard_name, write_shard

if TYPE_CHECKING:
    from tfrecords.ray_runner import RayCluster

KIND = "features"


Extract = Callable[[Iterable[FrameRecord]], Iterable[FeatureRecord]]


class Extractor(Protocol):
    """Encoders of frames and captions."""

    def settings(self) -> dict[str, Any]:
        """Returns JSON values that identify the encoders by their fingerprints."""

    def extract(self, posts: Iterable[FrameRecord]) -> Iterable[FeatureRecord]:
        """Yields the features of each frame record, in order."""


class ExtractorSpec(Protocol):
    """Specification that builds the same encoders on any machine."""

    def __hash__(self) -> int: ...

    def build(self) -> Extractor:
        """Returns the encoders."""


@dataclass(frozen=True)
class FeatureShardJob:
    """Input of one shard, which is sent to a node of a cluster.

    Attributes:
        directory: Directory of the new shard.
        name: File name of the new shard.
        frames: Path of the shard of frames.
        num_posts: Number of records in the shard.
        digest: Hexadecimal sha256 of the bytes of `frames` and the settings.
    """

    directory: Path
    name: str
    frames: Path
    num_posts: int
    digest: str


def write_feature_records(
    records: Path,
    directory: Path,
    extract: Extract,
    settings: dict[str, Any],
    *,
    part: Part = WHOLE,
    cluster: RayCluster | None = None,
    spec: ExtractorSpec | None = None,
    overwrite: bool = False,
) -> ShardRun:
    """Writes one shard of features for each shard of frames, and the manifest.

    Shards that an earlier run completed from the same frames and settings are skipped.

    Args:
        records: Directory of frame records.
        directory: Output directory.
        extract: Yields the features of each frame record, in order.
        settings: JSON values of everything that determines the features.
        part: Part of the shards that this run writes.
        cluster: Cluster that writes the shards, with the encoders of `spec` instead of
            `extract`; None to write them in this process.
        spec: Specification of the encoders, required with `cluster`.
        overwrite: Whether to replace records with other settings in `directory`.

    Raises:
        DataError: There are no frame records, the directory contains other shards, or
            the encoders of a machine differ from those of the settings.
    """
    jobs = _plan_shards(records, directory, settings)

    def make(missing: Sequence[FeatureShardJob], bar: Any) -> Iterable[ShardEntry]:
        if cluster is None or spec is None:
            return (write_feature_shard(job, extract, bar.update) for job in missing)
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
) -> list[FeatureShardJob]:
    shards = read_manifest(records, "frames")["shards"]
    paths = list_shard_paths(records)
    return [
        FeatureShardJob(
            directory=directory,
            name=shard_name(KIND, index, len(shards)),
            frames=path,
            num_posts=shard["num_records"],
            digest=feature_digest(shard["sha256"], settings),
        )
        for index, (shard, path) in enumerate(zip(shards, paths, strict=True))
    ]


def write_feature_shard(
    job: FeatureShardJob, extract: Extract, on_video: Callable[[], object]
) -> ShardEntry:
    """Writes one shard, with a feature record for each frame record.

    Args:
        job: Input of the shard.
        extract: Yields the features of each frame record, in order.
        on_video: Called after each post.
    """
    records = _make_records(job.frames, extract, on_video)
    return write_shard(job.directory, job.name, job.digest, records, dict)


def _write_on_cluster(
    spec: ExtractorSpec, settings: dict[str, Any], job: FeatureShardJob
) -> ShardEntry:
    """Writes a shard on another machine, if its encoders are those of the run."""
    extractor = _build_extractor(spec)
    for name, value in extractor.settings().items():
        if value != settings[name]:
            raise DataError(
                "each machine must have the encoders of the run: "
                f"{name}={settings[name]}. Received: {value} on {os.uname().nodename}"
            )
    return write_feature_shard(job, extractor.extract, _ignore)


@lru_cache(maxsize=1)
def _build_extractor(spec: ExtractorSpec) -> Extractor:
    # Cached, because a node's process writes many shards and building takes seconds.
    return spec.build()


def _ignore() -> None:
    """Does nothing: the cluster reports the progress per shard."""


def _make_records(
    shard: Path, extract: Extract, on_video: Callable[[], object]
) -> Iterator[bytes]:
    for record in extract(iter_frame_records(shard)):
        yield build_feature_record(record)
        on_video()


def feature_digest(frames_sha256: str, settings: dict[str, Any]) -> str:
    """Returns the hexadecimal sha256 of everything that determines a shard.

    Args:
        frames_sha256: Hexadecimal sha256 of the shard of frames.
        settings: Everything else that determines the features.
    """
    made_from = json.dumps([SCHEMA_VERSION, frames_sha256, settings], sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()
