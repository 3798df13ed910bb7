"""Plans the shards of frame records of posts, and writes one shard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import av
import cv2

from tfrecords.errors import DataError, MediaError
from tfrecords.frame_sampling import (
    SAMPLING_VERSION,
    SampledFrames,
    SamplingConfig,
    sample_media,
)
from tfrecords.media_paths import find_file
from tfrecords.progress import ShardEntry
from tfrecords.schema import SCHEMA_VERSION, FrameRecord, build_frame_record
from tfrecords.shard_runs import ShardJob
from tfrecords.writer import shard_name, shard_of, write_shard

KIND = "frames"
_COUNTS = (
    *("with_frames", "without_media", "bad_media", "bad_slides"),
    *("slideshows_dropped", "frames"),
)


# `sample_media`, or a function that runs it in another process.
Sampler: TypeAlias = Callable[..., SampledFrames]
# A post with the attributes of a corpus's `Video`: `video_id`, `user_id`, `caption`,
# `hashtags`, `create_time`, `is_slideshow`, `media_path` and `slide_paths`.
SourcePost: TypeAlias = Any


@dataclass(frozen=True)
class FrameSource:
    """What the frame records of a shard are made from."""

    videos: tuple[SourcePost, ...]
    media_root: Path | None
    config: SamplingConfig


def frame_settings(config: SamplingConfig, num_shards: int) -> dict[str, Any]:
    """Returns the settings of the manifest: the config and the library versions."""
    versions = library_versions()
    return {**asdict(config), "num_shards": num_shards, "versions": versions}


def library_versions() -> dict[str, str]:
    """Returns the versions of the libraries that decode, scale and encode frames."""
    return {
        "av": av.__version__,
        "opencv": cv2.__version__,
        "pillow": version("pillow"),
        "pi_heif": version("pi_heif"),
        "sampling": SAMPLING_VERSION,
    }


def plan_frame_shards(
    videos: Iterable[SourcePost],
    media_root: Path | None,
    directory: Path,
    config: SamplingConfig,
    num_shards: int,
) -> list[ShardJob]:
    """Returns a job for each shard, in order of the shards.

    Raises:
        DataError: There is no post, two posts have the same id, or a post has media but
            there is no media root.
    """
    shards: list[dict[str, SourcePost]] = [{} for _ in range(num_shards)]
    for video in videos:
        shard = shards[shard_of(video.video_id, num_shards)]
        if video.video_id in shard:
            raise DataError(
                "`videos` must contain each post once. "
                f"Received: video_id={video.video_id!r} twice"
            )
        if media_root is None and _media_paths(video):
            raise DataError(
                f"post {video.video_id} has media, but the corpus has no media root; "
                "give --media_root. Received: media_root=None"
            )
        shard[video.video_id] = video
    if not any(shards):
        raise DataError("`videos` must contain at least one post. Received: none")
    settings = frame_settings(config, num_shards)
    jobs = []
    for index, shard in enumerate(shards):
        ordered = tuple(shard[video_id] for video_id in sorted(shard))
        name = shard_name(KIND, index, num_shards)
        digest = _digest(ordered, media_root, settings)
        source = FrameSource(ordered, media_root, config)
        jobs.append(ShardJob(directory, name, len(ordered), digest, source))
    return jobs


def write_frame_shard(
    job: ShardJob, on_video: Callable[[], None], sample: Sampler = sample_media
) -> ShardEntry:
    """Writes one shard, with a record for each post, with or without frames.

    An exception of `on_video`, which is called after each post, abandons the shard.
    """
    source: FrameSource = job.source
    facts: dict[str, Any] = {
        "counts": dict.fromkeys(_COUNTS, 0),
        "bad_media": [],
        "bad_slides": [],
    }

    def make_records() -> Iterator[bytes]:
        for video in source.videos:
            sampled = _sample(video, source, facts, sample)
            yield build_frame_record(_make_record(video, sampled, source.config))
            on_video()

    return write_shard(
        job.directory, job.name, job.digest, make_records(), lambda: facts
    )


def _sample(
    video: SourcePost, source: FrameSource, facts: dict[str, Any], sample: Sampler
) -> SampledFrames | None:
    """Returns the frames of a post, or None without frames, and counts the outcome."""
    counts, outcome = facts["counts"], "with_frames"
    sampled = None
    try:
        sampled = sample_post(video, source.media_root, source.config, sample)
    except MediaError as error:
        outcome = "bad_media"
        facts["bad_media"].append(_bad(video, error))
    else:
        if sampled is not None:
            counts["frames"] += len(sampled.jpegs)
            counts["bad_slides"] += len(sampled.bad_slides)
            facts["bad_slides"] += [_bad(video, error) for error in sampled.bad_slides]
        elif _media_paths(video) and _is_dropped(video, source.config):
            outcome = "slideshows_dropped"
        else:
            outcome = "without_media"
    counts[outcome] += 1
    return sampled


def _bad(video: SourcePost, error: MediaError) -> dict[str, str]:
    return {"video_id": video.video_id, "reason": str(error)}


def _is_dropped(video: SourcePost, config: SamplingConfig) -> bool:
    return video.is_slideshow and config.slideshows == "drop"


def sample_post(
    video: SourcePost,
    media_root: Path | None,
    config: SamplingConfig,
    sample: Sampler = sample_media,
) -> SampledFrames | None:
    """Samples the frames of a post, from its slides or its video.

    Returns:
        The frames; None for a post without media and for a slideshow that the config
        drops. Missing and unreadable slides are listed in `bad_slides`.

    Raises:
        MediaError: The media are missing or damaged, or contain no frame.
    """
    paths = _media_paths(video)
    if not paths or media_root is None or _is_dropped(video, config):
        return None
    located = {relative: find_file(media_root, relative) for relative in paths}
    missing = [
        MediaError(relative, "is not a file below the media root")
        for relative, file in located.items()
        if file is None
    ]
    files = {file: PurePosixPath(kept).name for kept, file in located.items() if file}
    if not files:
        raise missing[0]
    names = {file.name: kept for file, kept in files.items()}
    try:
        sampled = sample(list(files), config, is_slideshow=bool(video.slide_paths))
    except MediaError as error:
        raise _rename(error, names) from error
    bad = (_rename(error, names) for error in sampled.bad_slides)
    return replace(sampled, bad_slides=(*missing, *bad))


def _rename(error: MediaError, names: Mapping[str, str]) -> MediaError:
    """Returns the error with the corpus's name of the file, which hides handles."""
    return MediaError(names.get(error.name, error.name), error.reason)


def _media_paths(video: SourcePost) -> tuple[str, ...]:
    """Returns the media files of a post: its slides, or else its video, if any."""
    slides: tuple[str, ...] = video.slide_paths
    return slides if slides or video.media_path is None else (video.media_path,)


def _make_record(
    video: SourcePost, sampled: SampledFrames | None, config: SamplingConfig
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
        timestamps_us=sampled.timestamps_us if sampled else (),
        jpegs=tuple(sampled.jpegs) if sampled else (),
    )


def _digest(
    videos: Sequence[SourcePost], media_root: Path | None, settings: dict[str, Any]
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
    """Returns size and modification time, which detect a changed file."""
    path = find_file(media_root, relative)
    if path is None:
        return None
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
