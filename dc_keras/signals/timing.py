"""When: the days of a user's posts against the days of a challenge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dc_keras.signals.evidence import Evidence

_DAY = 86_400.0
_MONTH = 30.0
# Where a span of dates is cut, in months: what is further apart is simply apart.
_FAR = 4.0
_NEAR_DAYS = 3.0
RECENT_DAYS = 14.0
LAST_DAYS = 7.0
_WINDOW = (0.05, 0.95)
# An export holds more posts of a user than the history shows, at about the same pace.
_REACHES = (3, 7, 12, 18, 25)
_CORE = (0.1, 0.9)
_LEAST_GAP_DAYS = 0.05
NAMES = (
    "support_in_span",
    "log_support_in_span",
    "last_post_after_median",
    "first_post_after_median",
    "posts_in_window",
    "log_support_near_last_post",
)


def recent_supporters(evidence: Evidence, num_days: float) -> np.ndarray:
    """Returns how many posts describe each challenge in the days before its cutoff.

    Args:
        evidence: the support posts and the cutoffs; without one, the last support post
            of all stands for it.
        num_days: how many days.

    Returns:
        float64 (num_challenges,), posts in those days.
    """
    days = [_days(evidence, rows) for rows in evidence.support]
    counts = [
        _count(known, end - num_days, end)
        for known, end in zip(days, _ends(evidence, evidence.cutoffs), strict=True)
    ]
    return np.nan_to_num(np.array(counts, np.float64))


def challenge_ages(evidence: Evidence) -> dict[str, np.ndarray]:
    """Returns how old each challenge is at its cutoff, and how long it has been silent.

    Returns:
        By name, float64 (num_challenges,), log(1 + days) from the first (`age`) and the
        last (`silence`) support post to the cutoff, NaN where unknown.
    """
    return _ages(evidence, evidence.support, evidence.cutoffs)


def user_ages(evidence: Evidence) -> dict[str, np.ndarray]:
    """Returns the same of each user's history: how fast they post, how long ago.

    Returns:
        By name, float64 (num_users,).
    """
    return _ages(evidence, evidence.histories, evidence.user_cutoffs)


def time_overlap(evidence: Evidence) -> dict[str, np.ndarray]:
    """Returns how a user's posts and a challenge's posts lie in time.

    Nothing here looks after the cutoff: both sides are what a model may see anyway.

    Returns:
        By name, float64 (num_users, num_challenges): `support_in_span` and
        `log_support_in_span`, the support posts between the user's first and last post,
        as a share and as log(1 + number); `last_post_after_median` and
        `first_post_after_median`, months from the support's upper median, within ±4;
        `posts_in_window`, the share of the user's posts between the support's 5th and
        95th percentile, three days more on either side; `log_support_near_last_post`,
        log(1 + number) of support posts within 14 days of the user's last. Zero where
        dates are missing.
    """
    users = _padded([_days(evidence, rows) for rows in evidence.histories])
    columns = [_overlap(users, _days(evidence, rows)) for rows in evidence.support]
    table = np.nan_to_num(np.stack(columns, axis=1))
    return {name: table[:, :, index] for index, name in enumerate(NAMES)}


def paced_overlap(evidence: Evidence) -> dict[str, np.ndarray]:
    """Returns how a challenge lies in the time that a user's pace of posting covers.

    A history is the user's newest posts only. At the same pace, k posts reach back k
    times the mean gap between two posts from the newest one.

    Returns:
        By name, float64 (num_users, num_challenges): `support_within_K_posts`, the
        share of support posts from K posts back to three days after the newest post;
        `support_after`, the share from three days before to 14 days after it; and
        `posts_in_core`, log(1 + number of posts) that the user makes, at that pace, in
        the common part of 25 posts back and the support's 10th to 90th percentile.
        NaN where dates are missing.
    """
    users = [_days(evidence, rows) for rows in evidence.histories]
    known = np.array([len(days) > 0 for days in users])
    newest = np.array([days[-1] if len(days) else np.nan for days in users])
    oldest = np.array([days[0] if len(days) else np.nan for days in users])
    gaps = np.maximum([len(days) - 1 for days in users], 1)
    gap = np.where(known, (newest - oldest) / gaps, np.nan)
    columns = [_paced(_days(evidence, rows), newest, gap) for rows in evidence.support]
    table = np.stack(columns, axis=1)
    names = [f"support_within_{count}_posts" for count in _REACHES]
    names += ["support_after", "posts_in_core"]
    return {name: table[:, :, index] for index, name in enumerate(names)}


def _paced(challenge: np.ndarray, newest: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """The values of `paced_overlap` for one challenge, (num_users, 7)."""
    if len(challenge) == 0:
        return np.full((len(newest), len(_REACHES) + 2), np.nan)
    until = newest + _NEAR_DAYS
    shares = [_count(challenge, newest - k * gap, until) for k in _REACHES]
    shares.append(_count(challenge, newest - _NEAR_DAYS, newest + RECENT_DAYS))
    begin, end = np.quantile(challenge, _CORE)
    common = np.minimum(newest + 1, end) - np.maximum(
        newest - _REACHES[-1] * gap, begin
    )
    posts = np.maximum(common, 0) / np.maximum(gap, _LEAST_GAP_DAYS)
    return np.stack(
        [*(share / len(challenge) for share in shares), np.log1p(posts)], axis=1
    )


def _ends(evidence: Evidence, cutoffs: np.ndarray) -> np.ndarray:
    """Cutoffs in days; without one, the day of the last support post of all."""
    days = [_days(evidence, rows) for rows in evidence.support]
    last = max((known[-1] for known in days if len(known)), default=np.nan)
    return np.where(np.isnan(cutoffs), last, cutoffs / _DAY)


def _ages(
    evidence: Evidence, sets: Sequence[np.ndarray], cutoffs: np.ndarray
) -> dict[str, np.ndarray]:
    spans = np.full((len(sets), 2), np.nan)
    for row, (posts, end) in enumerate(
        zip(sets, _ends(evidence, cutoffs), strict=True)
    ):
        if len(known := _days(evidence, posts)):
            spans[row] = end - known[0], end - known[-1]
    age, silence = np.log1p(np.maximum(spans, 0.0)).T
    return {"age": age, "silence": silence}


def _days(evidence: Evidence, rows: np.ndarray) -> np.ndarray:
    """Known posting times in days, sorted."""
    times = evidence.facts.times[rows]
    return np.sort(times[~np.isnan(times)]) / _DAY


def _padded(days: list[np.ndarray]) -> np.ndarray:
    """Days of all users, (num_users, num_posts), NaN where there is no further post."""
    padded = np.full((len(days), max(1, *map(len, days))), np.nan)
    for row, known in enumerate(days):
        padded[row, : len(known)] = known
    return padded


def _overlap(users: np.ndarray, challenge: np.ndarray) -> np.ndarray:
    """The values of `time_overlap` for one challenge, (num_users, len(NAMES))."""
    if len(challenge) == 0:
        return np.full((len(users), len(NAMES)), np.nan)
    first, last = users[:, 0], np.fmax.reduce(users, axis=1)
    inside = _count(challenge, first, last)
    middle = challenge[len(challenge) // 2]
    begin, end = np.quantile(challenge, _WINDOW)
    in_window = (users >= begin - _NEAR_DAYS) & (users <= end + _NEAR_DAYS)
    num_posts = np.maximum((~np.isnan(users)).sum(axis=1), 1)
    return np.stack(
        [
            inside / len(challenge),
            np.log1p(inside),
            np.clip((last - middle) / _MONTH, -_FAR, _FAR),
            np.clip((first - middle) / _MONTH, -_FAR, _FAR),
            in_window.sum(axis=1) / num_posts,
            np.log1p(_count(challenge, last - RECENT_DAYS, last + RECENT_DAYS)),
        ],
        axis=1,
    )


def _count(days: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """How many of some sorted days lie between, ends included; NaN where unknown."""
    count = np.searchsorted(days, end, side="right") - np.searchsorted(days, begin)
    return np.where(np.isnan(begin + end), np.nan, count)
