"""Reads posts as a client sends them: captions, and frames of the media.

Media are decoded in another process, so that a file that crashes the decoder costs the
frames of its post and not the answers about all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from dc_keras.errors import DataError
from pipelines._cli import app

if TYPE_CHECKING:
    from dc_keras.corpus.records import Video
    from dc_keras.corpus.store import Corpus
    from dc_keras.serving.predictor import Predictor
    from dc_keras.serving.raw_requests import RawPost, RawUser
    from tfrecords.frame_records import Sampler
    from tfrecords.frame_sampling import SamplingConfig

flags.disclaim_key_flags()

_USERS_A_LOOK, _USERS_A_CALL = 1000, 8


def define_challenge_flags() -> tuple[
    flags.FlagHolder[str | None], flags.FlagHolder[list[str]]
]:
    """Defines --brief and --video, which describe a new challenge."""
    brief = flags.DEFINE_string("brief", None, "Text that describes a new challenge.")
    videos: flags.FlagHolder[list[str]] = flags.DEFINE_multi_string(
        "video", [], "Sample video file of a new challenge; repeatable, up to 20."
    )
    return brief, videos


def define_media_root() -> flags.FlagHolder[str | None]:
    """Defines --media_root."""
    return flags.DEFINE_string(
        "media_root",
        None,
        "Directory of the media. Default: the media root of the corpus.",
    )


def of_users(
    corpus: Corpus,
    histories: Mapping[str, Sequence[str]],
    media_root: str | None,
    predictor: Predictor,
    *,
    shows_bar: bool = True,
) -> Iterator[tuple[list[str], list[RawUser]]]:
    """Yields batches of pseudonyms and raw users, in order of `histories`."""
    from tqdm import tqdm

    from dc_keras.serving.raw_requests import RawUser
    from tfrecords.decoding_process import DecodingProcess

    users, sampling = list(histories), predictor.sampling
    root = find_media_root(corpus, media_root)
    facts = read_facts(corpus, predictor, users)
    is_hidden = None if shows_bar else True
    bar = tqdm(total=len(users), desc="users", unit="user", disable=is_hidden)
    with DecodingProcess() as process, bar:
        # A look through the corpus for many, frames of a few at a time.
        for block in _cut(users, _USERS_A_LOOK):
            ids = [video_id for user in block for video_id in histories[user]]
            records = dict(zip(ids, corpus.find_videos(ids), strict=True))
            for some in _cut(block, _USERS_A_CALL):
                described = []
                for user in some:
                    videos = [records[video_id] for video_id in histories[user]]
                    posts = of_videos(videos, root, sampling, process.sample)
                    described.append(RawUser(posts, **facts[user]))
                yield some, described
                bar.update(len(some))


def without_posts(received: str) -> DataError:
    """Returns the error about users whose posts cannot be used."""
    return DataError(
        "a user must have posts of no focal challenge, before the cutoff if the study "
        f"has one. Received: {received}"
    )


def read_facts(
    corpus: Corpus, predictor: Predictor, users: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Returns the arguments of `RawUser` for facts other than posts, by pseudonym.

    These are followers, likes and posts of the account, -1 if unknown, the challenges
    that the user joined before the study's cutoff, and the cutoff.
    """
    import polars as pl

    from dc_keras.context.post_features import ACCOUNT_COUNTS
    from dc_keras.study.resolution import find_joins

    study = predictor.study
    table = corpus.users.filter(pl.col("user_id").is_in(users))
    numbers = table.select("user_id", *ACCOUNT_COUNTS).fill_null(-1)
    own = corpus.videos.filter(pl.col("user_id").is_in(users))
    if study.cutoff is not None:
        own = own.filter(pl.col("create_time") < study.cutoff)
    joins = find_joins(study, own).join(
        own.select("video_id", "user_id"), on="video_id"
    )
    names = [challenge.name for challenge in study.challenges]
    joined: dict[str, list[str]] = {}
    for user, challenge in joins.select("user_id", "challenge").unique().rows():
        joined.setdefault(user, []).append(names[challenge])
    now = -1 if study.cutoff is None else study.cutoff
    return {
        user: {
            "account": tuple(account),
            "joined": sorted(joined.get(user, [])),
            "now": now,
        }
        for user, *account in numbers.iter_rows()
    }


