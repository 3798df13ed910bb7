from dataclasses import replace

import pytest

from dc_keras.study.audit.sides import (
    check_cutoffs,
    check_own_posts,
    check_posts,
    row_cutoffs,
    shown_videos,
)
from dc_keras.study.resolution import resolve_grid


def _whats(check):
    return [finding.what for finding in check.findings]


@pytest.fixture
def posts(videos, posts_of):
    return posts_of(videos)


def test_a_sound_grid_has_no_finding(grid, temporal_grid, posts, manifest_of):
    folds = manifest_of(grid, "cold_user").folds
    for check in (
        check_posts("s", grid, posts),
        check_own_posts("s", grid, posts, folds),
        check_own_posts("s", grid, posts, {}),
        check_cutoffs("s", grid, posts),
        check_cutoffs("s", temporal_grid, posts),
    ):
        assert check.not_run is None
        assert check.num_checked > 0
        assert check.findings == ()


def test_shown_videos_are_histories_and_support(grid):
    ids = shown_videos(grid)
    assert len(ids) == 3 * 23 + 3 * 5 + 7
    assert {grid.histories[0][0], grid.support[0][0], grid.pool_histories[0][0]} <= ids


def test_posts_that_the_corpus_lacks_are_named(grid, posts, show_in_history):
    [finding] = check_posts("s", show_in_history(grid, "user02", "9"), posts).findings
    assert (finding.severity, finding.what) == (
        "fault",
        "1 posts are not in the corpus: 9",
    )


def test_posts_of_other_authors_are_named(grid, posts, show_in_history):
    foreign = show_in_history(grid, "user02", "user03-0")
    assert _whats(check_posts("s", foreign, posts)) == [
        "1 posts are in the history of a user who is not their author: user03-0"
    ]
    owners = {**grid.video_users, "user03-0": "user02"}
    assert _whats(check_posts("s", replace(grid, video_users=owners), posts)) == [
        "1 posts have another author in the manifest than in the corpus: user03-0"
    ]


@pytest.mark.parametrize("split", ["cold_user", "random_pair", "cold_challenge"])
def test_an_own_post_of_a_judged_pair_leaks(
    grid, posts, manifest_of, describe_with, split
):
    # user01 joined cat after the cutoff, with user01-3.
    planted = describe_with(grid, "cat", "user01-3")
    folds = manifest_of(grid, split).folds
    findings = check_own_posts("s", planted, posts, folds).findings
    if split == "cold_user":
        # Where user01 is held out, the post is hidden; elsewhere it trains.
        [finding] = findings
        assert finding.severity == "warning"
        assert finding.what == (
            "cat is described by posts of 1 of its training users: user01"
        )
        return
    [finding] = findings
    assert finding.severity == "leak"
    assert "described by the user's own posts user01-3" in finding.what
    assert finding.where["users"] == ("user01",)
    assert finding.where["challenges"] == ("cat",)
    assert finding.where["folds"]
    for name in finding.where["folds"]:
        fold = folds[name]
        position = grid.observed[: grid.users.index("user01")].sum()
        position += grid.observed[grid.users.index("user01"), :1].sum()
        assert position in {*fold.test, *fold.valid}


def test_an_own_post_leaks_where_the_user_is_not_hidden(
    grid, posts, manifest_of, describe_with
):
    folds = manifest_of(grid, "cold_user").folds
    bare = {
        name: replace(fold, hidden_users=frozenset()) for name, fold in folds.items()
    }
    planted = describe_with(grid, "cat", "user01-3")
    [finding] = check_own_posts("s", planted, posts, bare).findings
    assert finding.severity == "leak"
    assert set(finding.where["folds"]) == {
        name for name, fold in folds.items() if "user01" in fold.hidden_users
    }


def test_included_support_leaks_without_manifests(study, videos, posts):
    grid = resolve_grid(study.with_settings(cutoff=None), videos, "included")
    findings = check_own_posts("s", grid, posts, {}).findings
    # Every participation is a leak, because its post describes the challenge.
    assert len(findings) == int(grid.labels.sum())
    assert "a pair of the study" in findings[0].what


def test_authors_are_taken_from_the_corpus(grid, posts, describe_with):
    planted = describe_with(grid, "cat", "user01-3")
    disguised = replace(planted, video_users={**grid.video_users, "user01-3": "nobody"})
    assert len(check_own_posts("s", disguised, posts, {}).findings) == 1


def test_a_post_after_the_cutoff_leaks(grid, posts, show_in_history, describe_with):
    [finding] = check_cutoffs(
        "s", show_in_history(grid, "user01", "user01-3"), posts
    ).findings
    assert finding.severity == "leak"
    assert "1 posts of user01 are not before its cutoff 1600000000" in finding.what
    assert finding.where == {"users": ("user01",), "videos": ("user01-3",)}
    [finding] = check_cutoffs(
        "s", describe_with(grid, "cat", "user01-3"), posts
    ).findings
    assert finding.where["challenges"] == ("cat",)


@pytest.mark.parametrize(
    ("time", "num_findings"), [(1_599_999_999, 0), (1_600_000_000, 1), (None, 1)]
)
def test_posts_at_the_cutoff_or_without_a_date_leak(
    grid, videos, changed, posts_of, time, num_findings
):
    posts = posts_of(changed(videos, {"user01-0": {"create_time": time}}))
    assert len(check_cutoffs("s", grid, posts).findings) == num_findings


def test_histories_of_the_pool_end_before_the_cutoff_too(
    grid, videos, changed, posts_of
):
    late = {grid.pool_histories[0][0]: {"create_time": 1_700_000_000}}
    [finding] = check_cutoffs("s", grid, posts_of(changed(videos, late))).findings
    assert finding.where["users"] == (grid.pool_users[0],)


def test_each_row_has_its_own_cutoff(temporal_grid, posts, show_in_history):
    # Posted two days before the last cutoff: fine there, late a week earlier.
    assert len(set(row_cutoffs(temporal_grid)[0])) == 2
    [finding] = check_cutoffs(
        "s", show_in_history(temporal_grid, "user01", "user01-4"), posts
    ).findings
    assert "cutoff 1599395200" in finding.what


def test_check_without_a_cutoff_is_skipped(study, videos, posts):
    grid = resolve_grid(study.with_settings(cutoff=None), videos, "outside_panel")
    check = check_cutoffs("s", grid, posts)
    assert check.not_run == "the study has no cutoff"
