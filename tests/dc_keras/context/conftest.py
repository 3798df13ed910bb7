"""Small grids with their posts, for context features."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dc_keras.context.context_fitting import ContextData
from dc_keras.context.fold_data import Evidence
from dc_keras.context.post_features import read_facts
from dc_keras.corpus.records import Video
from dc_keras.corpus.store import table_of
from dc_keras.study.participation import Grid
from dc_keras.study.temporal import join_cutoffs

DAY = 86_400


def _videos(prefix, user, posts):
    """Makes a post from its caption or from the fields of its record."""
    fields = [{"caption": post} if isinstance(post, str) else post for post in posts]
    return [
        replace(Video(f"{prefix}-{number:02d}", user, "test"), **changes)
        for number, changes in enumerate(fields)
    ]


@pytest.fixture(scope="session")
def make_study():
    """Makes a grid of users u00, u01, … and challenges c0, c1, …, and its posts.

    `labels` has a row a user and None where there is no pair; `histories` has the posts
    of each user; `support` lists (author, post) of each challenge; `pool` has the posts
    of users who only describe challenges, by name.
    """

    def make(labels, histories=None, support=None, pool=None, **settings):
        users = tuple(f"u{row:02d}" for row in range(len(labels)))
        challenges = tuple(f"c{column}" for column in range(len(labels[0])))
        pool = pool or {}
        shown = [
            _videos(user, user, posts)
            for user, posts in zip(users, histories or [[]] * len(users), strict=True)
        ]
        described = [
            [
                replace(video, user_id=author)
                for video, (author, _) in zip(
                    _videos(name, "", [post for _, post in posts]), posts, strict=True
                )
            ]
            for name, posts in zip(
                challenges, support or [[]] * len(challenges), strict=True
            )
        ]
        pooled = [_videos(user, user, posts) for user, posts in pool.items()]
        videos = [v for part in (*shown, *described, *pooled) for v in part]
        histories, support, pool_histories = (
            tuple(tuple(v.video_id for v in part) for part in parts)
            for parts in (shown, described, pooled)
        )
        grid = Grid(
            challenges=challenges,
            users=users,
            labels=np.array([[cell or 0 for cell in row] for row in labels], np.int8),
            observed=np.array([[c is not None for c in row] for row in labels], bool),
            histories=histories,
            support=support,
            video_users={v.video_id: v.user_id for v in videos},
            pool_users=tuple(pool),
            pool_histories=pool_histories,
            settings={"cutoff": None, **settings},
        )
        return grid, table_of(Video, videos)

    return make


@pytest.fixture(scope="session")
def make_evidence(make_study):
    """Makes the evidence of such a grid."""

    def make(*args, hidden_users=(), **keywords):
        grid, videos = make_study(*args, **keywords)
        facts = read_facts(videos, grid)
        return Evidence.of(grid, facts, hidden_users)

    return make


_WORDS = ("dance", "cats", "sea", "été", "ダンス")
NUM_CHALLENGES = 6
_NUM_POOL = 5


def _random_post(rng):
    """A post some of whose facts are unknown."""
    words = [str(word) for word in rng.choice(_WORDS, 2)]
    facts = {
        "create_time": int(1_600_000_000 + rng.integers(60 * DAY)),
        "duration_s": float(rng.uniform(5, 60)),
        "music_id": str(rng.integers(9)),
        "music_title": str(rng.choice(["original sound", "Blinding Lights"])),
        "views": int(rng.integers(10_000)),
        "likes": int(rng.integers(900)),
        "comments": int(rng.integers(90)),
        "shares": int(rng.integers(90)),
    }
    known = {name: value for name, value in facts.items() if rng.random() < 0.8}
    tags = [f"#{word}" for word in rng.permutation(_WORDS)[: rng.integers(3)]]
    return {"caption": " ".join([*words, *tags]), **known}


@pytest.fixture(scope="session")
def make_world(make_study):
    """Makes a grid, its posts, and the context data of both.

    Some pairs, facts, captions, frames, accounts and whole histories are missing. With
    `cutoffs`, the same users and challenges exist at several.
    """

    def make(num_users=16, seed=0, cutoffs=()):
        rng = np.random.default_rng(seed)
        labels = (rng.random((num_users, NUM_CHALLENGES)) < 0.5).astype(int).tolist()
        labels[3][1] = labels[7][2] = None
        support = [
            [
                (f"p{(column + i) % _NUM_POOL}", _random_post(rng))
                for i in range(1 + column % 2)
            ]
            for column in range(NUM_CHALLENGES)
        ]
        grid, videos = make_study(
            labels,
            histories=[
                [_random_post(rng) for _ in range(row % 4)] for row in range(num_users)
            ],
            support=support,
            pool={f"p{i}": [_random_post(rng)] * 2 for i in range(_NUM_POOL)},
        )
        if cutoffs:
            others = [rng.permuted(grid.labels, axis=0) for _ in cutoffs[1:]]
            grids = [grid, *(replace(grid, labels=found) for found in others)]
            grid = join_cutoffs(grids, list(cutoffs))
        first = [f"{user}-00" for user in grid.users[::2]]
        joins = pl.DataFrame({"video_id": first, "challenge": ["c0"] * len(first)})
        facts = read_facts(videos, grid, joins=joins)
        accounts = {user: rng.integers(999, size=3) * 1.0 for user in grid.users[::2]}
        facts = replace(facts, accounts=accounts)
        captions, frames = (
            rng.normal(size=(len(facts.video_ids), dim)).astype(np.float32)
            for dim in (4, 3)
        )
        captions[::7] = frames[::3] = 0.0
        evidence = Evidence.of(grid, facts)
        return grid, ContextData(evidence, captions, frames, 3, 2)

    return make
