"""Worlds without media: simulated and imported ones, and grids of random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.store import Corpus
from dc_keras.simulation.world import World, write_world
from dc_keras.study.participation import Grid
from dc_keras.study.resolution import resolve_study
from dc_keras.study.study import Study

_JOIN_RATE, _LEAST_JOINS = 0.3, 3
_START, _DAY = 1_600_000_000, 86_400
KEY = Pseudonymizer(bytes(32))


def import_world(world: World, directory: Path) -> tuple[Corpus, Grid]:
    """Writes and imports a world; returns its corpus, and its study on this corpus."""
    write_world(world, directory / "world")
    items = str(directory / "world" / "items.ndjson")
    import_files([items], directory / "corpus", pseudonymizer=KEY)
    corpus = Corpus.open(directory / "corpus")
    study = Study.load(directory / "world" / "study.toml")
    return corpus, resolve_study(study, corpus)


def random_grid(
    rng: np.random.Generator,
    num_users: int,
    num_videos: int,
    num_challenges: int,
    num_posts: int,
) -> Grid:
    """Returns random participations, with a random effect per user and challenge.

    All challenges together have `num_videos`, and each user has `num_posts`.
    """
    users = tuple(f"user{n:04d}" for n in range(num_users))
    taste = rng.normal(size=(num_users, 1)) + rng.normal(size=(1, num_challenges))
    wish = taste + rng.gumbel(size=taste.shape)
    labels = wish > np.quantile(wish, 1 - _JOIN_RATE)
    # Each user of the paper's panel has joined at least three challenges.
    labels |= wish >= np.sort(wish, axis=1)[:, -_LEAST_JOINS, None]
    histories = tuple(tuple(f"{user}-{n}" for n in range(num_posts)) for user in users)
    support = tuple(
        tuple(f"challenge{c:02d}-{n}" for n in range(c, num_videos, num_challenges))
        for c in range(num_challenges)
    )
    owners = {video: video.split("-")[0] for ids in histories for video in ids}
    owners |= {video: f"outside {video}" for ids in support for video in ids}
    return Grid(
        challenges=tuple(f"challenge{c:02d}" for c in range(num_challenges)),
        users=users,
        labels=labels.astype(np.int8),
        observed=np.ones_like(labels),
        histories=histories,
        support=support,
        video_users=owners,
        settings={
            "name": "made up",
            "history_max": num_posts,
            "support_max": max(map(len, support)),
        },
    )


def random_posts(rng: np.random.Generator, grid: Grid) -> pl.DataFrame:
    """Returns the facts of each post: two tags, a sound, counts, a time."""
    video_ids = sorted(grid.video_users)
    count = len(video_ids)
    tags = rng.zipf(1.5, (count, 2)) % 1000
    numbers = {
        name: rng.integers(0, 10**6, count)
        for name in ("views", "likes", "comments", "shares")
    }
    return pl.DataFrame(
        {
            "video_id": video_ids,
            "caption": [" ".join(f"#tag{tag}" for tag in pair) for pair in tags],
            "hashtags": [[f"tag{tag}" for tag in pair] for pair in tags],
            "music_id": [str(sound) for sound in rng.zipf(1.5, count) % 1000],
            "music_title": ["a sound"] * count,
            "create_time": _START + rng.integers(0, 90 * _DAY, count),
            "duration_s": rng.uniform(5, 60, count),
            **numbers,
        }
    )
