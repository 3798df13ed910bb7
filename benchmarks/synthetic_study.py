"""A synthetic study without media, for benchmarks of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from dc_keras.options import ProtocolOptions, TrainingOptions
from dc_keras.study.participation import Grid

if TYPE_CHECKING:
    from dc_keras.evaluation.experiment import Experiment

_NUM_CHALLENGES, _NUM_SUPPORT, _HISTORY, _CAPTION_DIM = 6, 40, 4, 384
_MODELS = ("deepChallenger", "videos_only", "paper", "simple")
_START, _DAY = 1_600_000_000, 86_400


def make_experiment(
    num_users: int,
    num_challenges: int = _NUM_CHALLENGES,
    num_support: int = _NUM_SUPPORT,
    caption_dim: int = _CAPTION_DIM,
) -> Experiment:
    """Returns an experiment on a world without media, with a short training.

    Users have different propensities; captions are random numbers.

    Args:
        num_users: number of users, each with four posts.
        num_challenges: number of challenges.
        num_support: number of posts that describe each challenge.
        caption_dim: width of the captions.
    """
    from dc_keras.context.post_features import read_facts
    from dc_keras.evaluation.experiment import Experiment
    from dc_keras.features import Features

    rng = np.random.default_rng(0)
    grid = _make_grid(rng, num_users, num_challenges, num_support)
    posts = _make_posts(rng, grid)
    videos = tuple(posts["video_id"])
    captions = rng.standard_normal((len(videos), caption_dim), np.float32)
    return Experiment(
        grid=grid,
        table=Features(videos, {}, captions, {"fingerprint": "made up"}),
        facts=read_facts(posts, grid),
        training=TrainingOptions(epochs=3, epoch_steps=5),
        protocol=ProtocolOptions(num_folds=1),
        models=_MODELS,
    )


def _make_grid(
    rng: np.random.Generator, num_users: int, num_challenges: int, num_support: int
) -> Grid:
    users = tuple(f"user{n:04d}" for n in range(num_users))
    challenges = tuple(f"challenge{c}" for c in range(num_challenges))
    shape = (num_users, num_challenges)
    wish = rng.normal(size=shape[:1])[:, None] + rng.gumbel(size=shape)
    labels = wish > np.quantile(wish, 0.7)
    histories = tuple(tuple(f"{u}-{n}" for n in range(_HISTORY)) for u in users)
    support = tuple(tuple(f"{c}-{n}" for n in range(num_support)) for c in challenges)
    owners = {video: video.split("-")[0] for ids in histories for video in ids}
    owners |= {video: f"outside {video}" for ids in support for video in ids}
    return Grid(
        challenges=challenges,
        users=users,
        labels=labels.astype(np.int8),
        observed=np.ones_like(labels),
        histories=histories,
        support=support,
        video_users=owners,
        settings={
            "name": "made up",
            "history_max": _HISTORY,
            "support_max": num_support,
        },
    )


def _make_posts(rng: np.random.Generator, grid: Grid) -> pl.DataFrame:
    """Returns random facts of the posts: a hashtag, a sound, counts and a time."""
    video_ids = sorted(grid.video_users)
    count = len(video_ids)
    tags = [f"tag{tag}" for tag in rng.integers(0, 20, count)]
    numbers = ("views", "likes", "comments", "shares")
    return pl.DataFrame(
        {
            "video_id": video_ids,
            "caption": [f"#{tag}" for tag in tags],
            "hashtags": [[tag] for tag in tags],
            "music_id": [str(sound) for sound in rng.integers(0, 20, count)],
            "music_title": ["a sound"] * count,
            "create_time": _START + rng.integers(0, 90 * _DAY, count),
            "duration_s": rng.uniform(5, 60, count),
            **{name: rng.integers(0, 10**6, count) for name in numbers},
        }
    )
