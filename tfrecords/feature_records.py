"""From frame records to feature records, shard by shard, whatever the encoders are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from dc_keras.errors import DataError
from tfrecords.reader import iter_frame_records, list_shard_paths
from tfrecords.schema import (
    SCHEMA_VERSION,
    FeatureRecord,
    FrameRecord,
    build_feature_record,
)
from tfrecords.writer import (
    finished_shard,
    prepare_directory,
    read_manifest,
    shard_name,
    write_manifest,
    write_shard,
)

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


@dataclass(frozen=True)
class FeatureRun:
    """What a run did.

    Attributes:
        manifest: the manifest.
        num_resumed: how many shards an earlier run had finished.
    """

    manifest: dict[str, Any]
    num_resumed: int


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
    records: Path, directory: Path, extract: Extract, settings: dict[str, Any]
) -> FeatureRun:
    """Writes one shard of features for each shard of frames, and the manifest.

    A shard that an earlier run finished from the same frames with the same settings is
    left alone.

    Args:
        records: directory of frame records.
        directory: where the feature records go.
        extract: gives each frame record with its features, in order.
        settings: plain values; everything that shapes the features.

    Raises:
        DataError: there are no frame records, or the directory holds other shards.
    """
    manifest = frame_manifest(records)
    shards, paths = manifest["shards"], list_shard_paths(records)
    prepare_directory(directory, KIND, len(shards))
    entries, num_resumed = [], 0
    with tqdm(total=manifest["num_records"], unit="video", desc=KIND) as bar:
        for index, (shard, path) in enumerate(zip(shards, paths, strict=True)):
            name = shard_name(KIND, index, len(shards))
            digest = feature_digest(shard["sha256"], settings)
            entry = finished_shard(directory, name, digest)
            if entry is None:
                made = _make_records(path, extract, bar)
                entry = write_shard(directory, name, digest, made, dict)
            else:
                num_resumed += 1
                # The rate is that of the work done now.
                bar.initial += entry.num_records
                bar.update(entry.num_records)
            entries.append(entry)
    return FeatureRun(write_manifest(directory, KIND, settings, entries), num_resumed)


def _make_records(shard: Path, extract: Extract, bar: Any) -> Iterator[bytes]:
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
        bar.update()


def feature_digest(frames_sha256: str, settings: dict[str, Any]) -> str:
    """Returns the digest of a shard: what names all that it is made from.

    Args:
        frames_sha256: of the shard of frames.
        settings: everything else that shapes the features.
    """
    made_from = json.dumps([SCHEMA_VERSION, frames_sha256, settings], sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()
