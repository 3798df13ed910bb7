"""From posts to frame records: which shards there are to make, and making one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import av
import cv2

from dc_keras.corpus.media_files import find_file
from dc_keras.corpus.records import Video
from dc_keras.errors import DataError
from tfrecords.frame_sampling import (
    SAMPLING_VERSION,
    SampledFrames,
    SamplingConfig,
    sample_media,
)
from tfrecords.decoded_frames import MediaError
from tfrecords.progress import ShardEntry
from tfrecords.schema import SCHEMA_VERSION, FrameRecord, build_frame_record
from tfrecords.writer import shard_name, shard_of, write_shard

KIND = "frames"


class Sampler(Protocol):
    """`sample_media`, or what does the same in another process."""

    def __call__(
        self, files: Sequence[Path], config: SamplingConfig, *, is_slideshow: bool
    ) -> SampledFrames:
        """See `sample_media`."""


@dataclass(frozen=True)
class FrameShardJob:
    """Everything that one shard is made from; it travels to a worker.

    Attributes:
        directory: where the shard goes.
        name: its file name.
        videos: its posts, by video id.
        media_root: where the media paths begin; None for a corpus without media.
        config: how frames are taken.
        digest: sha256 hex over all of that, the media files' sizes and times included.
    """

    directory: Path
    name: str
    videos: tuple[Video, ...]
    media_root: Path | None
    config: SamplingConfig
    digest: str

    @property
    def num_posts(self) -> int:
        """How many records it will hold."""
        return len(self.videos)


def frame_settings(config: SamplingConfig, num_shards: int) -> dict[str, Any]:
    """Returns the manifest's settings: the config, and what decodes and encodes."""
    versions = library_versions()
    return {**asdict(config), "num_shards": num_shards, "versions": versions}


def library_versions() -> dict[str, str]:
    """Returns the versions of what decodes, scales and encodes here."""
    return {
        "av": av.__version__,
        "opencv": cv2.__version__,
        "pillow": version("pillow"),
        "pi_heif": version("pi_heif"),
        "sampling": SAMPLING_VERSION,
    }


def plan_frame_shards(
    videos: Iterable[Video],
    media_root: Path | None,
    directory: Path,
    config: SamplingConfig,
    num_shards: int,
) -> list[FrameShardJob]:
    """Returns a job for every shard, in order of the shards.

    Raises:
        DataError: there is no post, two have one id, or media paths have no root.
    """
    shards: list[dict[str, Video]] = [{} for _ in range(num_shards)]
    for video in videos:
        shard = shards[shard_of(video.video_id, num_shards)]
        if video.video_id in shard:
            message = (
                "`videos` must hold each post once. "
                f"Received: video_id={video.video_id!r} twice"
            )
            raise DataError(message)
        if media_root is None and _media_paths(video):
            message = (
                f"post {video.video_id} has media, but the corpus names no directory "
                "that it lies in; name it with --media_root. Received: media_root=None"
            )
            raise DataError(message)
        shard[video.video_id] = video
    if not any(shards):
        raise DataError("`videos` must hold at least one post. Received: none")
    settings = frame_settings(config, num_shards)
    jobs = []
    for index, shard in enumerate(shards):
        ordered = tuple(shard[video_id] for video_id in sorted(shard))
        name = shard_name(KIND, index, num_shards)
        digest = _digest(ordered, media_root, settings)
        job = FrameShardJob(directory, name, ordered, media_root, config, digest)
        jobs.append(job)
    return jobs


def write_frame_shard(
    job: FrameShardJob, on_video: Callable[[], None], sample: Sampler = sample_media
) -> ShardEntry:
    """Makes one shard: a record for every post, with or without frames.

    Args:
        job: what to make.
        on_video: called after each post; what it raises stops the work, and nothing of
            the shard is left behind.
        sample: takes the frames of media.
    """
    tally = _Tally()
    records = _make_records(job, tally, on_video, sample)
    return write_shard(job.directory, job.name, job.digest, records, tally)


