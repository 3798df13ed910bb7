"""A made-up grid whose labels can be learned, and one real run on it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dc_keras.options import ModelOptions, ProtocolOptions, TrainingOptions

_CHALLENGES = ("dance", "cats", "cooking")
_NUM_USERS = 24
_POOL = ("pool0", "pool1", "pool2", "pool3")


def _tastes():
    return np.arange(_NUM_USERS) % len(_CHALLENGES)


@pytest.fixture(scope="session")
def grid(make_grid):
    """24 users who join the challenges that they like, with one in eight labels flipped."""
    return make_grid(
        _CHALLENGES,
        _tastes(),
        _POOL,
        seed=1,
        exceptions=0.125,
        unseen=([2, 9], [0, 1]),
        history_length=lambda row: 2 + row % 2,
        history_max=3,
        support_max=20,
    )


@pytest.fixture(scope="session")
def table(grid):
    """Features in which a post's topic is easy to see."""
    from dc_keras.features import Features, VisionFeatures

    rng = np.random.default_rng(2)
    topics = dict(zip(grid.users, _tastes(), strict=True))
    topics |= {v: topic for topic, ids in enumerate(grid.support) for v in ids}
    videos = tuple(sorted(grid.video_users))
    signal = np.eye(len(_CHALLENGES))[
        [topics.get(v, topics.get(grid.video_users[v])) for v in videos]
    ]
    frames = rng.normal(scale=0.3, size=(len(videos), 2, 6))
    frames[:, :, :3] += signal[:, None]
    captions = rng.normal(scale=0.3, size=(len(videos), 5))
    captions[:, :3] += signal
    vision = VisionFeatures(
        frames=frames.astype(np.float16),
        mask=np.ones(frames.shape[:2], bool),
        spec={"name": "VGG16", "fingerprint": "v"},
    )
    captions = captions.astype(np.float32)
    return Features(videos, {"VGG16": vision}, captions, {"fingerprint": "t"})


@pytest.fixture(scope="session")
def facts(grid):
    """Posts that name the taste of their author, one per day."""
    from dc_keras.context.post_features import PostFacts, PostInputs

    likes = dict(zip(grid.users, _tastes(), strict=True))
    videos = tuple(sorted(grid.video_users))
    liked = [_CHALLENGES[likes.get(grid.video_users[v], 0)] for v in videos]
    count = len(videos)
    posts = PostInputs(
        np.array([f"{name} so".encode() for name in liked], object),
        np.full(count, b"", object),
        np.full(count, b"", object),
        1_600_000_000 + 86_400 * np.arange(count),
        np.full(count, 10.0, np.float32),
        np.full((count, 4), -1.0, np.float32),
    )
    return PostFacts(videos, tuple((name, "so") for name in liked), posts)


@pytest.fixture(scope="session")
def experiment(grid, table, facts):
    """Small models that are fast to trace."""
    from dc_keras.evaluation.experiment import Experiment

    likes = _tastes()
    return Experiment(
        grid=grid,
        table=table,
        facts=facts,
        model=ModelOptions(
            frame_pooling="mean",
            user_pooling="mean",
            challenge_pooling="mean",
            interaction="dot",
            standardize=False,
            layer_norm=False,
            dropout=0.0,
            hidden_dim=16,
            projection_dim=4,
        ),
        training=TrainingOptions(
            epoch_steps=1,
            decay="none",
            batch_size=64,
            epochs=10,
            patience=0,
            learning_rate=0.05,
            validation_fraction=0.2,
        ),
        protocol=ProtocolOptions(num_folds=2),
        models=("deepChallenger", "proxies", "paper", "simple"),
        truth=np.where(np.eye(len(_CHALLENGES))[likes] == 1, 0.875, 0.125),
    )


@pytest.fixture(scope="session")
def folds_of():
    """Returns the folds that a run must have, by file name."""
    from dc_keras.study.pairs import grid_pairs
    from dc_keras.study.splits import make_folds

    def make(experiment, split, seed=0):
        folds = make_folds(
            experiment.grid,
            grid_pairs(experiment.grid),
            split,
            experiment.protocol.num_folds,
            experiment.training.validation_fraction,
            seed,
        )
        return {f"{split}-seed{seed}-fold{fold.index}": fold for fold in folds}

    return make


@pytest.fixture(scope="session")
def run_first_fold():
    """Stops a run on cold_user as Ctrl-C would, when the second fold begins."""
    from dc_keras.evaluation.fold_runner import run_experiment

    def stop(line):
        if line.startswith("cold_user-seed0-fold1"):
            raise KeyboardInterrupt

    def run(experiment, directory):
        with pytest.raises(KeyboardInterrupt):
            run_experiment(experiment, ["cold_user"], 1, directory, stop)

    return run


@dataclass
class Run:
    """A finished run: its directory, its messages, and the arguments of each fit."""

    directory: Path
    messages: list[str] = field(default_factory=list)
    fits: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def fits_of(self, fold, function):
        """Returns the arguments of a function's calls inside one fold, in order."""
        return [given for f, name, given in self.fits if (f, name) == (fold, function)]


@pytest.fixture(scope="session")
def run(experiment, tmp_path_factory):
    """A run of both splits, one seed and all models, which records each fit."""
    from dc_keras.evaluation.fold_runner import run_experiment
    from dc_keras.training import fold_fitting

    made = Run(tmp_path_factory.mktemp("run"))

    def spy_on(module, name, argument_names):
        real = getattr(module, name)

        def spied(*arguments):
            given = dict(zip(argument_names, arguments, strict=False))
            fold = made.messages[-1].partition(":")[0]
            made.fits.append((fold, name, given))
            return real(*arguments)

        patch.setattr(module, name, spied)

    with pytest.MonkeyPatch.context() as patch:
        spy_on(fold_fitting, "fit_proxy", ("task", "train", "valid"))
        spy_on(fold_fitting, "fit_baseline", ("examples", "train", "valid"))
        spy_on(fold_fitting, "fit_deep_challenger", ("examples", "train", "valid"))
        spy_on(fold_fitting, "fit_context", ("features", "groups"))
        run_experiment(
            experiment,
            ["random_pair", "cold_user"],
            1,
            made.directory,
            made.messages.append,
        )
    return made
