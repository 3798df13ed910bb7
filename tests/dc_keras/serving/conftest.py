"""Bundles of a tiny deepChallenger with tiny encoders, and their posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from dc_keras.options import ContextOptions
    from dc_keras.serving.predictor import Predictor

_CHALLENGES = ("dance", "cats")
_NUM_USERS = 12
_SIZE = 32
_NUM_FRAMES = 3
_HISTORY_MAX = 3


@dataclass(frozen=True)
class Served:
    """A bundle and the model that it was made from.

    Attributes:
        model_directory: of `train_participation`.
        place: the bundle's version.
        histories: raw posts of each user, newest first, without facts.
        users: the same users, with all facts.
        probability: float32 (num_users, num_challenges), by the fitted model on cached
            features and the facts of the corpus.
    """

    model_directory: Path
    place: Path
    histories: tuple
    users: tuple
    probability: np.ndarray

    @property
    def predictor(self) -> Predictor:
        """The loaded bundle."""
        return _load(self.place)


@lru_cache(maxsize=2)  # the first call of each signature takes a second
def _load(place: Path) -> Predictor:
    from dc_keras.serving.predictor import Predictor

    return Predictor.load(place)


@pytest.fixture(scope="package", autouse=True)
def _frees_the_last_bundle():
    yield
    _load.cache_clear()


@dataclass(frozen=True)
class _Post:
    video_id: str
    caption: str
    jpegs: tuple[bytes, ...]
    user_id: str = "u"


def _make_post(number, video_id):
    """Of four posts, one has no frames, one a single frame, two all frames."""
    import cv2

    rng = np.random.default_rng(number)
    frames = tuple(
        cv2.imencode(".jpg", rng.integers(0, 255, (_SIZE, _SIZE, 3), np.uint8))[
            1
        ].tobytes()
        for _ in range((0, 1, _NUM_FRAMES, _NUM_FRAMES)[number % 4])
    )
    caption = f"post {number} #{_CHALLENGES[number % 2]}!"
    return _Post(video_id, caption, frames)


@pytest.fixture(scope="session")
def make_served(make_grid, make_facts, tmp_path_factory):
    """Trains for an epoch on what the encoders see, and exports; weights are random.

    Takes the names of vision networks and the handle of a text encoder, or neither,
    context options or a baseline of the paper, the share of labels that are flipped,
    and more attributes of the spec.
    """
    from dc_keras.options import (
        ContextOptions,
        ModelOptions,
        ProtocolOptions,
        TrainingOptions,
    )
    from dc_keras.serving.bundle import export_bundle
    from dc_keras.serving.raw_requests import RawPost
    from dc_keras.training.fold import FoldData
    from dc_keras.training.recipe import Recipe
    from dc_keras.training.train_model import TrainingRun, train_participation

    def make(
        vision: Sequence[str],
        text: str | None,
        context: ContextOptions | None = None,
        baseline: str | None = None,
        exceptions: float = 0.0,
        **changes: object,
    ) -> Served:
        grid = make_grid(
            _CHALLENGES,
            np.arange(_NUM_USERS) % len(_CHALLENGES),
            ("pool0", "pool1"),
            seed=0,
            exceptions=exceptions,
            unseen=([], []),
            history_length=lambda row: 1 + row % _HISTORY_MAX,
            history_max=_HISTORY_MAX,
            support_max=8,
        )
        marks = {name: {"hashtags": [name], "sounds": []} for name in _CHALLENGES}
        grid = replace(grid, settings={**grid.settings, "challenges": marks})
        posts = [_make_post(n, v) for n, v in enumerate(sorted(grid.video_users))]
        by_id = {p.video_id: RawPost(p.caption, p.jpegs) for p in posts}
        # Of some users the account is known.
        accounts = {
            u: np.array([10.0 * n, np.nan, 5.0]) for n, u in enumerate(grid.users)
        }
        accounts.pop(grid.users[1])
        facts = make_facts({p.video_id: p.caption for p in posts}, accounts)
        training = TrainingOptions(
            batch_size=16,
            epochs=1,
            epoch_steps=1,
            decay="none",
            validation_fraction=0.2,
        )
        model = ModelOptions(hidden_dim=8, projection_dim=6)
        table = _extract(posts, vision, text, changes)
        run = TrainingRun(
            FoldData.without_test(grid, table, facts, 0.2, training.seed),
            Recipe.of(model, training, context or ContextOptions(), baseline),
            ProtocolOptions(),
            tmp_path_factory.mktemp("served") / "model",
        )
        fitted = train_participation(run)
        return Served(
            model_directory=run.directory,
            place=export_bundle(run.directory, run.directory.parent / "export"),
            histories=tuple(
                tuple(by_id[video] for video in history) for history in grid.histories
            ),
            users=tuple(_with_facts(grid, facts, by_id)),
            probability=_score_everybody(fitted),
        )

    return make


@pytest.fixture(scope="session")
def served(make_served, tiny_preset):
    return make_served(["tiny_frames"], f"keras_nlp:{tiny_preset}")


@pytest.fixture(scope="session")
def served_text(make_served, tiny_preset):
    """A bundle without a vision network."""
    return make_served([], f"keras_nlp:{tiny_preset}")


@pytest.fixture(scope="session")
def served_videos(make_served):
    """A bundle of videos only, without context."""
    from dc_keras.options import ContextOptions

    context = ContextOptions(context="none")
    return make_served(["tiny_frames"], "tiny_texts", context)


@pytest.fixture(scope="session")
def served_context(make_served):
    """A bundle of context only, without a fusion of videos."""
    from dc_keras.options import ContextOptions

    context = ContextOptions(videos=False)
    return make_served(["tiny_frames"], "tiny_texts", context)


@pytest.fixture(scope="session")
def served_vision(make_served):
    return make_served(["tiny_frames"], None)


def _extract(posts, networks, handle, changes):
    """Returns the features of posts, as of several extractions."""
    from dc_keras.encoders.extraction import ExtractionConfig, FeatureExtractor
    from dc_keras.encoders.registry import import_encoders
    from dc_keras.encoders.text import TextSpec, build_text_encoder
    from dc_keras.encoders.vision import VisionSpec, build_vision_encoder
    from dc_keras.features import Features, VisionFeatures

    import_encoders(["tiny_encoders"])
    text = None
    if handle:
        cleaning = {"hashtags": "mask_focal", "focal_hashtags": _CHALLENGES}
        text = build_text_encoder(TextSpec(handle, **cleaning, **changes))
    # Frame records repeat the frames of a short post over all slots.
    recorded = [
        replace(p, jpegs=p.jpegs * _NUM_FRAMES) if len(p.jpegs) == 1 else p
        for p in posts
    ]

    def extract(vision, text):
        extractor = FeatureExtractor(vision, text, ExtractionConfig(_NUM_FRAMES, _SIZE))
        return list(extractor.extract(recorded))

    seen = {}
    for name in networks:
        spec = VisionSpec(name, weights="random", image_size=_SIZE)
        vision = build_vision_encoder(spec)
        features = extract(vision, None)
        seen[name] = VisionFeatures(
            np.stack([f.frames for f in features]),
            np.stack([f.frame_mask for f in features]),
            vision.settings(),
            {
                "num_frames": _NUM_FRAMES,
                "image_size": _SIZE,
                "fps": 0,
                "repeat": "nearest",
            },
        )
    return Features(
        tuple(post.video_id for post in posts),
        seen,
        np.stack([f.caption for f in extract(None, text)]) if text else None,
        text.settings() if text else None,
    )


def _with_facts(grid, facts, by_id):
    """Returns the users of a grid as raw users."""
    from dc_keras.serving.raw_requests import RawUser

    def post(video):
        row = facts.row_of[video]
        _, sound, title, time, duration, counts = (c[row] for c in facts.posts)
        return replace(
            by_id[video],
            sound=sound.decode(),
            sound_title=title.decode(),
            create_time=int(time),
            duration=float(duration),
            counts=tuple(counts.tolist()),
        )

    for user, history in zip(grid.users, grid.histories, strict=True):
        account = np.nan_to_num(facts.accounts.get(user, np.full(3, np.nan)), nan=-1)
        yield RawUser(tuple(post(v) for v in history), tuple(account.tolist()))


def _score_everybody(fitted):
    num_users, num_challenges = len(fitted.users), len(fitted.challenges)
    user, challenge = np.divmod(np.arange(num_users * num_challenges), num_challenges)
    found = fitted.model.predict(fitted.users, fitted.challenges, user, challenge)
    return found.reshape(num_users, num_challenges)