@dataclass
class _Tally:
    """Counts what became of the posts; called, it gives the facts of the shard."""

    bad_media: list[dict[str, str]] = field(default_factory=list)
    bad_slides: list[dict[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(
        default_factory=lambda: {
            "with_frames": 0,
            "without_media": 0,
            "bad_media": 0,
            "bad_slides": 0,
            "slideshows_dropped": 0,
            "frames": 0,
        }
    )

    def __call__(self) -> dict[str, Any]:
        return {
            "counts": self.counts,
            "bad_media": self.bad_media,
            "bad_slides": self.bad_slides,
        }


def _make_records(
    job: FrameShardJob, tally: _Tally, on_video: Callable[[], None], sample: Sampler
) -> Iterator[bytes]:
    for video in job.videos:
        sampled = _sample(video, job, tally, sample)
        yield build_frame_record(_make_record(video, sampled, job.config))
        on_video()


def _sample(
    video: Video, job: FrameShardJob, tally: _Tally, sample: Sampler
) -> SampledFrames | None:
    """Returns the frames of a post; None, and counted, where it gives none."""
    outcome = "with_frames"
    sampled = None
    try:
        sampled = sample_post(video, job.media_root, job.config, sample)
    except MediaError as error:
        outcome = "bad_media"
        tally.bad_media.append(_bad(video, error))
    else:
        if sampled is not None:
            tally.counts["frames"] += len(sampled.jpegs)
            tally.counts["bad_slides"] += len(sampled.bad_slides)
            tally.bad_slides += [_bad(video, error) for error in sampled.bad_slides]
        elif _media_paths(video) and _is_dropped(video, job.config):
            outcome = "slideshows_dropped"
        else:
            outcome = "without_media"
    tally.counts[outcome] += 1
    return sampled


def _bad(video: Video, error: MediaError) -> dict[str, str]:
    return {"video_id": video.video_id, "reason": str(error)}


def _is_dropped(video: Video, config: SamplingConfig) -> bool:
    return video.is_slideshow and config.slideshows == "drop"


def sample_post(
    video: Video,
    media_root: Path | None,
    config: SamplingConfig,
    sample: Sampler = sample_media,
) -> SampledFrames | None:
    """Samples the frames of a post, from its slides or its video.

    Args:
        video: the post.
        media_root: where its media lie.
        config: how frames are taken.
        sample: takes the frames of media, in this process or in another.

    Returns:
        The frames; None for a post that names no media, or a slideshow that the config
        drops. A slide that is missing or cannot be read is one of `bad_slides`.

    Raises:
        MediaError: its media are missing, damaged or hold no frame.
    """
    paths = _media_paths(video)
    if not paths or media_root is None or _is_dropped(video, config):
        return None
    found = {relative: find_file(media_root, relative) for relative in paths}
    gone = [
        MediaError(relative, "is no file below the media root")
        for relative, file in found.items()
        if file is None
    ]
    files = {file: PurePosixPath(kept).name for kept, file in found.items() if file}
    if not files:
        raise gone[0]
    names = {file.name: kept for file, kept in files.items()}
    try:
        sampled = sample(list(files), config, is_slideshow=bool(video.slide_paths))
    except MediaError as error:
        raise _renamed(error, names) from error
    bad = (_renamed(error, names) for error in sampled.bad_slides)
    return replace(sampled, bad_slides=(*gone, *bad))


def _renamed(error: MediaError, names: Mapping[str, str]) -> MediaError:
    """Returns the error under the name that the corpus keeps, which names nobody."""
    return MediaError(names.get(error.name, error.name), error.reason)


def _media_paths(video: Video) -> tuple[str, ...]:
    """Returns the files of a post: its slides, else its video, else nothing."""
    if video.slide_paths or video.media_path is None:
        return video.slide_paths
    return (video.media_path,)


def _make_record(
    video: Video, sampled: SampledFrames | None, config: SamplingConfig
) -> FrameRecord:
    return FrameRecord(
        video_id=video.video_id,
        user_id=video.user_id,
        caption=video.caption,
        hashtags=video.hashtags,
        create_time=video.create_time,
        duration_us=sampled.duration_us if sampled else 0,
        source_num_frames=sampled.source_num_frames if sampled else 0,
        height=config.image_size,
        width=config.image_size,
        timestamps_us=tuple(sampled.timestamps_us.tolist()) if sampled else (),
        jpegs=tuple(sampled.jpegs) if sampled else (),
    )


def _digest(
    videos: Sequence[Video], media_root: Path | None, settings: dict[str, Any]
) -> str:
    posts = []
    for video in videos:
        paths = _media_paths(video)
        files = [_identify(media_root, path) for path in paths] if media_root else []
        text = [video.caption, video.hashtags, video.create_time, video.is_slideshow]
        posts.append([video.video_id, video.user_id, *text, paths, files])
    made_from = json.dumps([SCHEMA_VERSION, settings, posts], sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()


def _identify(media_root: Path, relative: str) -> list[int] | None:
    """Returns size and time of change, which tell when a file is another one."""
    path = find_file(media_root, relative)
    if path is None:
        return None
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
