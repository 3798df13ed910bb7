"""A synthetic study whose users join what they post about, with its features."""

from dataclasses import replace

import numpy as np
import pytest

from dc_keras.options import ModelOptions, TrainingOptions

_CHALLENGES = ("dance", "cats", "cooking")
_NUM_USERS = 36
_POOL = tuple(f"pool{number}" for number in range(6))
_HISTORY_MAX = 4


def _tastes():
    return np.arange(_NUM_USERS) % len(_CHALLENGES)


@pytest.fixture(scope="session")
def grid(make_grid):
    """36 users with one to four posts who join what they like, with a few exceptions."""
    return make_grid(
        _CHALLENGES,
        _tastes(),
        _POOL,
        seed=0,
        exceptions=0.05,
        unseen=([5, 7], [0, 2]),
        history_length=lambda row: 1 + row % _HISTORY_MAX,
        history_max=_HISTORY_MAX,
        support_max=16,
    )


def _signals(grid, videos, rng):
    """Returns topic (challenge or taste of the user) and author of each video."""
    tastes = dict(zip(grid.users, _tastes(), strict=True))
    topics = {v: topic for topic, ids in enumerate(grid.support) for v in ids}
    topics = [topics.get(v, tastes.get(grid.video_users[v])) for v in videos]
    hands = {user: rng.normal(size=4) for user in (*grid.users, *_POOL)}
    hands = np.stack([hands[grid.video_users[v]] for v in videos])
    return np.concatenate([np.eye(len(_CHALLENGES))[topics], hands], axis=1)


@pytest.fixture(scope="session")
def table(grid):
    """Both networks' features and captions, in an order that is not the grid's.

    The last frame of a fifth of the videos repeats the one before it; another fifth has
    no frames at all.
    """
    from dc_keras.features import Features, VisionFeatures

    rng = np.random.default_rng(1)
    videos = tuple(rng.permutation(sorted(grid.video_users)).tolist())
    signals = _signals(grid, videos, rng)
    kinds = np.arange(len(videos)) % 5
    mask = np.ones((len(videos), 3), bool)
    mask[kinds == 1, 2] = False
    mask[kinds == 2] = False

    def vision(name, frame_dim):
        frames = rng.normal(scale=0.3, size=(len(videos), 3, frame_dim))
        frames += signals[:, None, :frame_dim]
        frames[kinds == 1, 2] = frames[kinds == 1, 1]
        frames[kinds == 2] = 0.0
        spec = {"name": name, "fingerprint": f"{name}'s"}
        return VisionFeatures(frames.astype(np.float16), mask, spec)

    captions = signals + rng.normal(scale=0.3, size=signals.shape)
    captions = captions.astype(np.float32)
    networks = {"VGG16": vision("VGG16", 6), "ResNet50": vision("ResNet50", 5)}
    return Features(videos, networks, captions, {"fingerprint": "text's"})


@pytest.fixture(scope="session")
def text_table(table):
    return replace(table, vision={})


@pytest.fixture(scope="session")
def vision_table(table):
    return replace(table, captions=None, caption_spec=None)


@pytest.fixture(scope="session")
def model_options():
    return ModelOptions(
        hidden_dim=8, projection_dim=6, dropout=0.2, modality_dropout=0.1
    )


@pytest.fixture(scope="session")
def training_options():
    return TrainingOptions(
        epoch_steps=1,
        decay="none",
        batch_size=16,
        epochs=20,
        learning_rate=0.02,
        validation_fraction=0.2,
    )


@pytest.fixture(scope="session")
def tiny_examples():
    """Builds examples of four numbers whose label depends on the first two."""
    import tensorflow as tf

    from dc_keras.training.dataset import Examples

    def build(count, seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(count, 4)).astype(np.float32)
        labels = (x[:, 0] + x[:, 1] + rng.normal(size=count) > 0).astype(np.int32)
        weights = rng.choice([0.0, 0.5, 1.0, 2.0], count).astype(np.float32)
        index = {"x": np.arange(count, dtype=np.int32)}
        return Examples({"x": tf.constant(x)}, index, labels, weights)

    return build


@pytest.fixture(scope="session")
def tiny_model():
    """Builds logistic regression, or with hidden units a network with dropout."""
    import keras

    def build(hidden_dim=0):
        inputs = {"x": keras.Input((4,), name="x")}
        x = inputs["x"]
        if hidden_dim:
            x = keras.layers.Dense(hidden_dim, activation="relu", name="dense")(x)
            x = keras.layers.Dropout(0.3, name="dropout")(x)
        x = keras.layers.Dense(1, name="logit")(x)
        x = keras.layers.Reshape((), name="flat_logit")(x)
        x = keras.layers.Activation("sigmoid", name="probability")(x)
        return keras.Model(inputs, x)

    return build


@pytest.fixture(scope="session")
def facts(grid, make_facts):
    return make_facts({video: f"post {video} #fun" for video in grid.video_users})
