"""Compares the real benchmark with its README."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.famous import Famous

_DATA = Path("/work/shared/data/famous")

pytestmark = pytest.mark.skipif(
    not _DATA.is_dir(), reason="shared/data/famous is absent"
)


@pytest.fixture(scope="module")
def famous():
    return Famous(_DATA)


def test_the_grid_has_the_pairs_of_the_readme(famous):
    grid = famous.grid
    assert (len(grid.users), len(grid.challenges)) == (1314, 95)
    assert (grid.observed.sum(), grid.labels.sum()) == (91_028, 2_751)


def test_the_temporal_grid_excludes_users_who_joined_before(famous):
    grid = famous.temporal
    joins = famous.joins.join(famous.videos, on="video_id").group_by(
        "user_id", "challenge"
    )
    first = {
        (user, challenge): min(times)
        for user, challenge, times in joins.agg("create_time").iter_rows()
    }
    cutoffs = np.array(grid.user_cutoffs)
    is_last = cutoffs == cutoffs.max()
    assert grid.labels[is_last].sum() == 383
    assert grid.labels.sum() / grid.observed.sum() == pytest.approx(0.0068, abs=1e-4)
    for row, column in np.argwhere(
        cutoffs[:, None] == np.array(grid.challenge_cutoffs)
    ):
        joined = first.get((grid.users[row], grid.challenges[column]), np.inf)
        assert grid.observed[row, column] == (joined >= cutoffs[row])
