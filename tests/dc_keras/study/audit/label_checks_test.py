from dataclasses import replace

import numpy as np
import pytest

from dc_keras.study.audit.label_checks import check_labels
from dc_keras.study.resolution import resolve_grid


def _put(array, row, column, value):
    changed = array.copy()
    changed[row, column] = value
    return changed


def test_sound_labels_have_no_finding(study, grid, temporal_grid, videos):
    whole = resolve_grid(study.with_settings(cutoff=None), videos, "included")
    for sound in (grid, temporal_grid, whole):
        check = check_labels("s", sound, videos)
        assert check.num_checked == sound.observed.sum()
        assert check.findings == ()


@pytest.mark.parametrize("which", ["grid", "temporal_grid"])
@pytest.mark.parametrize(
    ("label", "what"),
    [
        (1, "is labelled joined, but the user has no such post"),
        (0, "is labelled not joined, but the user has such a post"),
    ],
)
def test_wrong_label_is_named(request, videos, which, label, what):
    grid = request.getfixturevalue(which)
    rows, columns = np.nonzero(grid.observed & (grid.labels != label))
    row, column = rows[0], columns[0]
    planted = replace(grid, labels=_put(grid.labels, row, column, label))
    [finding] = check_labels("s", planted, videos).findings
    assert finding.severity == "fault"
    assert finding.what == f"{grid.users[row]} × {grid.challenges[column]} {what}"


def test_pair_joined_before_the_cutoff_is_named(grid, videos):
    row, column = np.argwhere(~grid.observed)[0]
    planted = replace(grid, observed=_put(grid.observed, row, column, True))
    [finding] = check_labels("s", planted, videos).findings
    assert "is a pair, but the user joined before the cutoff" in finding.what


def test_a_pair_that_is_left_out_is_named(grid, videos):
    row, column = np.argwhere(grid.observed & (grid.labels == 0))[0]
    planted = replace(grid, observed=_put(grid.observed, row, column, False))
    [finding] = check_labels("s", planted, videos).findings
    assert finding.severity == "warning"
    assert "1 pairs are left out, although the user did not join" in finding.what
    assert f"{grid.users[row]} × {grid.challenges[column]}" in finding.what


def test_a_pair_of_two_cutoffs_is_named(temporal_grid, videos):
    # The first row is of the earlier cutoff, the last column of the later.
    planted = replace(temporal_grid, observed=_put(temporal_grid.observed, 0, -1, True))
    whats = [f.what for f in check_labels("s", planted, videos).findings]
    assert (
        f"{temporal_grid.users[0]} × cook has a user and a challenge of different cutoffs"
        in whats
    )


def test_a_post_that_came_later_makes_the_label_stale(grid, videos, changed):
    row = grid.users.index("user01")
    assert (grid.labels[row] == [0, 1, 0]).all()
    # The label of cat is now that of dance.
    moved = changed(videos, {"user01-3": {"hashtags": ("dancedance",)}})
    whats = [f.what for f in check_labels("s", grid, moved).findings]
    assert "user01 × cat is labelled joined, but the user has no such post" in whats
