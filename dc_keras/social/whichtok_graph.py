"""Builds the graph of whichtok from one of its stems.

    group = UserGroup.read("crawl")                 # crawl/users.json
    graph = UserGraph(group, ["used_hashtags", "sugg_sounds"])

The weight of an edge is that of whichtok: the sum over the criteria of the size of the
overlap divided by the mean of both sizes. Edges of weight 0 are omitted.

A stem contains handles in the clear, unlike a corpus. To keep data, import the stem
with `python -m pipelines.import_corpus`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
class UserGroup:
    """Users and their things.

    Attributes:
        users: users by handle, sorted; for each of `CRITERIA`, the normalised hashtags
            or the titles of sounds.
    """

    users: Mapping[str, Mapping[str, frozenset[str]]]

    @classmethod
    def read(cls, stem: str | Path) -> UserGroup:
        """Reads `users.json` of a stem.

        Raises:
            DataError: the file does not exist, or has another format.
        """
        path = Path(stem) / USERS_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                {
                    handle: {name: _things(record, name) for name in CRITERIA}
                    for handle, record in sorted(content.items())
                }
            )
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise DataError(
                f"a stem must have a {USERS_FILE} with an object of users by handle. "
                f"Received: stem={stem}"
            ) from error

    def find_names(self) -> Affiliations:
        """Returns the affiliations that name the communities of the group.

        Returns:
            Used and suggested hashtags as "#tag", without `STOP_TAGS`, and sounds as
            "♫ title".
        """
        return _count(
            "name",
            {
                handle: {
                    f"{'#' if name.endswith('hashtags') else '♫ '}{thing}"
                    for name, things in has.items()
                    for thing in things
                    if name.endswith("sounds") or thing not in STOP_TAGS
                }
                for handle, has in self.users.items()
            },
        )


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
        total = sparse.csr_array((len(group.users),) * 2)
        for name in edge_criteria:
            has = {handle: things[name] for handle, things in group.users.items()}
            total += build_shared_layer(_count(name, has), "whichtok").weights
        layer = Layer("shared space", to_canonical(total))
        self.graph = SocialGraph(tuple(group.users), (layer,))


def _count(name: str, has: Mapping[str, Iterable[str]]) -> Affiliations:
    rows = [(owner, thing) for owner, things in has.items() for thing in things]
    schema = {"user_id": pl.String, "thing": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return count_affiliations(name, has, table)


def _things(record: Mapping[str, Any], criterion: str) -> frozenset[str]:
    """Returns hashtags or titles, which are texts or objects with title or name."""
    normalize = normalize_hashtag if criterion.endswith("hashtags") else str.strip
    texts = (
        value.get("title") or value.get("name") or ""
        if isinstance(value, Mapping)
        else value
        for value in record.get(criterion) or ()
    )
    return frozenset(normalize(str(text)) for text in texts) - {""}
