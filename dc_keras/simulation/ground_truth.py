"""The truth of the simulated world: who likes what, who joins what, and when.

Users and challenges have taste vectors of `TASTE_DIM` numbers. The first `LOOK_DIM`
show only in the pixels of a post, the others only in its words, tags and sounds. User u
joins challenge c with probability

    p(u, c) = sigmoid(strength * <z_u, z_c> / sqrt(TASTE_DIM)
                      + popularity_c + propensity_u + intercept)

and joining is one Bernoulli draw of exactly that, so that no score can rank better in
expectation than p itself: p is the Bayes-optimal score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from dc_keras.simulation.cascade import draw_friends, draw_joins
from dc_keras.errors import DataError

TASTE_DIM = 8
LOOK_DIM = 4

_DAY_S = 86_400
# 19-digit ids carry the posting time in their upper bits: from 1978 on they have that
# many digits, and until 2038 they fit a signed 64-bit integer.
_EARLIEST = datetime(1978, 1, 1, tzinfo=UTC)
_LATEST = datetime(2038, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class WorldConfig:
    """Every choice behind a simulated world; the same config gives the same world.

    Attributes:
        num_users: users, at least 2.
        num_challenges: challenges, 1 to 144.
        seed: of all draws, at least 0.
        videos_per_user: posts outside any challenge that every user has at least; users
            with a high propensity have a few more.
        num_communities: planted communities, all of nearly one size.
        prevalence: mean participation probability over all pairs, in (0, 1).
        taste_strength: weight of the match of tastes in the log odds, at least 0.
        popularity_std: spread of the challenges' popularity in the log odds.
        propensity_std: spread of the users' propensity in the log odds.
        taste_noise: spread of a user's taste round the centre of the community, the
            spread of the centres being 1.
        video_noise: spread of one post's taste round its author's.
        width: of the videos, pixels, even, at least 16.
        height: of the videos, pixels, even, at least 16.
        fps: frames a second, 1 to 60.
        duration_s: mean length of a video, seconds; lengths vary by a fifth of it.
        text_only_share: share of posts without a media file, in [0, 1].
        start: first day, ISO date, UTC.
        days: length of the world, days.

    Raises:
        DataError: a value outside its range.
    """

    num_users: int = 120
    num_challenges: int = 8
    seed: int = 0
    videos_per_user: int = 8
    num_communities: int = 4
    prevalence: float = 0.3
    taste_strength: float = 1.7
    popularity_std: float = 0.4
    propensity_std: float = 0.4
    taste_noise: float = 0.6
    video_noise: float = 0.5
    width: int = 72
    height: int = 128
    fps: int = 12
    duration_s: float = 1.5
    text_only_share: float = 0.0
    start: str = "2020-10-19"
    days: int = 60

    def __post_init__(self) -> None:
        _check_range("num_users", self.num_users, 2, None)
        _check_range("num_challenges", self.num_challenges, 1, 144)
        _check_range("seed", self.seed, 0, None)
        _check_range("videos_per_user", self.videos_per_user, 1, None)
        _check_range("num_communities", self.num_communities, 1, None)
        _check_range("prevalence", self.prevalence, 1e-6, 1 - 1e-6)
        for name in (
            "taste_strength",
            "popularity_std",
            "propensity_std",
            "taste_noise",
            "video_noise",
        ):
            _check_range(name, getattr(self, name), 0, 100)
        for name in ("width", "height"):
            _check_range(name, getattr(self, name), 16, 4096)
            if getattr(self, name) % 2:
                raise DataError(
                    f"`{name}` of a simulated world must be even, as video encoders "
                    f"ask. Received: {name}={getattr(self, name)}"
                )
        _check_range("fps", self.fps, 1, 60)
        _check_range("duration_s", self.duration_s, 0.1, 600)
        _check_range("text_only_share", self.text_only_share, 0, 1)
        _check_range("days", self.days, 1, 3650)
        _check_start(self.start, self.days)

    @property
    def start_time(self) -> int:
        """First second of the world, UTC seconds since 1970."""
        return int(datetime.fromisoformat(self.start).replace(tzinfo=UTC).timestamp())

    @property
    def end_time(self) -> int:
        """First second after the world, UTC seconds since 1970."""
        return self.start_time + self.days * _DAY_S


def _check_range(name: str, value: float, low: float, high: float | None) -> None:
    if not math.isfinite(value) or value < low or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise DataError(
            f"`{name}` of a simulated world must be {bounds}. Received: {name}={value}"
        )


def _check_start(start: str, days: int) -> None:
    try:
        first = datetime.strptime(start, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise DataError(
            "`start` of a simulated world must be a date as 2020-10-19. "
            f"Received: start={start!r}"
        ) from None
    if first < _EARLIEST or first.timestamp() + days * _DAY_S > _LATEST.timestamp():
        raise DataError(
            "A simulated world must lie between 1978 and 2038, where 19-digit ids hold "
            f"the time. Received: start={start!r}, days={days}"
        )


@dataclass(frozen=True, eq=False)
class Truth:
    """What is behind the posts.

    Attributes:
        communities: planted community of each user, int64 (num_users,).
        user_tastes: float64 (num_users, TASTE_DIM), each number of about unit variance.
        challenge_tastes: float64 (num_challenges, TASTE_DIM), likewise.
        propensity: of each user, in log odds, float64 (num_users,).
        probabilities: p(u, c), float64 (num_users, num_challenges).
        joined: the Bernoulli draws, bool (num_users, num_challenges).
        friends: symmetric, no loops, bool (num_users, num_users).
        join_days: when, in days from the start; NaN where not joined; float64
            (num_users, num_challenges).
        joined_from: the user whose post moved this one; -1 where nobody did; int64
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
    """Draws the truth of one world."""
    communities = rng.permutation(np.arange(config.num_users) % config.num_communities)
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
    join_days, joined_from = draw_joins(joined, friends, config.days, rng)
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
    centres = rng.normal(size=(config.num_communities, TASTE_DIM))
    own = rng.normal(scale=config.taste_noise, size=(config.num_users, TASTE_DIM))
    return (centres[communities] + own) / math.sqrt(1 + config.taste_noise**2)


def participation_probabilities(
    log_odds: NDArray[np.float64], prevalence: float
) -> NDArray[np.float64]:
    """Returns sigmoid(log_odds + intercept), the intercept fitting the prevalence.

    Args:
        log_odds: any shape.
        prevalence: the wished mean probability, in (0, 1).

    Returns:
        Probabilities in (0, 1) of the same shape, whose mean is `prevalence`.
    """
    # The mean rises with the intercept, so bisection finds the only one. At the bounds
    # every single probability lies below, or above, the prevalence.
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
    return (1 + np.tanh(log_odds / 2)) / 2  # the form that cannot overflow
