"""When: the days of a user's posts against the days of a challenge."""

from __future__ import annotations

import numpy as np

from dc_keras.signals.evidence import Evidence

_DAY = 86_400.0
_MONTH = 30.0
# Where a span of dates is cut, in months: what is further apart is simply apart.
_FAR = 4.0
_NEAR_DAYS = 3.0
_WINDOW = (0.05, 0.95)
NAMES = (
    "support_in_span",
    "log_support_in_span",
    "last_post_after_median",
    "first_post_after_median",
    "posts_in_window",
)


def time_overlap(evidence: Evidence) -> dict[str, np.ndarray]:
    """Returns how a user's posts and a challenge's posts lie in time.

    Nothing here looks after the cutoff: both sides are what a model may see anyway.

    Returns:
        By name, float64 (num_users, num_challenges): `support_in_span` and
        `log_support_in_span`, the support posts between the user's first and last post,
        as a share and as log(1 + number); `last_post_after_median` and
        `first_post_after_median`, months from the support's median, within ±4;
        `posts_in_window`, the share of the user's posts between the support's 5th and
        95th percentile, three days more on either side. Zero where dates are missing.
    """
    histories = [_days(evidence, rows) for rows in evidence.histories]
    support = [_days(evidence, rows) for rows in evidence.support]
    shape = (len(histories), len(support))
    table = {name: np.zeros(shape) for name in NAMES}
    for column, challenge in enumerate(support):
        if len(challenge) > 0:
            for row, user in enumerate(histories):
                if len(user) > 0:
                    values = _overlap(user, challenge)
                    for name, value in zip(NAMES, values, strict=True):
                        table[name][row, column] = value
    return table


def _days(evidence: Evidence, rows: np.ndarray) -> np.ndarray:
    """Known posting times in days, sorted."""
    times = evidence.facts.times[rows]
    return np.sort(times[~np.isnan(times)]) / _DAY


def _overlap(user: np.ndarray, challenge: np.ndarray) -> tuple[float, ...]:
    """The values of `time_overlap`, in the order of `NAMES`, of sorted days."""
    inside = float(
        np.searchsorted(challenge, user[-1], side="right")
        - np.searchsorted(challenge, user[0])
    )
    middle = challenge[len(challenge) // 2]
    begin, end = np.quantile(challenge, _WINDOW)
    in_window = (user >= begin - _NEAR_DAYS) & (user <= end + _NEAR_DAYS)
    return (
        inside / len(challenge),
        float(np.log1p(inside)),
        float(np.clip((user[-1] - middle) / _MONTH, -_FAR, _FAR)),
        float(np.clip((user[0] - middle) / _MONTH, -_FAR, _FAR)),
        float(in_window.mean()),
    )
