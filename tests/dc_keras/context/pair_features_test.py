"""Compares the features of pairs with NumPy computations on the same posts."""

import numpy as np
import pytest

from dc_keras.context.pair_features import NAMES, PairFeatures, PairLayout
from dc_keras.context.post_vectors import UNKNOWN
from dc_keras.context.set_vectors import HABITS, SetLayout

_BLOCKS = (3, 2, 2)
_LAYOUT = PairLayout(SetLayout(_BLOCKS, 5), SetLayout(_BLOCKS, 8), 4)
_TASTE = sum(_BLOCKS) + len(HABITS)
_LATEST = 40.0


def _weights(rng):
    return {
        "habit_mean": rng.normal(size=len(HABITS)),
        "habit_scale": rng.uniform(0.5, 2, len(HABITS)),
        "propensity": rng.normal(size=_TASTE) * 0.2,
        "propensity_bias": np.array(0.3),
        "pairs_per_user": np.array(3.5),
        "latest": np.array(_LATEST),
    }


def _sets(rng, count, num_days, known):
    """Vectors of sets by part, NaN where unknown; some have no dates."""
    days = np.sort(rng.uniform(-40, 40, (count, num_days)), axis=1)
    number = rng.integers(0, num_days + 1, (count, 1))
    if known < 1:
        days = np.where(np.arange(num_days) < number, days, np.nan)
    habits = rng.normal(size=(count, len(HABITS)))
    habits[rng.random(habits.shape) > known] = np.nan
    vectors = rng.normal(size=(count, sum(_BLOCKS)))
    num_posts = np.full((count, 1), float(num_days))
    return {"vectors": vectors, "habits": habits, "num_posts": num_posts, "days": days}


def _some(rng, values, known):
    """Returns random values with some unknown rows."""
    values = values.copy()
    values[rng.random(len(values)) > known] = np.nan
    return values


def _users(rng, count, known):
    are_known = (rng.random((count, 1)) < known).astype(float)
    return {
        **_sets(rng, count, 5, known),
        "account": _some(rng, rng.uniform(0, 9, (count, 3)), known),
        "past": _some(rng, rng.integers(0, 9, (count, 3)) * 1.0, known),
        "are_joins_known": are_known,
        "joined": rng.integers(0, 2, (count, 4)) * are_known,
        "now": _some(rng, rng.uniform(30, 50, (count, 1)), known),
    }


def _challenges(rng, count, known):
    return {
        **_sets(rng, count, 8, known),
        "popularity": rng.normal(size=(count, 1)),
        "supporters": rng.uniform(0, 3, (count, 1)),
        "taste": rng.normal(size=(count, _TASTE)),
        "ease": rng.normal(size=(count, 4)),
    }


def _joined(parts):
    """Concatenates parts of vectors in order."""
    values = np.concatenate(list(parts.values()), axis=1)
    return np.where(np.isnan(values), UNKNOWN, values).astype(np.float32)


def _row(parts, index):
    return {name: values[index] for name, values in parts.items()}


def _between(days, begin, end):
    return float(((days >= begin) & (days <= end)).sum())


