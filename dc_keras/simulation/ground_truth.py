"""The ground truth of the simulated world: tastes, participation and joining times.

Users and challenges have taste vectors of `TASTE_DIM` components. The first `LOOK_DIM`
components affect only the pixels of a post, the others only its words, tags and sounds.
User u joins challenge c with probability

    p(u, c) = sigmoid(strength * <z_u, z_c> / sqrt(TASTE_DIM)
                      + popularity_c + propensity_u + intercept)

Joining is one Bernoulli draw with this probability. No score can rank better in
expectation than p itself: p is the Bayes-optimal score.

Joining times come from a cascade on a graph of friends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dc_keras.errors import DataError

# The friendship graph: expected numbers of friends inside and outside the community.
_FRIENDS_WITHIN = 8.0
_FRIENDS_BETWEEN = 2.0
# The cascade: the expected number of friends that one post prompts to join if none has
# joined yet, and the time constant of this effect.
_CASCADE_STRENGTH = 1.5
_CASCADE_DECAY_DAYS = 3.0
TASTE_DIM = 8
LOOK_DIM = 4
# The first and the last second of the world, UTC seconds since 1970: 60 days from
# 2020-10-19.
START_TIME = 1_603_065_600
_NUM_DAYS = 60
END_TIME = START_TIME + _NUM_DAYS * 86_400
_NUM_COMMUNITIES = 4  # of nearly equal size


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


@dataclass(frozen=True)
class WorldConfig:
    """Parameters of a simulated world; equal parameters give equal worlds.

    Attributes:
        num_users: number of users, at least 2.
        num_challenges: number of challenges, 1 to 144.
        seed: random seed, at least 0.
        videos_per_user: minimum number of posts of a user outside of challenges; users
            with a high propensity have a few more.
        prevalence: mean participation probability over all pairs, in (0, 1).
        taste_strength: weight of the match of tastes in the log odds, at least 0.
        popularity_std: standard deviation of the challenges' popularity, log odds.
        propensity_std: standard deviation of the users' propensity, log odds.
        taste_noise: standard deviation of users' tastes around the centre of their
            community; that of the centres is 1.
        video_noise: standard deviation of posts' tastes around that of their author.
        duration_s: mean length of a video, seconds; lengths vary by a fifth of it.
        text_only_share: share of posts without a media file, in [0, 1].

    Raises:
        DataError: a value is outside its range.
    """

    num_users: int = 120
    num_challenges: int = 8
    seed: int = 0
    videos_per_user: int = 8
    prevalence: float = 0.3
    taste_strength: float = 1.7
    popularity_std: float = 0.4
    propensity_std: float = 0.4
    taste_noise: float = 0.6
    video_noise: float = 0.5
    duration_s: float = 1.5
    text_only_share: float = 0.0

    def __post_init__(self) -> None:
        _check_range("num_users", self.num_users, 2, None)
        _check_range("num_challenges", self.num_challenges, 1, 144)
        _check_range("seed", self.seed, 0, None)
        _check_range("videos_per_user", self.videos_per_user, 1, None)
        _check_range("prevalence", self.prevalence, 1e-6, 1 - 1e-6)
        for name in ("taste_strength", "taste_noise", "video_noise"):
            _check_range(name, getattr(self, name), 0, 100)
        _check_range("popularity_std", self.popularity_std, 0, 100)
        _check_range("propensity_std", self.propensity_std, 0, 100)
        _check_range("duration_s", self.duration_s, 0.1, 600)
        _check_range("text_only_share", self.text_only_share, 0, 1)


def _check_range(name: str, value: float, low: float, high: float | None) -> None:
    if not math.isfinite(value) or value < low or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise DataError(
            f"`{name}` of a simulated world must be {bounds}. Received: {name}={value}"
        )


@dataclass(frozen=True, eq=False)
class Truth:
    """The ground truth behind the posts.

    Attributes:
        communities: planted community of each user, int64 (num_users,).
        user_tastes: float64 (num_users, TASTE_DIM), each component of about unit
            variance.
        challenge_tastes: float64 (num_challenges, TASTE_DIM), likewise.
        propensity: propensity of each user, log odds, float64 (num_users,).
        probabilities: p(u, c), float64 (num_users, num_challenges).
        joined: the Bernoulli draws, bool (num_users, num_challenges).
        friends: symmetric, without loops, bool (num_users, num_users).
        join_days: joining times in days from the start, NaN where not joined, float64
            (num_users, num_challenges).
        joined_from: the user whose post prompted the join, -1 for none, int64
            (num_users, num_challenges).
    """

    communities: NDArray[np.int64]
    user_tastes: NDArray[np.float64]
    challenge_tastes: NDArray[np.float64]
    propensity: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    joined: NDArray[np.bool_]
    friends: NDArray[np.bool_]
    join_days: NDArray[np.float64]
    joined_from: NDArray[np.int64]


def draw_truth(config: WorldConfig, rng: np.random.Generator) -> Truth:
    """Draws the ground truth of one world."""
    communities = rng.permutation(np.arange(config.num_users) % _NUM_COMMUNITIES)
    user_tastes = _draw_user_tastes(config, communities, rng)
    challenge_tastes = rng.normal(size=(config.num_challenges, TASTE_DIM))
    popularity = rng.normal(scale=config.popularity_std, size=config.num_challenges)
    propensity = rng.normal(scale=config.propensity_std, size=config.num_users)
    match = user_tastes @ challenge_tastes.T / math.sqrt(TASTE_DIM)
    probabilities = participation_probabilities(
        config.taste_strength * match + popularity + propensity[:, np.newaxis],
        config.prevalence,
    )
    joined = rng.random(probabilities.shape) < probabilities
    friends = draw_friends(communities, rng)
    join_days, joined_from = draw_joins(joined, friends, _NUM_DAYS, rng)
    return Truth(
        communities=communities,
        user_tastes=user_tastes,
        challenge_tastes=challenge_tastes,
        propensity=propensity,
        probabilities=probabilities,
        joined=joined,
        friends=friends,
        join_days=join_days,
        joined_from=joined_from,
    )


def _draw_user_tastes(
    config: WorldConfig, communities: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    centres = rng.normal(size=(_NUM_COMMUNITIES, TASTE_DIM))
    own = rng.normal(scale=config.taste_noise, size=(config.num_users, TASTE_DIM))
    return (centres[communities] + own) / math.sqrt(1 + config.taste_noise**2)


def participation_probabilities(
    log_odds: NDArray[np.float64], prevalence: float
) -> NDArray[np.float64]:
    """Returns sigmoid(log_odds + intercept), of the shape of `log_odds`.

    The intercept is such that the mean probability is `prevalence`, in (0, 1).
    """
    # The mean is monotonic in the intercept, so bisection finds the unique solution. At
    # the bounds, all probabilities are below, or above, the prevalence.
    edge = abs(math.log(prevalence / (1 - prevalence))) + 1
    low = -float(log_odds.max()) - edge
    high = -float(log_odds.min()) + edge
    for _ in range(100):
        middle = (low + high) / 2
        if _sigmoid(log_odds + middle).mean() < prevalence:
            low = middle
        else:
            high = middle
    return _sigmoid(log_odds + (low + high) / 2)


def _sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return (1 + np.tanh(log_odds / 2)) / 2  # cannot overflow
