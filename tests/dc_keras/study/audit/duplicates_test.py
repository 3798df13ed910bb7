import numpy as np
import pytest

from dc_keras.study.audit.duplicates import check_media, check_texts
from dc_keras.study.audit.media_hash import NUM_HASHED, MediaHashes


@pytest.fixture
def hashes(grid):
    """Returns hashes in which only the named posts are alike."""

    def make(*same):
        names = tuple(sorted(grid.video_users))
        bits = np.random.default_rng(0).integers(
            0, 2**63, (len(names), NUM_HASHED), dtype=np.uint64
        )
        for video in same:
            bits[names.index(video)] = bits[names.index(same[0])]
        shape = bits.shape
        return MediaHashes(
            names, bits, np.full((*shape, 3), 9, np.float32), np.ones(shape, bool)
        )

    return make


@pytest.fixture
def cold_user(grid, manifest_of):
    return manifest_of(grid, "cold_user")


def test_posts_that_all_differ_are_no_finding(grid, hashes, cold_user):
    check = check_media("s", grid, hashes(), [cold_user])
    # The three posts of each of 23 users of the panel, and seven that describe.
    assert (check.num_checked, check.findings) == (76, ())


def test_history_with_media_of_a_challenge_leaks(grid, hashes):
    history, described = grid.histories[2][0], grid.support[1][0]
    [finding] = check_media("s", grid, hashes(history, described)).findings
    assert finding.severity == "leak"
    assert finding.what == (
        f"posts {', '.join(sorted((history, described)))} show the same media; "
        "in the history of user02 and among the posts of cat"
    )
    assert finding.where["users"] == ("user02",)
    assert finding.where["challenges"] == ("cat",)


def test_media_of_a_training_and_a_judged_user_leak(grid, hashes, cold_user):
    name, fold = next(iter(cold_user.folds.items()))
    judged = min(fold.hidden_users)
    trains = min(set(grid.users) - fold.hidden_users)
    same = [grid.histories[grid.users.index(user)][0] for user in (judged, trains)]
    [finding] = check_media("s", grid, hashes(*same), [cold_user]).findings
    assert finding.severity == "leak"
    assert name in finding.where["folds"]
    assert finding.where["users"] == tuple(sorted((judged, trains)))
    # Without held-out users, the finding is a warning.
    [finding] = check_media("s", grid, hashes(*same)).findings
    assert finding.severity == "warning"


def test_duplicate_posts_of_one_user_are_a_warning(grid, hashes, cold_user):
    check = check_media("s", grid, hashes(*grid.histories[0][:2]), [cold_user])
    assert [finding.severity for finding in check.findings] == ["warning"]


def test_copies_outside_the_grid_are_ignored(grid, hashes):
    made = hashes(grid.histories[0][0])
    made = MediaHashes(
        (*made.video_ids, "unseen"),
        np.concatenate([made.bits, made.bits[:1]]),
        np.concatenate([made.colours, made.colours[:1]]),
        np.concatenate([made.is_usable, made.is_usable[:1]]),
    )
    assert check_media("s", grid, made).findings == ()


def test_equal_captions_sounds_and_lengths_are_a_warning(
    grid, videos, changed, posts_of
):
    one, other = grid.histories[0][0], grid.support[0][0]
    text = "The very same words, in the very same order"
    copied = {one: {"caption": text}, other: {"caption": f" {text.upper()}"}}
    check = check_texts("s", grid, posts_of(changed(videos, copied)))
    [finding] = check.findings
    assert finding.severity == "warning"
    assert finding.where["videos"] == tuple(sorted((one, other)))
    assert "have the same caption, sound and length" in finding.what


@pytest.mark.parametrize(
    "difference",
    [{"caption": "short"}, {"music_id": "6"}, {"duration_s": 8.0}, {"music_id": None}],
)
def test_partly_equal_posts_are_no_finding(grid, videos, changed, posts_of, difference):
    one, other = grid.histories[0][0], grid.support[0][0]
    text = {"caption": "The very same words, in the very same order"}
    if "caption" in difference:
        text = difference
    posts = posts_of(changed(videos, {one: text, other: {**text, **difference}}))
    assert check_texts("s", grid, posts).findings == ()
