"""The simulated world: posts with real media files and a known ground truth.

`simulate_world` draws a world. `write_world` writes it to disk as an export of web
items with media, ready to import, together with the ground truth that a real export
never has. All data is synthetic. The parts are `ground_truth` (participation and
joining times), `cast` (accounts, challenges, sounds), `simulated_posts` (the posts),
`wording` and `scenes` (texts and pictures), and `web_items` and `export_formats`
(the files).

A video is a short mp4 file that shows a visual taste.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from tqdm import tqdm

from dc_keras.errors import DataError
from dc_keras.simulation.cast import Cast, Challenge, IdSource, draw_cast
from dc_keras.simulation.export_formats import FILE_NAMES, export_files
from dc_keras.simulation.ground_truth import Truth, WorldConfig, draw_truth
from dc_keras.simulation.scenes import HEIGHT, SCENES, WIDTH, Picture
from dc_keras.simulation.simulated_posts import PostWriter, SimulatedPost
from dc_keras.simulation.web_items import iter_items
from dc_keras.simulation.wording import taste_weights

__all__ = ["World", "WorldConfig", "simulate_world", "write_world"]

_FPS = 12  # frames per second
_NUM_SHOTS = 3
# Size of the picture that a shot pans over, relative to a frame.
_PICTURE_SCALE = 1.25
_FILES = FILE_NAMES | {"README", "media", "study.toml", "truth.json"}
_NOTE = "synthetic: no person, post or sound in this data exists"


def draw_frames(
    look: NDArray[np.float64],
    *,
    num_frames: int,
    rng: np.random.Generator,
) -> Iterator[Picture]:
    """Draws the frames of one video.

    A video has up to three shots of equal length. Each pans over one of `SCENES`, which
    is drawn with the probabilities that the visual taste gives.

    Args:
        look: visual taste, float64 (4,), about unit variance.
        num_frames: number of frames.
        rng: random generator.

    Yields:
        BGR frames, uint8 (HEIGHT, WIDTH, 3), as OpenCV writes them.
    """
    weights = taste_weights(look)
    cuts = np.linspace(0, num_frames, min(_NUM_SHOTS, num_frames) + 1)
    for length in np.diff(np.rint(cuts).astype(int)).tolist():
        paint = SCENES[rng.choice(len(SCENES), p=weights)]
        size = (round(HEIGHT * _PICTURE_SCALE), round(WIDTH * _PICTURE_SCALE))
        picture = np.zeros((*size, 3), np.uint8)
        paint(picture, rng)
        yield from _pan(picture, length, rng)


def _pan(picture: Picture, length: int, rng: np.random.Generator) -> Iterator[Picture]:
    """Yields windows of a picture that move between two random places."""
    room = np.array(picture.shape[:2]) - (HEIGHT, WIDTH)
    start, end = rng.uniform(size=(2, 2)) * room
    for share in np.linspace(0, 1, length):
        top, left = np.rint(start + share * (end - start)).astype(int).tolist()
        yield picture[top : top + HEIGHT, left : left + WIDTH]


def write_video(path: Path, frames: Iterator[Picture]) -> None:
    """Encodes BGR frames, uint8 (height, width, 3), as MPEG-4 in an mp4 file.

    Raises:
        OSError: OpenCV cannot write the file.
    """
    first = next(frames)
    height, width = first.shape[:2]
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), codec, float(_FPS), (width, height))
    if not writer.isOpened():
        raise OSError(f"OpenCV cannot write an mp4 file. Received: path={path}")
    writer.write(first)
    for frame in frames:
        writer.write(frame)
    writer.release()


@dataclass(frozen=True, eq=False)
class World:
    """A simulated world; its posts are in order of time, oldest first."""

    config: WorldConfig
    truth: Truth
    cast: Cast
    posts: tuple[SimulatedPost, ...]

    @property
    def prevalence(self) -> float:
        """Share of the (user, challenge) pairs that joined, in [0, 1]."""
        return float(self.truth.joined.mean())

    def bayes_average_precision(self) -> float:
        """Returns the average precision of the true probabilities over all pairs.

        No score has a higher expectation over the draws of the labels, whatever
        features a model uses. In a single draw, a score may be higher by chance.
        """
        if not self.truth.joined.any():
            return 0.0
        return float(
            average_precision_score(
                self.truth.joined.ravel(), self.truth.probabilities.ravel()
            )
        )


def simulate_world(config: WorldConfig) -> World:
    """Draws a world in memory; equal parameters give equal worlds."""
    # One random stream per stage, so that changing a stage does not affect the others.
    for_truth, for_ids, for_cast, for_posts = np.random.default_rng(config.seed).spawn(
        4
    )
    truth = draw_truth(config, for_truth)
    ids = IdSource(for_ids)
    cast = draw_cast(config, truth, ids, for_cast)
    posts = PostWriter(config, truth, cast, ids, for_posts).write()
    return World(config, truth, cast, posts)


def write_world(
    world: World, directory: Path, workers: int = 2, *, format_name: str = "web_item"
) -> None:
    """Writes a world as an export with media, a study and the ground truth.

    The directory gets `items.ndjson` (one web item per line, oldest first; or the files
    of another format), `media/<video id>.mp4`, `study.toml` (all challenges),
    `truth.json` (true probabilities, participations, communities, friends, parameters;
    raw ids) and `README`. The world is written to a temporary directory, which is
    renamed when complete; an existing world is replaced. Equal worlds give equal bytes,
    with any number of workers.

    Args:
        world: the world to write.
        directory: the directory to write to.
        workers: number of threads that draw and encode videos, at least 1.
        format_name: one of `export_formats.FORMATS`.

    Raises:
        DataError: the directory contains anything that is not part of a world.
    """
    directory = directory.resolve()
    _check_replaceable(directory)
    partial = directory.with_name(f".{directory.name}.partial")
    # Left behind by an interrupted run.
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "media").mkdir(parents=True)
    _write_media(world, partial / "media", workers)
    _write_texts(world, partial, format_name)
    if directory.exists():
        shutil.rmtree(directory)
    partial.rename(directory)


def _check_replaceable(directory: Path) -> None:
    if not directory.exists():
        return
    found = sorted(path.name for path in directory.iterdir())
    foreign = [name for name in found if name not in _FILES]
    if found and (foreign or "truth.json" not in found):
        raise DataError(
            "`directory` must be new or empty, or contain another world. Received: "
            f"directory={directory}, which contains {(foreign or found)[0]}"
        )


def _write_media(world: World, directory: Path, workers: int) -> None:
    posts = [post for post in world.posts if post.has_media]
    # OpenCV releases the interpreter lock while encoding, so threads are sufficient.
    with ThreadPoolExecutor(workers) as pool:
        written = pool.map(lambda post: _write_post(post, directory), posts)
        for _ in tqdm(written, "media", len(posts), unit="video", disable=None):
            pass


def _write_post(post: SimulatedPost, directory: Path) -> None:
    frames = draw_frames(
        np.array(post.look),
        num_frames=max(round(post.duration_s * _FPS), 1),
        rng=np.random.default_rng(int(post.video_id)),
    )
    write_video(directory / f"{post.video_id}.mp4", frames)


def _write_texts(world: World, directory: Path, format_name: str) -> None:
    items = iter_items(world.posts, world.cast.accounts)
    for name, content in export_files(list(items), format_name).items():
        (directory / name).write_text(content, encoding="utf-8", newline="")
    truth = json.dumps(_describe_truth(world), ensure_ascii=False, indent=1)
    for name, text in {
        "truth.json": truth,
        "study.toml": _format_study(world.cast.challenges),
        "README": f"A simulated world, {_NOTE}.",
    }.items():
        (directory / name).write_text(f"{text}\n", encoding="utf-8", newline="\n")


def _describe_truth(world: World) -> dict[str, Any]:
    truth = world.truth
    return {
        "note": _NOTE,
        "synthetic": True,
        "config": asdict(world.config),
        "prevalence": world.prevalence,
        "bayes_average_precision": world.bayes_average_precision(),
        "users": [account.user_id for account in world.cast.accounts],
        "challenges": [challenge.name for challenge in world.cast.challenges],
        "communities": truth.communities.tolist(),
        "probabilities": truth.probabilities.tolist(),
        "participations": truth.joined.astype(int).tolist(),
        "friends": np.argwhere(np.triu(truth.friends)).tolist(),
    }


def _format_study(challenges: tuple[Challenge, ...]) -> str:
    lines = [
        f"# {_NOTE.capitalize()}.",
        "[study]",
        'name = "simulated"',
        "history_max = 8",
        "history_min = 1",
        "min_participations = 1",
        "pool_fraction = 0.25",
    ]
    for challenge in challenges:
        hashtags = ", ".join(f'"{tag}"' for tag in challenge.hashtags)
        lines += [
            "",
            f"[challenges.{challenge.name}]",
            f"hashtags = [{hashtags}]",
            f'sounds = ["{challenge.sound.music_id}"]',
        ]
    return "\n".join(lines)
