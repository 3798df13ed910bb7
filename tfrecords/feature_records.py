"""From frame records to feature records, shard by shard, whatever the encoders are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfrecords.errors import DataError
from tfrecords.progress import ShardEntry
from tfrecords.reader import iter_frame_records, list_shard_paths
from tfrecords.schema import (
    SCHEMA_VERSION,
    FeatureRecord,
    FrameRecord,
    build_feature_record,
)
from tfrecords.shard_runs import WHOLE, Cluster, Part, ShardRun, run_shards
from tfrecords.writer import read_manifest, shard_name, write_shard

KIND = "features"


class Features(Protocol):
    """What encoders say about a post; the attributes of `schema.FeatureRecord`."""

    @property
    def frames(self) -> npt.NDArray[np.float16] | None:
        """Frame embeddings, float16 (num_frames, frame_dim)."""

    @property
    def frame_mask(self) -> npt.NDArray[np.bool_] | None:
        """True for a frame of its own, bool (num_frames,)."""

    @property
    def caption(self) -> npt.NDArray[np.float32] | None:
        """The caption embedding, float32 (caption_dim,)."""


Extract = Callable[[Iterable[FrameRecord]], Iterable[tuple[FrameRecord, Features]]]


class Extractor(Protocol):
    """Encoders at work."""

    def settings(self) -> dict[str, Any]:
        """Returns plain values that name the encoders, by fingerprint."""

    def extract(
        self, posts: Iterable[FrameRecord]
    ) -> Iterable[tuple[FrameRecord, Features]]:
        """Yields each frame record with its features, in order."""


class ExtractorSpec(Protocol):
    """Builds the same encoders on any machine; made of plain values."""

    def __hash__(self) -> int: ...

    def build(self) -> Extractor:
        """Returns the encoders, ready to work."""


@dataclass(frozen=True)
class FeatureShardJob:
    """Everything that one shard is made from; it travels to a node.

    Attributes:
        directory: where the shard goes.
        name: its file name.
        frames: the shard of frames.
        num_posts: records in it.
        digest: sha256 hex over the frames' bytes and the settings.
    """

    directory: Path
    name: str
    frames: Path
    num_posts: int
    digest: str


def frame_manifest(records: Path) -> dict[str, Any]:
    """Returns the manifest of a directory of frame records.

    Raises:
        DataError: there is none, or it is of other records.
    """
    manifest = read_manifest(records)
    if manifest["kind"] != "frames":
        message = (
            f"{records} must hold frame records. Received: kind={manifest['kind']!r}"
        )
        raise DataError(message)
    return manifest


def write_feature_records(
    records: Path,
    directory: Path,
    extract: Extract,
    settings: dict[str, Any],
    *,
    part: Part = WHOLE,
    cluster: Cluster | None = None,
    spec: ExtractorSpec | None = None,
    overwrite: bool = False,
) -> ShardRun:
    """Writes one shard of features for each shard of frames, and the manifest.

    A shard that an earlier run finished from the same frames with the same settings is
    left alone.

    Args:
        records: directory of frame records.
        directory: where the feature records go.
        extract: gives each frame record with its features, in order.
        settings: plain values; everything that shapes the features.
        part: which shards are this run's.
        cluster: makes them elsewhere, with the encoders that `spec` builds there in
            place of `extract`.
        spec: goes with `cluster`.
        overwrite: whether records of other settings in `directory` are replaced.

    Raises:
        DataError: there are no frame records, the directory holds other shards, or the
            encoders of a machine are not those of the settings.
    """
    jobs = _plan(records, directory, settings)

    def make(missing: Sequence[FeatureShardJob], bar: Any) -> Iterable[ShardEntry]:
        if cluster is None or spec is None:
            return (write_feature_shard(job, extract, bar.update) for job in missing)
        elsewhere = partial(_write_elsewhere, spec, settings)
        return cluster.run(elsewhere, missing, bar.update)

    return run_shards(
        jobs,
        part,
        make,
        directory=directory,
        kind=KIND,
        settings=settings,
        overwrite=overwrite,
    )


def _plan(
    records: Path, directory: Path, settings: dict[str, Any]
) -> list[FeatureShardJob]:
    shards, paths = frame_manifest(records)["shards"], list_shard_paths(records)
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
    """Makes one shard: a record for every frame record.

    Args:
        job: what to make.
        extract: gives each frame record with its features, in order.
        on_video: called after each post.
    """
    records = _make_records(job.frames, extract, on_video)
    return write_shard(job.directory, job.name, job.digest, records, dict)


def _write_elsewhere(
    spec: ExtractorSpec, settings: dict[str, Any], job: FeatureShardJob
) -> ShardEntry:
    """Makes a shard on another machine, if its encoders are those of the run."""
    extractor = _built(spec)
    for name, value in extractor.settings().items():
        if value != settings[name]:
            raise DataError(
                "every machine must have the encoders of the run, to the byte: "
                f"{name}={settings[name]}. Received: {value} on {os.uname().nodename}"
            )
    return write_feature_shard(job, extractor.extract, _ignore)


@lru_cache(maxsize=1)
def _built(spec: ExtractorSpec) -> Extractor:
    # A node's process makes many shards, and building takes seconds.
    return spec.build()


def _ignore() -> None:
    """Progress of a shard elsewhere is told when it is done."""


def _make_records(
    shard: Path, extract: Extract, on_video: Callable[[], object]
) -> Iterator[bytes]:
    for post, features in extract(iter_frame_records(shard)):
        yield build_feature_record(
            FeatureRecord(
                video_id=post.video_id,
                user_id=post.user_id,
                frames=features.frames,
                frame_mask=features.frame_mask,
                caption=features.caption,
            )
        )
        on_video()


def feature_digest(frames_sha256: str, settings: dict[str, Any]) -> str:
    """Returns the digest of a shard: what names all that it is made from.

    Args:
        frames_sha256: of the shard of frames.
        settings: everything else that shapes the features.
    """
    made_from = json.dumps([SCHEMA_VERSION, frames_sha256, settings], sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()
