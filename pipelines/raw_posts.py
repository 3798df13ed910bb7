"""Reads posts as a client sends them: captions, and frames of the media."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from pipelines import app

if TYPE_CHECKING:
    from dc_keras.corpus.records import Video
    from dc_keras.serving.predictor import RawPost


def define_challenge_flags() -> tuple[
    flags.FlagHolder[str | None], flags.FlagHolder[list[str]]
]:
    """Defines --brief and --video, which describe a challenge that is not there yet."""
    brief = flags.DEFINE_string(
        "brief", None, "Describes a challenge that does not exist yet."
    )
    videos: flags.FlagHolder[list[str]] = flags.DEFINE_multi_string(
        "video", [], "Sample video file of a challenge, up to 20; repeatable."
    )
    return brief, videos


def of_videos(
    videos: Iterable[Video],
    media_root: Path | None,
    sampling: Mapping[str, Any] | None,
) -> list[RawPost]:
    """Returns posts with frames taken as the model's were.

    Args:
        videos: records of the posts.
        media_root: where their media lie.
        sampling: of the model; None for one that sees no frames.
    """
    from dc_keras.serving.predictor import RawPost
    from tfrecords.frame_records import sample_post
    from tfrecords.frames import SamplingConfig
    from tfrecords.media import MediaError

    settings = dict(sampling or {})
    settings.pop("repeat", None)
    posts = []
    for video in videos:
        sampled = None
        if settings:
            try:
                sampled = sample_post(video, media_root, SamplingConfig(**settings))
            except MediaError as error:
                app.progress(f"post {video.video_id} counts without frames: {error}")
        posts.append(RawPost(video.caption, sampled.jpegs if sampled else ()))
    return posts


def of_challenge(
    brief: str | None, files: Sequence[str], sampling: Mapping[str, Any] | None
) -> list[RawPost]:
    """Returns posts that describe a challenge, from --brief and --video.

    Args:
        brief: text; with files, the caption of each of them.
        files: video files.
        sampling: of the model's challenge side; None for one that sees no frames.

    Raises:
        DataError: there is neither, a file is not there, or the model sees no frames
            and there is no brief.
    """
    from dc_keras.corpus.records import Video
    from dc_keras.errors import DataError
    from dc_keras.serving.predictor import RawPost

    if not files:
        if not (brief or "").strip():
            raise DataError(
                f"a challenge must have a --brief or a --video. Received: brief={brief}"
            )
        return [RawPost(str(brief))]
    if sampling is None and not brief:
        raise DataError(
            "a model that sees no frames must be given a --brief. "
            f"Received: video={files[0]}"
        )
    videos = []
    for number, file in enumerate(files, start=1):
        path = Path(file).expanduser().resolve()
        if not path.is_file():
            raise DataError(f"--video must be a file. Received: video={file}")
        video = Video(str(number), "", "file", brief or "", media_path=str(path))
        videos.append(video)
    return of_videos(videos, Path("/"), sampling)
