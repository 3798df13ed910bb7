"""Reads posts as a client sends them: captions, and frames of the media."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from absl import flags

from pipelines import app

if TYPE_CHECKING:
    from dc_keras.corpus.records import Video
    from dc_keras.corpus.store import Corpus
    from dc_keras.serving.predictor import RawPost

flags.disclaim_key_flags()

_USERS_A_LOOK, _USERS_A_CALL = 1000, 8


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


def of_users(
    corpus: Corpus,
    histories: Mapping[str, Sequence[str]],
    media_root: str | None,
    sampling: Mapping[str, Any] | None,
) -> Iterator[tuple[list[str], list[list[RawPost]]]]:
    """Yields some users at a time, in order, and the posts of each.

    Args:
        corpus: whose posts they are.
        histories: by user, ids of posts.
        media_root: where the media lie; the one that the corpus names if None.
        sampling: of the model; None for one that sees no frames.
    """
    users = list(histories)
    root = find_media_root(corpus, media_root)
    # A look through the corpus for many, frames of a few at a time.
    for block in _cut(users, _USERS_A_LOOK):
        ids = [video_id for user in block for video_id in histories[user]]
        records = dict(zip(ids, corpus.find_videos(ids), strict=True))
        for some in _cut(block, _USERS_A_CALL):
            yield (
                some,
                [
                    of_videos([records[v] for v in histories[user]], root, sampling)
                    for user in some
                ],
            )


def _cut(users: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(users), size):
        yield users[start : start + size]


def find_media_root(corpus: Corpus, given: str | None) -> Path | None:
    """Returns where the media lie: as given, or as the corpus names it."""
    return Path(given) if given else corpus.media_root


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
    from tfrecords.pictures import MediaError

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


class OnDemand(Sequence["RawPost"]):
    """Posts whose media are read when they are asked for, and then kept.

    Args:
        videos: records of the posts; None gives a post without caption and frames.
        media_root: where their media lie.
        side: of the model that they are for.
    """

    def __init__(
        self,
        videos: Sequence[Video | None],
        media_root: Path | None,
        side: Mapping[str, Any],
    ) -> None:
        self._videos = videos
        self._media_root = media_root
        self._sampling = side["sampling"]
        self._read: dict[int, RawPost] = {}

    def __len__(self) -> int:
        return len(self._videos)

    @overload
    def __getitem__(self, index: int) -> RawPost: ...

    @overload
    def __getitem__(self, index: slice) -> list[RawPost]: ...

    def __getitem__(self, index: int | slice) -> RawPost | list[RawPost]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index not in self._read:
            self._read[index] = self._read_post(self._videos[index])
        return self._read[index]

    def _read_post(self, video: Video | None) -> RawPost:
        from dc_keras.serving.predictor import RawPost

        if video is None:
            return RawPost("")
        [post] = of_videos([video], self._media_root, self._sampling)
        return post


def of_challenge(
    brief: str | None, files: Sequence[str], sampling: Mapping[str, Any] | None
) -> list[RawPost]:
    """Returns posts that describe a challenge, from --brief and --video.

    Args:
        brief: text; with files, the caption of each of them.
        files: video files.
        sampling: of the model's challenge side; None for one that sees no frames.

    Raises:
        DataError: there is neither, a file is no video, or the model sees no frames and
            there is no brief.
    """
    from dc_keras.corpus.records import Video
    from dc_keras.errors import DataError
    from dc_keras.serving.predictor import RawPost
    from tfrecords.frame_records import sample_post
    from tfrecords.frames import SamplingConfig
    from tfrecords.pictures import MediaError

    caption = (brief or "").strip()
    if not caption and (not files or sampling is None):
        raise DataError(
            "a challenge must have a --brief, or a --video if the model sees frames. "
            f"Received: brief={brief}, video={list(files)}"
        )
    if not files or sampling is None:
        return [RawPost(caption)]
    settings = {name: value for name, value in sampling.items() if name != "repeat"}
    posts = []
    for file in files:
        path = Path(file).expanduser()
        video = Video("1", "", "file", caption, media_path=path.name)
        try:
            sampled = sample_post(video, path.parent, SamplingConfig(**settings))
        except MediaError as error:
            raise DataError(
                f"--video must be a video file; {error}. Received: video={file}"
            ) from error
        posts.append(RawPost(caption, sampled.jpegs if sampled else ()))
    return posts