def _overlap(own, days):
    """Returns the overlap features of the known days of a user and a challenge."""
    if not len(own) or not len(days):
        return {}
    first, last, middle = own[0], own[-1], days[len(days) // 2]
    begin, end, core_begin, core_end = np.quantile(days, (0.05, 0.95, 0.1, 0.9))
    gap = (last - first) / max(len(own) - 1, 1)
    common = min(last + 1, core_end) - max(last - 25 * gap, core_begin)
    count = len(days)
    return {
        "support_in_span": _between(days, first, last) / count,
        "log_support_in_span": np.log1p(_between(days, first, last)),
        "last_post_after_median": np.clip((last - middle) / 30, -4, 4),
        "first_post_after_median": np.clip((first - middle) / 30, -4, 4),
        "posts_in_window": _between(own, begin - 3, end + 3) / len(own),
        "log_support_near_last_post": np.log1p(_between(days, last - 14, last + 14)),
        **{
            f"support_within_{k}_posts": _between(days, last - k * gap, last + 3)
            / count
            for k in (3, 7, 12, 18, 25)
        },
        "support_after": _between(days, last - 3, last + 14) / count,
        "posts_in_core": np.log1p(max(common, 0) / max(gap, 0.05)),
    }


def _ages(side, days, now):
    if not len(days):
        return {}
    return {
        f"{side}_age": np.log1p(max(now - days[0], 0)),
        f"{side}_silence": np.log1p(max(now - days[-1], 0)),
    }


def _reference(user, challenge, weights):
    """Returns the features of one pair by name; missing ones are unknown."""
    habits = (user["habits"] - weights["habit_mean"]) * weights["habit_scale"] * 0.15
    taste = np.concatenate([user["vectors"], np.nan_to_num(habits)])
    rate = taste @ weights["propensity"] + weights["propensity_bias"]
    joins, pairs = user["joined"].sum(), 3.5 * user["are_joins_known"][0]
    ready = (joins + 20 * np.clip(rate, 1e-3, 1)) / (pairs + 20)
    ready = np.clip(ready, 1e-4, 1 - 1e-4)
    products = user["vectors"] * challenge["vectors"]
    own, days = (d[~np.isnan(d)] for d in (user["days"], challenge["days"]))
    now = _LATEST if np.isnan(user["now"][0]) else user["now"][0]
    joined, posts, length = user["past"]
    timed = {**_overlap(own, days), **_ages("user", own, now)}
    timed |= _ages("challenge", days, now)
    accounts = dict(
        zip(("followers", "total_likes", "total_posts"), user["account"], strict=True)
    )
    of_user = dict(zip(HABITS, user["habits"], strict=True)) | accounts
    of_challenge = dict(zip(HABITS, challenge["habits"], strict=True))
    return {
        "rates/popularity": challenge["popularity"][0],
        "rates/propensity": np.log(ready / (1 - ready)),
        "rates/supporters": challenge["supporters"][0],
        "rates/recent_supporters": np.log1p(_between(days, now - 14, now)),
        "rates/last_supporters": np.log1p(_between(days, now - 7, now)),
        "text/taste": taste @ challenge["taste"],
        "text/topic_cosine": products[:3].sum(),
        "text/caption_cosine": products[3:5].sum(),
        "frames/cosine": products[5:].sum(),
        "neighbours/ease": user["joined"] @ challenge["ease"],
        **{f"time/{name}": value for name, value in timed.items()},
        "past/joined": np.log1p(joined),
        "past/joined_per_post": np.log((joined + 0.5) / (posts + 2)),
        "past/posts_per_day": np.log((posts + 1) / (length + 7)),
        **{f"engagement/user_{name}": value for name, value in of_user.items()},
        **{f"engagement/challenge_{n}": value for n, value in of_challenge.items()},
    }


def _found(features, users, challenges):
    found = features(_joined(users), _joined(challenges)).numpy()
    return np.where(found < UNKNOWN / 2, np.nan, found)


def _table(users, challenges, weights):
    rows = [
        _reference(_row(users, i), _row(challenges, i), weights)
        for i in range(len(users["days"]))
    ]
    return np.array([[row.get(name, np.nan) for name in NAMES] for row in rows])


@pytest.fixture(scope="module")
def weights():
    return _weights(np.random.default_rng(9))


@pytest.fixture(scope="module")
def features(weights):
    return PairFeatures(_LAYOUT, weights)


@pytest.mark.parametrize("known", [1.0, 0.7, 0.0])
def test_every_feature_is_that_of_numpy(features, weights, known):
    rng = np.random.default_rng(int(10 * known))
    users, challenges = _users(rng, 60, known), _challenges(rng, 60, known)
    found, expected = (
        _found(features, users, challenges),
        _table(users, challenges, weights),
    )
    assert found.shape == (60, len(NAMES))
    assert set(_reference(_row(users, 0), _row(challenges, 0), weights)) <= set(NAMES)
    for column, name in enumerate(NAMES):
        np.testing.assert_allclose(
            found[:, column],
            expected[:, column],
            rtol=1e-3,
            atol=1e-4,
            err_msg=name,
        )


@pytest.mark.parametrize(
    ("part", "silent"),
    [
        ("account", ("engagement/user_followers", "engagement/user_total_posts")),
        ("past", ("past/joined", "past/posts_per_day")),
        ("days", ("time/user_age", "time/posts_in_window", "time/posts_in_core")),
        ("habits", ("engagement/user_duration", "engagement/user_log_views")),
    ],
)
def test_unknown_user_data_only_affects_features_made_of_it(features, part, silent):
    rng = np.random.default_rng(1)
    users, challenges = _users(rng, 5, 1.0), _challenges(rng, 5, 1.0)
    before = _found(features, users, challenges)
    after = _found(
        features, {**users, part: np.full_like(users[part], np.nan)}, challenges
    )
    assert not np.isnan(before).any()
    gone = {NAMES[column] for column in np.flatnonzero(np.isnan(after).all(axis=0))}
    assert set(silent) <= gone
    same = ~np.isnan(after)
    group = {name.partition("/")[0] for name in gone}
    assert len(group) == 1
    for column, name in enumerate(NAMES):
        if name.partition("/")[0] not in (*group, "text", "rates"):
            np.testing.assert_array_equal(before[:, column], after[:, column])
    assert same.any()


def test_now_is_the_last_day_of_training_by_default(features):
    rng = np.random.default_rng(2)
    users, challenges = _users(rng, 5, 1.0), _challenges(rng, 5, 1.0)
    with_now, without_now = (
        _found(features, {**users, "now": np.full((5, 1), now)}, challenges)
        for now in (_LATEST, np.nan)
    )
    np.testing.assert_array_equal(with_now, without_now)
    later = _found(features, {**users, "now": np.full((5, 1), 60.0)}, challenges)
    moved = np.flatnonzero((later != with_now).any(axis=0))
    assert {NAMES[column] for column in moved} <= {
        *("rates/recent_supporters", "rates/last_supporters"),
        *("time/user_age", "time/user_silence"),
        *("time/challenge_age", "time/challenge_silence"),
    }
    assert len(moved) > 0


def test_one_challenge_row_is_broadcast_over_users(features):
    rng = np.random.default_rng(3)
    users, challenge = _users(rng, 7, 0.7), _challenges(rng, 1, 1.0)
    repeated = {name: np.repeat(part, 7, axis=0) for name, part in challenge.items()}
    np.testing.assert_allclose(
        _found(features, users, challenge),
        _found(features, users, repeated),
        rtol=1e-5,
        atol=1e-6,
    )


def test_posts_at_the_same_time_have_zero_gap(features, weights):
    rng = np.random.default_rng(4)
    users, challenges = _users(rng, 3, 1.0), _challenges(rng, 3, 1.0)
    users["days"] = np.full((3, 5), 2.0)
    challenges["days"][0] = 2.0
    np.testing.assert_allclose(
        _found(features, users, challenges),
        _table(users, challenges, weights),
        rtol=1e-3,
        atol=1e-4,
    )


def test_widths_are_those_of_the_parts():
    rng = np.random.default_rng(5)
    assert _joined(_users(rng, 2, 1.0)).shape == (2, _LAYOUT.user_width)
    assert _joined(_challenges(rng, 2, 1.0)).shape == (2, _LAYOUT.challenge_width)
