import numpy as np
import pytest

from dc_keras.signals.timing import (
    NAMES,
    challenge_ages,
    paced_overlap,
    recent_supporters,
    time_overlap,
    user_ages,
)

_DAY = 86_400


def _at(*days):
    return [{} if day is None else {"create_time": day * _DAY} for day in days]


def _by(*days):
    return [("p", post) for post in _at(*days)]


@pytest.fixture
def overlap(make_evidence):
    def of(histories, support):
        labels = np.eye(max(2, len(histories)), len(support), dtype=int).tolist()
        histories = [*histories, *[[]] * (len(labels) - len(histories))]
        return time_overlap(
            make_evidence(
                labels,
                histories=[_at(*days) for days in histories],
                support=[_by(*days) for days in support],
            )
        )

    return of


def test_overlap_by_hand(overlap):
    values = overlap([[115, 135], [300], [100, 90, 80, 200]], [[110, 120, 130, 140]])
    found = np.stack([values[name][:, 0] for name in NAMES], axis=1)
    # The upper median is 130, the 5th and 95th percentiles 111.5 and 138.5; with three
    # days more, the window is 108.5 to 141.5.
    expected = [
        # 120 and 130 lie between; 5 and −15 days from 130; 130 and 140 within 14 days.
        [2 / 4, np.log(3), 5 / 30, -15 / 30, 1, np.log(3)],
        # 170 days are cut to four months.
        [0, 0, 4, 4, 0, 0],
        # All four lie between; 70 and −50 days.
        [1, np.log(5), 70 / 30, -50 / 30, 0, 0],
    ]
    np.testing.assert_allclose(found, expected)


def test_ends_are_included(overlap):
    values = overlap([[110, 120]], [[110, 120, 134]])
    assert values["support_in_span"][0, 0] == pytest.approx(2 / 3)
    # 120 ± 14 takes in 110, 120 and 134.
    assert values["log_support_near_last_post"][0, 0] == pytest.approx(np.log(4))


@pytest.mark.parametrize("days", [[], [None], [None, None]])
def test_where_dates_are_missing_everything_is_zero(overlap, days):
    values = overlap([[115], days], [[110, 120], days])
    assert set(values) == set(NAMES)
    for of_pairs in values.values():
        assert of_pairs.shape == (2, 2)
        assert not of_pairs[1].any()
        assert not of_pairs[:, 1].any()


def test_a_missing_date_is_as_no_post(overlap):
    some = overlap([[115, None, 135]], [[110, None, 120, 130, 140]])
    all_known = overlap([[115, 135]], [[110, 120, 130, 140]])
    for name in NAMES:
        np.testing.assert_array_equal(some[name], all_known[name])


def test_nobody_with_a_post_is_no_crash(overlap):
    assert not np.stack([*overlap([[], []], [[], [], []]).values()]).any()


def test_recent_supporters_are_of_the_14_days_before_the_cutoff(make_evidence):
    evidence = make_evidence(
        [[1, 0, 0]],
        support=[_by(10, 31, 44), _by(30, None), []],
        cutoff=45 * _DAY,
    )
    # From day 31 on, that day included.
    assert recent_supporters(evidence, 14).tolist() == [2.0, 0.0, 0.0]


def test_without_a_cutoff_the_last_post_of_all_ends_the_days(make_evidence):
    evidence = make_evidence([[1, 0, 0]], support=[_by(10, 26), _by(30, 40), _by(20)])
    assert recent_supporters(evidence, 14).tolist() == [1.0, 2.0, 0.0]


@pytest.mark.parametrize("days", [(), (None,)])
def test_without_a_date_nobody_is_recent(make_evidence, days):
    evidence = make_evidence([[1, 0]], support=[_by(*days)] * 2)
    assert recent_supporters(evidence, 14).tolist() == [0.0, 0.0]


def test_ages_are_days_to_the_cutoff(make_evidence):
    evidence = make_evidence(
        [[1, 0, 0], [0, 1, 0]],
        histories=[_at(44, 35), _at(None)],
        support=[_by(10, 31, 42), _by(45, None), []],
        cutoff=45 * _DAY,
    )
    challenges, users = challenge_ages(evidence), user_ages(evidence)
    assert np.expm1(challenges["age"]) == pytest.approx([35, 0, np.nan], nan_ok=True)
    assert np.expm1(challenges["silence"]) == pytest.approx([3, 0, np.nan], nan_ok=True)
    assert np.expm1(users["age"]) == pytest.approx([10, np.nan], nan_ok=True)
    assert np.expm1(users["silence"]) == pytest.approx([1, np.nan], nan_ok=True)


def test_a_post_after_the_last_support_post_is_no_day_old(make_evidence):
    # Without a cutoff, day 40 ends the days.
    evidence = make_evidence([[1], [0]], histories=[_at(50), []], support=[_by(10, 40)])
    assert user_ages(evidence)["silence"][0] == 0.0


def test_a_pace_of_posting_reaches_back_further_than_the_history(make_evidence):
    # Two posts four days apart: three posts reach 12 days back, seven 28.
    evidence = make_evidence(
        [[1], [0]],
        histories=[_at(100, 96), [""]],
        support=[_by(70, 75, 95, 102, 120)],
    )
    found = paced_overlap(evidence)
    known = {name: values[0, 0] for name, values in found.items()}
    assert known["support_within_3_posts"] == pytest.approx(2 / 5)
    assert known["support_within_7_posts"] == pytest.approx(3 / 5)
    assert known["support_within_12_posts"] == pytest.approx(4 / 5)
    # Three days before to 14 days after the newest post: 102 alone.
    assert known["support_after"] == pytest.approx(1 / 5)
    # The core lies between days 72 and 112.8, of which 101 is the end of the pace.
    assert known["posts_in_core"] == pytest.approx(np.log1p((101 - 72) / 4))
    assert all(np.isnan(values[1, 0]) for values in found.values())
