"""A small corpus without faults, its study, and functions that change its posts."""

from dataclasses import replace

import pytest

from dc_keras.corpus.records import Video
from dc_keras.corpus.store import rows_of, table_of
from dc_keras.options import ProtocolOptions, TrainingOptions
from dc_keras.study.resolution import resolve_grid
from dc_keras.study.split_manifest import make_manifest
from dc_keras.study.study import Study
from dc_keras.study.temporal import resolve_temporal

DAY = 86_400
CUTOFF = 1_600_000_000
_TAGS = ("dancedance", "catcat", "cookcook")
_NUM_USERS = 28


@pytest.fixture(scope="session")
def study():
    """Three challenges: one has a spelling with a space, one a sound."""
    return Study.of(
        {
            "study": {
                "name": "made up",
                "cutoff": CUTOFF,
                "min_participations": 0,
                "pool_fraction": 0.3,
            },
            "challenges": {
                "dance": {"hashtags": ["dance dance"]},
                "cat": {"hashtags": ["catcat"], "sounds": ["77"]},
                "cook": {"hashtags": ["cookcook"]},
            },
        }
    )


def _post(user, number, time, tag=None):
    video_id = f"{user}-{number}"
    return Video(
        video_id=video_id,
        user_id=user,
        source="made_up",
        caption=f"what I did in post {video_id}" + (f" #{tag}" if tag else ""),
        hashtags=(tag,) if tag else (),
        create_time=time,
        music_id="5",
        duration_s=9.0,
    )


def _posts_of(number):
    user = f"user{number:02d}"
    yield from (_post(user, k, CUTOFF - (20 + k) * DAY) for k in range(3))
    # Users join what they like after the cutoff, and the next challenge a week before.
    yield _post(user, 3, CUTOFF + DAY, _TAGS[number % 3])
    yield _post(user, 4, CUTOFF - 2 * DAY, _TAGS[(number + 1) % 3])
    yield _post(user, 5, CUTOFF - 12 * DAY, _TAGS[(number + 2) % 3])


@pytest.fixture(scope="session")
def videos():
    """Every user posts three plain videos and joins challenges, before and after."""
    posts = [post for number in range(_NUM_USERS) for post in _posts_of(number)]
    # Every second user joins two challenges less, so both labels occur.
    lazy = {f"user{number:02d}-{k}" for number in range(0, 28, 2) for k in (3, 4)}
    return table_of(
        Video, sorted((p for p in posts if p.video_id not in lazy), key=_id)
    )


def _id(video):
    return video.video_id


@pytest.fixture(scope="session")
def changed():
    """Returns the table with some posts changed: id → the fields to replace."""

    def change(videos, changes):
        posts = list(rows_of(Video, videos))
        assert changes.keys() <= {post.video_id for post in posts}
        return table_of(
            Video, [replace(p, **changes.get(p.video_id, {})) for p in posts]
        )

    return change


@pytest.fixture(scope="session")
def grid(study, videos):
    return resolve_grid(study, videos, "outside_panel")


@pytest.fixture(scope="session")
def temporal_grid(study, videos):
    return resolve_temporal(study, videos, "outside_panel", horizon_days=7, num_past=1)


@pytest.fixture(scope="session")
def manifest_of(temporal_grid):
    """Returns the manifest of a split of a grid, of two seeds."""

    def make(grid, split):
        if split == "temporal":
            grid = temporal_grid
        return make_manifest(
            grid, split, 2, ProtocolOptions(num_folds=3), TrainingOptions()
        )

    return make


@pytest.fixture(scope="session")
def posts_of():
    """Returns the posts of a table by id."""
    return lambda videos: {v.video_id: v for v in rows_of(Video, videos)}


@pytest.fixture(scope="session")
def show_in_history():
    """Returns a grid in which a user's history has further posts."""

    def put(grid, user, *ids):
        row = grid.users.index(user)
        histories = list(grid.histories)
        histories[row] = (*ids, *histories[row])
        return replace(grid, histories=tuple(histories))

    return put


@pytest.fixture(scope="session")
def describe_with():
    """Returns a grid whose challenge is described by further posts."""

    def put(grid, challenge, *ids):
        column = grid.challenges.index(challenge)
        support = list(grid.support)
        support[column] = (*support[column], *ids)
        return replace(grid, support=tuple(support))

    return put
