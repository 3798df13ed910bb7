import numpy as np
import polars as pl
import pytest

from dc_keras.context.post_features import read_facts
from dc_keras.context.prior_activity import find_past, read_pasts
from dc_keras.study.temporal import join_cutoffs

DAY = 86_400


@pytest.fixture(scope="module")
def grid_and_posts(make_study):
    """Two users at two cutoffs, days 10 and 20, and what they posted."""
    grid, _ = make_study([[1, 0], [0, 1]])
    posts = [
        ("a", "u00", 1),
        ("b", "u00", 4),
        ("c", "u00", 9),
        ("d", "u00", 10),
        ("e", "u00", 15),
        ("f", "u00", None),
        ("g", "u01", 12),
        ("h", "other", 2),
    ]
    schema = {"video_id": pl.String, "user_id": pl.String, "create_time": pl.Int64}
    videos = pl.DataFrame(
        [(v, u, None if day is None else day * DAY) for v, u, day in posts],
        schema=schema,
        orient="row",
    )
    return join_cutoffs([grid, grid], [10 * DAY, 20 * DAY]), videos


def _joins(*rows):
    return pl.DataFrame(
        rows, schema={"video_id": pl.String, "challenge": pl.String}, orient="row"
    )


def test_joins_posts_and_days_before_each_cutoff(grid_and_posts):
    grid, videos = grid_and_posts
    joins = _joins(
        ("b", "c0"), ("c", "c0"), ("d", "c1"), ("f", "c1"), ("a", "gone"), ("h", "c0")
    )
    pasts = read_pasts(videos, joins, [grid])
    # Repeated challenges count once; challenges outside the grid do not count.
    assert {key: row.tolist() for key, row in pasts.items()} == {
        ("u00", 10 * DAY): [1.0, 3.0, 9.0],
        ("u01", 10 * DAY): [0.0, 0.0, 0.0],
        ("u00", 20 * DAY): [2.0, 5.0, 19.0],
        ("u01", 20 * DAY): [0.0, 1.0, 8.0],
    }


def test_join_at_or_after_the_cutoff_does_not_count(grid_and_posts):
    grid, videos = grid_and_posts
    before, after = (
        read_pasts(videos, _joins(("a", "c0"), *later), [grid])
        for later in ([], [("d", "c1"), ("e", "c1")])
    )
    assert before["u00", 10 * DAY].tolist() == after["u00", 10 * DAY].tolist()
    assert before["u00", 20 * DAY].tolist() != after["u00", 20 * DAY].tolist()


def test_grids_without_cutoffs_have_no_past(make_study):
    grid, videos = make_study([[1, 0], [0, 1]], cutoff=10 * DAY)
    assert read_pasts(videos, _joins(), [grid]) == {}
    np.testing.assert_array_equal(find_past({}, grid), np.full((2, 3), np.nan))


def test_digest_of_the_facts_changes_with_the_past(make_study):
    grid, videos = make_study([[1, 0], [0, 1]])
    joined = join_cutoffs([grid], [10 * DAY])
    without, with_joins = (
        read_facts(videos, joined, joins=j) for j in (None, _joins())
    )
    assert without.sha256 != with_joins.sha256
