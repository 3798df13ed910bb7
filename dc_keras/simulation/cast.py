"""The accounts, challenges and sounds of the simulated world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dc_keras.simulation import wording
from dc_keras.simulation.ground_truth import START_TIME, Truth, WorldConfig
from dc_keras.simulation.wording import TOPICS, Language

_SPANISH_SHARE = 0.35
_DAY_S = 86_400
_ACCOUNT_AGE_DAYS = 700


@dataclass(frozen=True, slots=True)
class Account:
    """A user who posts.

    Attributes:
        user_id: 19 digits; the upper bits are the time of joining the platform.
        handle: as in mentions.
        language: main language of the captions.
        num_followers: at collection time.
        num_following: number of friends in the world.
    """

    user_id: str
    handle: str
    language: Language
    num_followers: int
    num_following: int


@dataclass(frozen=True, slots=True)
class Sound:
    """The sound of a post; `author` is an artist, or the handle of who recorded it."""

    music_id: str
    title: str
    author: str
    is_original: bool


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that users join; its name equals its first hashtag."""

    name: str
    phrase: str
    hashtags: tuple[str, ...]
    sound: Sound


@dataclass(frozen=True, slots=True)
class Cast:
    """The accounts, challenges and sounds of a world, in the order of its `Truth`."""

    accounts: tuple[Account, ...]
    challenges: tuple[Challenge, ...]
    topic_sounds: dict[str, Sound]
    own_sounds: tuple[Sound, ...]


class IdSource:
    """Draws unique ids with a time in the upper 32 bits."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._taken: set[int] = set()

    def draw(self, time: int) -> str:
        """Returns a new id with `id >> 32 == time`, as a string."""
        number = (time << 32) | int(self._rng.integers(1 << 32))
        while number in self._taken:
            number = (time << 32) | int(self._rng.integers(1 << 32))
        self._taken.add(number)
        return str(number)


def draw_cast(
    config: WorldConfig, truth: Truth, ids: IdSource, rng: np.random.Generator
) -> Cast:
    """Draws accounts, challenges and sounds."""
    accounts = _draw_accounts(config, truth, ids, rng)
    return Cast(
        accounts=accounts,
        challenges=_draw_challenges(config, ids, rng),
        topic_sounds={
            title: Sound(ids.draw(START_TIME), title, "The Simulators", False)
            for topic in TOPICS
            for title in topic.sounds
        },
        own_sounds=tuple(
            Sound(
                music_id=ids.draw(START_TIME),
                title=f"original sound - {account.handle}",
                author=account.handle,
                is_original=True,
            )
            for account in accounts
        ),
    )


def _draw_accounts(
    config: WorldConfig, truth: Truth, ids: IdSource, rng: np.random.Generator
) -> tuple[Account, ...]:
    handles = wording.draw_handles(rng, config.num_users)
    ages_s = rng.integers(_DAY_S, _ACCOUNT_AGE_DAYS * _DAY_S, size=config.num_users)
    return tuple(
        Account(
            user_id=ids.draw(START_TIME - int(age_s)),
            handle=handle,
            language="es" if rng.random() < _SPANISH_SHARE else "en",
            num_followers=int(rng.lognormal(mean=7, sigma=1.5)),
            num_following=int(friends.sum()),
        )
        for handle, age_s, friends in zip(handles, ages_s, truth.friends, strict=True)
    )


def _draw_challenges(
    config: WorldConfig, ids: IdSource, rng: np.random.Generator
) -> tuple[Challenge, ...]:
    challenges = []
    for phrase in wording.draw_challenge_phrases(rng, config.num_challenges):
        tags = wording.challenge_tags(phrase)
        title = f"{phrase.title()} Song"
        challenges.append(
            Challenge(
                name=tags[0],
                phrase=phrase,
                hashtags=tags,
                sound=Sound(ids.draw(START_TIME), title, "DJ Synthetic", False),
            )
        )
    return tuple(challenges)
