"""A Study: which challenges, which users, which posts each side may see.

A Study is a TOML file (see studies/) that turns a corpus into a participation grid. The
paper's study is Sections III-A and III-B; eq. (1) and (2) name the sizes.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from dc_keras.study.challenge import Challenge, reject_unknown
from dc_keras.study.participation import Grid, resolve_grid
from dc_keras.study.unmatched import require_matches
from dc_keras.errors import DataError

if TYPE_CHECKING:
    from dc_keras.corpus.store import Corpus

__all__ = ["Challenge", "Grid", "Study", "SupportOrder", "SupportRule"]

SupportOrder = Literal["newest", "views"]
SupportRule = Literal["outside_panel", "included"]


@dataclass(frozen=True, slots=True)
class Study:
    """The choices that turn a corpus into a participation grid.

    Attributes:
        name: of the study.
        challenges: in the order of the file.
        history_max: posts a user at most, m of eq. (2), at least 1.
        history_min: users with fewer posts are not in the panel; 1 to history_max.
        min_participations: challenges that a user of the panel joined, at least 0. With
            a cutoff only those before it count: choosing users by what they join later
            would let the label choose its own rows.
        cutoff: UTC seconds. Histories and support end before it, labels begin with it;
            None labels a user by all posts, the paper's way.
        pool_fraction: share of the users, 0 < share < 1, whose posts describe the
            challenges and who are in no panel.
        support_max: posts a challenge at most, n of eq. (1), at least 1.
        support_order: which posts come first, "newest" or most "views".

    Raises:
        DataError: a value outside its range, no challenges, or a hashtag or sound that
            belongs to two of them.
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
        _require_choice("support_order", self.support_order, get_args(SupportOrder))

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """Reads a Study file.

        Raises:
            DataError: not TOML, unknown keys, or a value outside its range; the message
                begins with the file's name.
            FileNotFoundError: there is no such file.
        """
        path = Path(path)
        try:
            return cls.of(tomllib.loads(path.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: not TOML ({error})") from error
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    @classmethod
    def of(cls, tables: Mapping[str, Any]) -> Study:
        """Builds a Study from its parsed TOML tables.

        Raises:
            DataError: unknown keys, or a value outside its range.
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
        """Builds the Study that a `Grid.settings` tells of, its overrides included.

        Raises:
            DataError: unknown keys, or a value outside its range.
        """
        named = settings["challenges"]
        plain = {k: settings[k] for k in settings.keys() - {"challenges", "support"}}
        if plain["cutoff"] is None:
            del plain["cutoff"]
        return cls.of({"study": plain, "challenges": named})

    def with_settings(self, **overrides: Any) -> Study:
        """Returns the Study with some settings replaced.

        Args:
            **overrides: any attribute but `challenges`; `cutoff` also as a date.

        Raises:
            DataError: no such setting, or a value outside its range.
        """
        reject_unknown("the overrides", overrides, _setting_names())
        if overrides.get("cutoff") is not None:
            overrides["cutoff"] = parse_cutoff(overrides["cutoff"])
        return dataclasses.replace(self, **overrides)

    def resolve(
        self,
        corpus: Corpus,
        *,
        support: SupportRule = "outside_panel",
        **overrides: Any,
    ) -> Grid:
        """Turns a corpus into a participation grid.

        Args:
            corpus: the corpus; only its `videos` table is read.
            support: "outside_panel" takes the posts that describe a challenge only from
                users set aside for it; "included" takes everyone's, the paper's way,
                which shows the model a positive pair's own post.
            **overrides: settings that differ from the file's.

        Returns:
            The grid: panel, labels, and which posts each side may see.

        Raises:
            DataError: a bad setting, no post that matches any challenge, or nobody is
                left for the panel.
        """
        _require_choice("support", support, get_args(SupportRule))
        require_matches(self.challenges, corpus.videos)
        return resolve_grid(self.with_settings(**overrides), corpus.videos, support)

    def settings(self) -> dict[str, Any]:
        """Returns every setting by name, as plain values."""
        return {name: getattr(self, name) for name in _setting_names()}


def parse_cutoff(value: object) -> int:
    """Returns a cutoff in UTC seconds.

    Args:
        value: a date (its first second), a time with a zone, either as TOML or as ISO
            text, or UTC seconds.

    Raises:
        DataError: none of these, or a time without a zone.
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
                f"`cutoff` must be a date such as 2020-12-19. Received: cutoff={value}"
            ) from error
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise DataError(
            "`cutoff` must be a date such as 2020-12-19, or a time with a zone. "
            f"Received: cutoff={value}"
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


def _require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DataError(
            f"`{name}` must be one of {', '.join(choices)}. Received: {name}={value!r}"
        )
