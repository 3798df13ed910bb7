"""Builds the graph of whichtok from one of its stems.

    group = UserGroup.read("crawl")                 # crawl/users.json
    graph = UserGraph(group, ["used_hashtags", "sugg_sounds"])

The weight of an edge is that of whichtok: the sum over the criteria of the size of the
overlap divided by the mean of both sizes. docs/social.md lists the differences from
whichtok 0.0.3: groups share no state, no network is used, users without things do not
divide by zero, edges of weight 0 are omitted, hashtags are parsed correctly, and a
sound is identified by its title everywhere.

A stem contains handles in the clear, unlike a corpus. To keep data, import the stem
with `python -m pipelines.import_corpus`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from scipy import sparse

from dc_keras.corpus.records import normalize_hashtag
from dc_keras.errors import DataError
from dc_keras.social.affiliations import (
    STOP_TAGS,
    Affiliations,
    count_affiliations,
)
from dc_keras.social.graph import Layer, SocialGraph, to_canonical
from dc_keras.social.sharing import build_shared_layer

CRITERIA = ("used_hashtags", "used_sounds", "sugg_hashtags", "sugg_sounds")
USERS_FILE = "users.json"


@dataclass(frozen=True)
class TikTokUser:
    """One user of a group.

    Attributes:
        handle: the name after the @.
        used_hashtags: normalised hashtags of the user's posts.
        used_sounds: titles of the sounds of the user's posts.
        sugg_hashtags: normalised hashtags suggested next to the user.
        sugg_sounds: titles of sounds suggested next to the user.
    """

    handle: str
    used_hashtags: frozenset[str] = frozenset()
    used_sounds: frozenset[str] = frozenset()
    sugg_hashtags: frozenset[str] = frozenset()
    sugg_sounds: frozenset[str] = frozenset()


@dataclass(frozen=True)
class UserGroup:
    """Users by handle, sorted."""

    users: Mapping[str, TikTokUser] = field(default_factory=dict)

    @classmethod
    def of(cls, users: Iterable[TikTokUser]) -> UserGroup:
        """Returns a group of users; the last of equal handles is used."""
        found = {user.handle: user for user in users}
        return cls(dict(sorted(found.items())))

    @classmethod
    def read(cls, stem: str | Path) -> UserGroup:
        """Reads `users.json` of a stem.

        Raises:
            DataError: the file does not exist, or has another format.
        """
        path = Path(stem) / USERS_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            users = [_user(handle, record) for handle, record in content.items()]
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise DataError(
                f"a stem must have a {USERS_FILE} with an object of users by handle. "
                f"Received: stem={stem}"
            ) from error
        return cls.of(users)


class UserGraph:
    """The graph of a group, with the weights of whichtok.

    Args:
        group: the users.
        edge_criteria: distinct names of `CRITERIA`.

    Attributes:
        graph: a graph with the layer "shared space", whose users are handles.

    Raises:
        DataError: a criterion is unknown or repeated, or there is none.
    """

    def __init__(
        self, group: UserGroup, edge_criteria: Sequence[str] = CRITERIA
    ) -> None:
        unknown = [name for name in edge_criteria if name not in CRITERIA]
        repeats = len(set(edge_criteria)) < len(edge_criteria)
        if unknown or repeats or not edge_criteria:
            raise DataError(
                f"edge_criteria must be distinct names of {', '.join(CRITERIA)}. "
                f"Received: edge_criteria={list(edge_criteria)}"
            )
        handles = tuple(group.users)
        total = sparse.csr_array((len(handles),) * 2)
        for name in edge_criteria:
            has = {user.handle: getattr(user, name) for user in group.users.values()}
            total += _overlap(name, has).weights
        layer = Layer("shared space", to_canonical(total))
        self.graph = SocialGraph(handles, (layer,))

    def weight(self, first: str, second: str) -> float:
        """Returns the weight of the edge between two users, 0 without an edge.

        Raises:
            DataError: a user is not in the group.
        """
        rows = []
        for handle in (first, second):
            if handle not in self.graph.row_of:
                raise DataError(f"a user must be in the group. Received: user={handle}")
            rows.append(self.graph.row_of[handle])
        return float(self.graph.layers[0].weights[rows[0], rows[1]])


def find_group_names(group: UserGroup) -> Affiliations:
    """Returns the affiliations that name the communities of a group.

    Returns:
        Used and suggested hashtags as "#tag", without `STOP_TAGS`, and sounds as
        "♫ title".
    """
    has = {
        user.handle: {
            *(
                f"#{tag}"
                for tag in (user.used_hashtags | user.sugg_hashtags) - STOP_TAGS
            ),
            *(f"♫ {title}" for title in user.used_sounds | user.sugg_sounds),
        }
        for user in group.users.values()
    }
    return _count("name", has)


def _overlap(name: str, has: Mapping[str, Iterable[str]]) -> Layer:
    layer = build_shared_layer(_count(name, has), "whichtok")
    return Layer("shared space", layer.weights)


def _count(name: str, has: Mapping[str, Iterable[str]]) -> Affiliations:
    rows = [(owner, thing) for owner, things in has.items() for thing in things]
    schema = {"user_id": pl.String, "thing": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return count_affiliations(name, has, table)


def _user(handle: str, record: Mapping[str, Any]) -> TikTokUser:
    def tags(name: str) -> frozenset[str]:
        found = (normalize_hashtag(_name(value)) for value in record.get(name) or ())
        return frozenset(filter(None, found))

    def titles(name: str) -> frozenset[str]:
        found = (_name(value).strip() for value in record.get(name) or ())
        return frozenset(filter(None, found))

    return TikTokUser(
        handle,
        used_hashtags=tags("used_hashtags"),
        used_sounds=titles("used_sounds"),
        sugg_hashtags=tags("sugg_hashtags"),
        sugg_sounds=titles("sugg_sounds"),
    )


def _name(value: Any) -> str:
    """Returns a text, or the title or name of an object."""
    if isinstance(value, Mapping):
        value = value.get("title") or value.get("name") or ""
    return str(value)