def _cut(users: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(users), size):
        yield users[start : start + size]


def find_media_root(corpus: Corpus, given: str | None) -> Path | None:
    """Returns the given directory of the media, or else that of the corpus.

    Raises:
        DataError: The given one is no directory.
    """
    if given and not Path(given).is_dir():
        raise DataError(
            f"--media_root must be a directory. Received: media_root={given}"
        )
    return Path(given) if given else corpus.media_root


def of_videos(
    videos: Iterable[Video | None],
    media_root: Path | None,
    sampling: Mapping[str, Any] | None,
    sample: Sampler,
) -> list[RawPost]:
    """Returns posts with frames taken as the model's were.

    A post whose media cannot be read is named on stderr and has no frames.
    """
    from dc_keras.serving.raw_requests import RawPost
    from tfrecords.errors import MediaError
    from tfrecords.frame_records import sample_post

    posts = []
    for video in videos:
        sampled = None
        if sampling and video is not None:
            try:
                sampled = sample_post(video, media_root, _config(sampling), sample)
            except MediaError as error:
                app.progress(f"post {video.video_id} counts without frames: {error}")
        jpegs = sampled.jpegs if sampled else ()
        posts.append(RawPost("") if video is None else _of_video(video, jpegs))
    return posts


class LazyPosts(Sequence["RawPost"]):
    """Posts whose media are read on first access, and then kept."""

    def __init__(
        self,
        videos: Sequence[Video | None],
        read: Callable[[Sequence[Video | None]], list[RawPost]],
    ) -> None:
        self._num_posts = len(videos)
        self._read = cache(lambda index: read(videos[index : index + 1])[0])

    def __len__(self) -> int:
        return self._num_posts

    def __getitem__(self, index: Any) -> Any:
        places = range(self._num_posts)[index]
        if isinstance(places, int):
            return self._read(places)
        return [self._read(place) for place in places]


def _config(sampling: Mapping[str, Any]) -> SamplingConfig:
    from tfrecords.frame_sampling import SamplingConfig

    return SamplingConfig(**{k: v for k, v in sampling.items() if k != "repeat"})


def _of_video(video: Video, jpegs: Sequence[bytes]) -> RawPost:
    from dc_keras.context.post_features import COUNTS
    from dc_keras.serving.raw_requests import RawPost

    counts = [getattr(video, name) for name in COUNTS]
    return RawPost(
        video.caption,
        jpegs,
        sound=video.music_id or "",
        sound_title=video.music_title or "",
        create_time=-1 if video.create_time is None else video.create_time,
        duration=-1.0 if video.duration_s is None else video.duration_s,
        counts=tuple(-1.0 if count is None else float(count) for count in counts),
    )


def of_challenge(
    brief: str | None, files: Sequence[str], config: Mapping[str, Any]
) -> list[RawPost]:
    """Returns posts that describe a challenge, from --brief and --video."""
    from dc_keras.serving.bundle_config import require_challenge_posts
    from dc_keras.serving.raw_requests import RawPost
    from tfrecords.decoding_process import DecodingProcess

    require_challenge_posts(config)
    sampling = config["sides"]["challenge"]["sampling"]
    caption = (brief or "").strip()
    if not caption and (not files or sampling is None):
        raise DataError(
            "a challenge must have a --brief, or a --video if the model uses frames. "
            f"Received: brief={brief}, video={list(files)}"
        )
    if not files or sampling is None:
        return [RawPost(caption)]
    with DecodingProcess() as process:
        jpegs = [_frames_of(file, sampling, process.sample) for file in files]
    return [RawPost(caption, frames) for frames in jpegs]


def _frames_of(
    file: str, sampling: Mapping[str, Any], sample: Sampler
) -> Sequence[bytes]:
    """Returns the frames of a video file, as JPEG; raises as `of_challenge`."""
    from dc_keras.corpus.records import Video
    from tfrecords.errors import MediaError
    from tfrecords.frame_records import sample_post

    path = Path(file).expanduser()
    video = Video("1", "", "file", "", media_path=path.name)
    try:
        sampled = sample_post(video, path.parent, _config(sampling), sample)
    except MediaError as error:
        raise DataError(
            f"--video must be a video file; {error}. Received: video={file}"
        ) from error
    return sampled.jpegs if sampled else ()
