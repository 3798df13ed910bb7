"""The posts of the simulated world, before they become web items and mp4 files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dc_keras.simulation import wording
from dc_keras.simulation.cast import Cast, IdSource, Sound
from dc_keras.simulation.ground_truth import (
    END_TIME,
    LOOK_DIM,
    START_TIME,
    TASTE_DIM,
    Truth,
    WorldConfig,
)

_DAY_S = 86_400

_OTHER_LANGUAGE_SHARE = 0.15
_EMPTY_CAPTION_SHARE = 0.04
_MENTION_SHARE = 0.1
_TOPIC_SOUND_SHARE = 0.6

# Weight of the challenge's taste in a challenge post; the rest is its author's.
_CHALLENGE_WEIGHT = 0.6
_CHALLENGE_SOUND_SHARE = 0.8
_CHALLENGE_PHRASE_SHARE = 0.5
_DUET_SHARE = 0.25
_MEAN_TAGS = 1.2


@dataclass(frozen=True, slots=True)
class SimulatedPost:
    """One post of the world.

    Attributes:
        video_id: 19 digits; `video_id >> 32` is `create_time`.
        user: index of the author.
        challenge: index of the challenge; None for a post outside of challenges.
        create_time: UTC seconds since 1970.
        caption: as posted, "" for none.
        mentions: indices of the mentioned users.
        sound: its sound.
        look: visual taste, LOOK_DIM components.
        duration_s: length, seconds.
        num_views: plays at collection time.
        duet_of: id of the post that it is a duet with; None for none.
        has_media: whether there is a video file.
    """

    video_id: str
    user: int
    challenge: int | None
    create_time: int
    caption: str
    mentions: tuple[int, ...]
    sound: Sound
    look: tuple[float, ...]
    duration_s: float
    num_views: int
    duet_of: str | None
    has_media: bool


@dataclass(frozen=True, eq=False)
class PostWriter:
    """Writes the posts of all users."""

    config: WorldConfig
    truth: Truth
    cast: Cast
    ids: IdSource
    rng: np.random.Generator

    def write(self) -> tuple[SimulatedPost, ...]:
        """Returns all posts, oldest first."""
        posts = []
        for user in range(self.config.num_users):
            # Users with a high propensity also post and tag more, so it is observable.
            extra = self.rng.poisson(np.exp(self.truth.propensity[user]))
            for _ in range(self.config.videos_per_user + int(extra)):
                posts.append(self._write_own(user))
        for challenge in range(self.config.num_challenges):
            posts += self._write_challenge(challenge)
        return tuple(sorted(posts, key=lambda post: int(post.video_id)))

    def _write_own(self, user: int) -> SimulatedPost:
        time = int(self.rng.integers(START_TIME, END_TIME))
        taste = self._disturb(self.truth.user_tastes[user])
        weights = wording.taste_weights(taste[LOOK_DIM:])
        mentions = self._draw_mentions(user)
        caption = ""
        if self.rng.random() >= _EMPTY_CAPTION_SHARE:
            caption = self._draw_caption(user, weights, mentions=mentions)
        return self._assemble(
            user=user,
            time=time,
            taste=taste,
            caption=caption,
            mentions=mentions if caption else (),
            sound=self._draw_sound(user, weights),
        )

    def _write_challenge(self, challenge: int) -> list[SimulatedPost]:
        days = self.truth.join_days[:, challenge]
        members = np.flatnonzero(self.truth.joined[:, challenge])
        posts: dict[int, SimulatedPost] = {}
        for user in members[np.argsort(days[members], kind="stable")].tolist():
            moved_by = int(self.truth.joined_from[user, challenge])
            is_duet = moved_by >= 0 and self.rng.random() < _DUET_SHARE
            original = posts[moved_by].video_id if is_duet else None
            time = START_TIME + int(days[user] * _DAY_S)
            posts[user] = self._write_participation(user, challenge, time, original)
        return list(posts.values())

    def _write_participation(
        self, user: int, challenge: int, time: int, duet_of: str | None
    ) -> SimulatedPost:
        what = self.cast.challenges[challenge]
        taste = self._disturb(
            _CHALLENGE_WEIGHT * self.truth.challenge_tastes[challenge]
            + (1 - _CHALLENGE_WEIGHT) * self.truth.user_tastes[user]
        )
        weights = wording.taste_weights(taste[LOOK_DIM:])
        tags = (wording.draw_tag_spelling(self.rng, what.phrase),)
        caption = self._draw_caption(user, weights, tags=tags)
        if self.rng.random() < _CHALLENGE_PHRASE_SHARE:
            caption = f"{what.phrase}! {caption}"
        is_usual_sound = self.rng.random() < _CHALLENGE_SOUND_SHARE
        return self._assemble(
            user=user,
            time=time,
            taste=taste,
            caption=caption,
            sound=what.sound if is_usual_sound else self._draw_sound(user, weights),
            challenge=challenge,
            duet_of=duet_of,
        )

    def _assemble(
        self,
        *,
        user: int,
        time: int,
        taste: NDArray[np.float64],
        caption: str,
        sound: Sound,
        mentions: tuple[int, ...] = (),
        challenge: int | None = None,
        duet_of: str | None = None,
    ) -> SimulatedPost:
        reach = self.cast.accounts[user].num_followers * self.rng.lognormal(sigma=1.0)
        return SimulatedPost(
            video_id=self.ids.draw(time),
            user=user,
            challenge=challenge,
            create_time=time,
            caption=caption,
            mentions=mentions,
            sound=sound,
            look=tuple(taste[:LOOK_DIM].tolist()),
            duration_s=self.config.duration_s * float(self.rng.uniform(0.8, 1.2)),
            num_views=int(reach) + 1,
            duet_of=duet_of,
            has_media=bool(self.rng.random() >= self.config.text_only_share),
        )

    def _disturb(self, taste: NDArray[np.float64]) -> NDArray[np.float64]:
        return taste + self.rng.normal(scale=self.config.video_noise, size=TASTE_DIM)

    def _draw_caption(
        self,
        user: int,
        weights: NDArray[np.float64],
        *,
        tags: tuple[str, ...] = (),
        mentions: tuple[int, ...] = (),
    ) -> str:
        language = self.cast.accounts[user].language
        if self.rng.random() < _OTHER_LANGUAGE_SHARE:
            language = "en" if language == "es" else "es"
        return wording.draw_caption(
            self.rng,
            weights,
            language=language,
            mean_tags=_MEAN_TAGS * float(np.exp(self.truth.propensity[user])),
            tags=tags,
            mentions=tuple(self.cast.accounts[other].handle for other in mentions),
        )

    def _draw_mentions(self, user: int) -> tuple[int, ...]:
        friends = np.flatnonzero(self.truth.friends[user])
        if not len(friends) or self.rng.random() >= _MENTION_SHARE:
            return ()
        return (int(self.rng.choice(friends)),)

    def _draw_sound(self, user: int, weights: NDArray[np.float64]) -> Sound:
        if self.rng.random() >= _TOPIC_SOUND_SHARE:
            return self.cast.own_sounds[user]
        topic = wording.draw_topic(self.rng, weights)
        return self.cast.topic_sounds[wording.pick(self.rng, topic.sounds)]
