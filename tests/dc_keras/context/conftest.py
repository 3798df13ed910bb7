"""Small grids with their posts, as context features see them."""

from dataclasses import replace

import numpy as np
import pytest

from dc_keras.context.evidence import Evidence
from dc_keras.context.facts import read_facts
from dc_keras.corpus.grid import Grid
from dc_keras.corpus.records import Video
from dc_keras.corpus.store import table_of

DAY = 86_400


def _videos(prefix, user, posts):
    """A post is its caption, or the fields of its record."""
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
    """Makes the evidence of such a grid; `captions` are embeddings by video id."""

    def make(*args, captions=None, hidden_users=(), **keywords):
        grid, videos = make_study(*args, **keywords)
        facts = read_facts(videos, grid)
        return Evidence.of(grid, facts, captions, hidden_users)

    return make
