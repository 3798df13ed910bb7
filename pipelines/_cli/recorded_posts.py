"""Reads posts as a client sends them out of frame records, where media are gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dc_keras.serving.raw_requests import RawPost


def of_records(directory: Path, video_ids: Sequence[str]) -> list[RawPost]:
    """Returns posts with the frames that were recorded of them.

    All frames of a record are sent, repeats too: a bundle made from records of the same
    sampling then sees what its model was trained on, frame for frame.

    Args:
        directory: of `write_tfrecords`.
        video_ids: the posts, in the order that they are wanted in.

    Raises:
        DataError: a post is in no record, or the directory holds no frame records.
        RecordError: a record is damaged.
    """
    from dc_keras.errors import DataError
    from dc_keras.serving.raw_requests import RawPost
    from tfrecords.reader import iter_frame_records, list_shard_paths

    wanted, found = set(video_ids), {}
    for shard in list_shard_paths(directory):
        for record in iter_frame_records(shard):
            if record.video_id in wanted:
                found[record.video_id] = RawPost(record.caption, record.jpegs)
    missing = sorted(wanted - found.keys())
    if missing:
        raise DataError(
            f"{directory} must hold a record of every post. "
            f"Received: video_id={missing[0]} and {len(missing) - 1} more without one"
        )
    return [found[video_id] for video_id in video_ids]
