"""Studies: the challenges, users and posts of an evaluation.

A study is a TOML file (see studies/) that turns a corpus into a participation grid. The
paper describes its study in Sections III-A and III-B; eq. (1) and (2) define the sizes.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from dc_keras.errors import DataError, require_type
from dc_keras.study.challenge import Challenge, reject_unknown

__all__ = ["Challenge", "Study", "SupportOrder", "SupportRule"]

SupportOrder = Literal["newest", "views"]
SupportRule = Literal["outside_panel", "included"]


@dataclass(frozen=True, slots=True)
class Study:
    """The settings that turn a corpus into a participation grid.

    Attributes:
        name: name of the study.
        challenges: challenges in the order of the file.
        history_max: maximum number of posts per user, m of eq. (2), at least 1.
        history_min: minimum number of posts of a user in the panel, 1 to `history_max`.
        min_participations: minimum number of challenges that a user in the panel has
            joined, at least 0. With a cutoff, only participations before it count;
            otherwise the labels would select the users.
        cutoff: UTC seconds. Histories and support use posts before it, labels use posts
            from it on. None labels a user by all posts, as the paper does.
        pool_fraction: share of the users whose posts describe the challenges and who
            are not in the panel, strictly between 0 and 1.
        support_max: maximum number of posts per challenge, n of eq. (1), at least 1.
        support_order: order in which these posts are taken, "newest" or "views" (most
            viewed first).

    Raises:
        DataError: if a value is outside its range, there is no challenge, or two
            challenges share a hashtag or sound.
    """

    name: str
    challenges: tuple[Challenge, ...]
    history_max: int = 8
    history_min: int = 1
    min_participations: int = 1
    cutoff: int | None = None
    pool_fraction: float = 0.25
    support_max: int = 1000
    support_order: SupportOrder = "newest"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise DataError(f"`name` must be a text. Received: name={self.name!r}")
        if not self.challenges:
            raise DataError("a study must have at least one challenge. Received: none")
        for challenge in self.challenges:
            require_type("challenges", challenge, Challenge)
        _reject_shared(self.challenges)
        num_challenges = len(self.challenges)
        for name, low, high in (
            ("history_max", 1, None),
            ("history_min", 1, self.history_max),
            ("min_participations", 0, num_challenges),
            ("support_max", 1, None),
        ):
            _require_int(name, getattr(self, name), low, high)
        if self.cutoff is not None:
            _require_int("cutoff", self.cutoff, 0, None)
        fraction = self.pool_fraction
        if isinstance(fraction, bool) or not isinstance(fraction, int | float):
            raise DataError(f"`pool_fraction` must be a number. Received: {fraction!r}")
        if not 0 < fraction < 1:
            raise DataError(
                "`pool_fraction` must lie between 0 and 1, both left out. "
                f"Received: pool_fraction={fraction}"
            )
        require_choice("support_order", self.support_order, get_args(SupportOrder))

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """Reads a study file.

        Raises:
            DataError: if the file is not TOML, has unknown keys or a value outside its
                range, or does not exist; the message begins with the file's name.
        """
        path = Path(path)
        try:
            return cls.of(tomllib.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise DataError(f"{path}: there is no such study file") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: not TOML ({error})") from error
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    @classmethod
    def of(cls, tables: Mapping[str, Any]) -> Study:
        """Builds a study from its parsed TOML tables.

        Raises:
            DataError: if there are unknown keys or values outside their range.
        """
        reject_unknown("the file", tables, ("study", "challenges"))
        settings, challenges = tables.get("study"), tables.get("challenges")
        if not isinstance(settings, dict) or "name" not in settings:
            raise DataError("[study] with a `name` is missing")
        if not isinstance(challenges, dict):
            raise DataError("at least one [challenges.NAME] is needed. Received: none")
        reject_unknown("[study]", settings, _setting_names())
        if "cutoff" in settings:
            settings = settings | {"cutoff": parse_cutoff(settings["cutoff"])}
        named = tuple(Challenge.of(name, table) for name, table in challenges.items())
        return cls(challenges=named, **settings)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Study:
        """Builds the study of `Grid.settings`, including its overrides.

        Raises:
            DataError: if there are unknown keys or values outside their range.
        """
        named = settings["challenges"]
        plain = {k: settings[k] for k in settings.keys() - {"challenges", "support"}}
        if plain["cutoff"] is None:
            del plain["cutoff"]
        return cls.of({"study": plain, "challenges": named})

    def with_settings(self, **overrides: Any) -> Study:
        """Returns a copy of the study with some settings replaced.

        Args:
            **overrides: any attribute except `challenges`; `cutoff` may be a date.

        Raises:
            DataError: if a setting is unknown or a value is outside its range.
        """
        reject_unknown("the overrides", overrides, _setting_names())
        if overrides.get("cutoff") is not None:
            overrides["cutoff"] = parse_cutoff(overrides["cutoff"])
        return dataclasses.replace(self, **overrides)

    def settings(self) -> dict[str, Any]:
        """Returns every setting by name, as plain values."""
        return {name: getattr(self, name) for name in _setting_names()}


def parse_cutoff(value: object, name: str = "cutoff") -> int:
    """Returns a cutoff in UTC seconds.

    Args:
        value: UTC seconds, a date (its first second in UTC) or a time with a zone; the
            latter two as objects or as ISO 8601 text.
        name: name of the option, for messages.

    Raises:
        DataError: if the value is none of these, or a time without a zone.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            is_day = len(value) == len("2020-12-19")
            parse = date.fromisoformat if is_day else datetime.fromisoformat
            value = parse(value)
        except ValueError as error:
            raise DataError(
                f"`{name}` must be a date such as 2020-12-19. Received: {name}={value}"
            ) from error
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise DataError(
            f"`{name}` must be a date such as 2020-12-19, or a time with a zone. "
            f"Received: {name}={value}"
        )
    return int(value.timestamp())


def _setting_names() -> tuple[str, ...]:
    names = (field.name for field in dataclasses.fields(Study))
    return tuple(name for name in names if name != "challenges")


def _reject_shared(challenges: tuple[Challenge, ...]) -> None:
    owners: dict[tuple[str, str], str] = {}
    for challenge in challenges:
        marks = [("hashtag", tag) for tag in challenge.hashtags]
        marks += [("sound", sound) for sound in challenge.sounds]
        for kind, mark in marks:
            owner = owners.setdefault((kind, mark), challenge.name)
            if owner != challenge.name:
                raise DataError(
                    f"a {kind} must belong to one challenge. Received: {mark!r} in "
                    f"{owner} and in {challenge.name}"
                )


def _require_int(name: str, value: object, low: int, high: int | None) -> None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value < low or (high is not None and value > high):  # type: ignore[operator]
        span = f"at least {low}" if high is None else f"between {low} and {high}"
        raise DataError(
            f"`{name}` must be a whole number, {span}. Received: {name}={value!r}"
        )


def require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raises a DataError if a value is not one of the choices."""
    if value not in choices:
        raise DataError(
            f"`{name}` must be one of {', '.join(choices)}. Received: {name}={value!r}"
        )
