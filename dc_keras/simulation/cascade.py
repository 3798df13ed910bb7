"""Joining times in the simulated world: a cascade on a graph of friends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# The friendship graph: expected numbers of friends inside and outside the community.
_FRIENDS_WITHIN = 8.0
_FRIENDS_BETWEEN = 2.0
# The cascade: the expected number of friends that one post prompts to join if none has
# joined yet, and the time constant of this effect.
_CASCADE_STRENGTH = 1.5
_CASCADE_DECAY_DAYS = 3.0


def draw_friends(
    communities: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draws a planted-partition graph: friends are likelier inside a community.

    Args:
        communities: community of each user, int64 (num_users,).
        rng: random generator.

    Returns:
        Symmetric bool (num_users, num_users) without loops.
    """
    same = communities[:, np.newaxis] == communities
    within = max(float(same.sum(axis=1).mean()) - 1, 1.0)
    between = max(float((~same).sum(axis=1).mean()), 1.0)
    chance = np.where(
        same, min(_FRIENDS_WITHIN / within, 1.0), min(_FRIENDS_BETWEEN / between, 1.0)
    )
    upper = np.triu(rng.random(same.shape) < chance, k=1)
    return np.asarray(upper | upper.T, dtype=np.bool_)


def draw_joins(
    joined: NDArray[np.bool_],
    friends: NDArray[np.bool_],
    days: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draws the joining times, one cascade per challenge.

    Args:
        joined: which users join, bool (num_users, num_challenges).
        friends: symmetric, bool (num_users, num_users).
        days: length of the world, days; each challenge starts in the first third.
        rng: random generator.

    Returns:
        Joining times in days from the start, below `days`, NaN where not joined,
        float64 (num_users, num_challenges); and the users whose posts prompted them, -1
        for none, int64 of the same shape.
    """
    join_days = np.full(joined.shape, np.nan)
    joined_from = np.full(joined.shape, -1, dtype=np.int64)
    for challenge, members in enumerate(map(np.flatnonzero, joined.T)):
        if not len(members):
            continue
        first_day = rng.uniform(0, days / 3)
        own_days = rng.uniform(first_day, days, size=len(members))
        moved_days, moved_by = draw_cascade(
            own_days, friends[np.ix_(members, members)], rng
        )
        join_days[members, challenge] = moved_days
        joined_from[members, challenge] = np.where(moved_by < 0, -1, members[moved_by])
    return join_days, joined_from


def draw_cascade(
    own_days: NDArray[np.float64],
    friends: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draws joining times from a self-exciting (Hawkes) process on a graph.

    A post at day s raises the rate at which a friend who has not joined yet does so by
    a / (d D) exp(-(t - s) / D), with a = `_CASCADE_STRENGTH`, d the mean number of
    friends and D = `_CASCADE_DECAY_DAYS`. The first point of superposed processes is
    the earliest of their first points. Therefore each friendship gets one delay, which
    is infinite with the probability that the kernel produces no point, and the time of
    a user is the shortest path from the spontaneous time of any user.

    Args:
        own_days: spontaneous joining time of each user, float64 (num_members,), at
            least one.
        friends: bool (num_members, num_members), symmetric.
        rng: random generator.

    Returns:
        Joining days, float64 (num_members,), never later than `own_days`; and the
        member who prompted each, int64 (num_members,), -1 for a spontaneous join.
    """
    mass = _CASCADE_STRENGTH / max(float(friends.sum(axis=1).mean()), 1.0)
    unit = rng.exponential(size=friends.shape)
    left = np.where(friends, 1 - unit / mass, 0.0)
    # delays[i, j]: days from the post of i until it prompts j to join.
    with np.errstate(divide="ignore"):
        delays = -_CASCADE_DECAY_DAYS * np.log(np.maximum(left, 0.0))
    days = own_days
    while True:
        arrivals = days[:, np.newaxis] + delays
        earlier = np.minimum(own_days, arrivals.min(axis=0))
        if np.array_equal(earlier, days):
            break
        days = earlier
    return days, np.where(days < own_days, arrivals.argmin(axis=0), -1)
