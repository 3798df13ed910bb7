"""The participation grid: the labels and posts of all (user, challenge) pairs.

An example is (user u, challenge c, cutoff t). The user side has the posts of u before t
that belong to no challenge of the study, the challenge side has the posts of c before
t, and the label is whether u joins c at or after t. The grid's JSON and its sha256
identify the data of a study.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dc_keras.errors import DataError
from dc_keras.escaping import escape_controls


@dataclass(frozen=True, eq=False)
class Grid:
    """A study resolved on a corpus.

    Attributes:
        challenges: names of the `num_challenges` challenges, in the study's order.
        users: ids of the `num_users` users of the panel, sorted.
        labels: int8 (num_users, num_challenges), 1 if the user joined, otherwise 0; 0
            where there is no pair.
        observed: bool (num_users, num_challenges), whether there is a pair. False where
            the user joined before the cutoff, or with a post that has no date.
        histories: video ids of each user, newest first, ties by id, without posts of
            the study's challenges; at most m of eq. (2).
        support: video ids of each challenge, in the support order, ties by id; at most
            n of eq. (1). Empty for a challenge without posts.
        video_users: user id of every video id in `histories` and `support`.
        pool_users: ids of the users of the support pool, whose posts describe the
            challenges, sorted; empty if the posts of all users do.
        pool_histories: their posts, as in `histories`. Users of the pool have no
            labels; their participations are in `support`.
        user_cutoffs: cutoff of each row in UTC seconds, in a grid that joins several
            cutoffs (`temporal.py`) and has one row per user and cutoff; otherwise
            empty.
        challenge_cutoffs: cutoff of each column, likewise.
        settings: settings of the study and the support rule, as plain values.
        counts: number of excluded users and posts, by reason.
    """

    challenges: tuple[str, ...]
    users: tuple[str, ...]
    labels: npt.NDArray[np.int8]
    observed: npt.NDArray[np.bool_]
    histories: tuple[tuple[str, ...], ...]
    support: tuple[tuple[str, ...], ...]
    video_users: Mapping[str, str]
    pool_users: tuple[str, ...] = ()
    pool_histories: tuple[tuple[str, ...], ...] = ()
    user_cutoffs: tuple[int, ...] = ()
    challenge_cutoffs: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Grid:
        """Reads a grid from the JSON of `to_json`.

        Raises:
            DataError: if the text is not a JSON object, a key is missing, or the sizes
                of the parts do not match.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise DataError(f"a grid must be JSON ({error})") from error
        known = {item.name for item in _json_fields()}
        missing = sorted(known - set(values if isinstance(values, dict) else ()))
        if missing:
            raise DataError(
                f"a grid must have {', '.join(sorted(known))}. Received one without "
                f"{', '.join(missing)}: written by another version?"
            )
        cells = values.pop("labels")
        tuples = {k: _as_tuples(v) for k, v in values.items() if k in known}
        _require_fit(cells, tuples)
        return cls(
            labels=np.array([[cell or 0 for cell in row] for row in cells], np.int8),
            observed=np.array([[c is not None for c in row] for row in cells], bool),
            **tuples,
        )

    @property
    def sha256(self) -> str:
        """Hex digest of `to_json`, which identifies the grid."""
        return hashlib.sha256(self.to_json().encode("utf-8")).hexdigest()

    def to_json(self) -> str:
        """Returns the grid as JSON; equal grids give equal text.

        `labels` is null where there is no pair.
        """
        labels = [
            [int(label) if pair else None for label, pair in zip(*row, strict=True)]
            for row in zip(self.labels, self.observed, strict=True)
        ]
        values = {item.name: getattr(self, item.name) for item in _json_fields()}
        values["labels"] = labels
        return json.dumps(values, sort_keys=True, separators=(",", ":")) + "\n"

    def describe(self) -> str:
        """Returns a summary as text: sizes, prevalence and one line per challenge."""
        num_pairs = int(self.observed.sum())
        lengths = [len(history) for history in self.histories]
        lines = [
            f"{len(self.users)} users × {len(self.challenges)} challenges, "
            f"{num_pairs} pairs, {_share(int(self.labels.sum()), num_pairs)} joined",
            f"histories of {min(lengths)} to {max(lengths)} posts, "
            f"{sum(lengths)} in total",
        ]
        width = max(map(len, self.challenges))
        for column, name in enumerate(map(escape_controls, self.challenges)):
            joined = int(self.labels[:, column].sum())
            pairs = int(self.observed[:, column].sum())
            lines.append(
                f"  {name:<{width}}  {joined} of {pairs} joined, "
                f"{len(self.support[column])} support posts"
            )
        lines += [f"  left out, {what}: {n}" for what, n in self.counts.items() if n]
        return "\n".join(lines)


def _json_fields() -> list[dataclasses.Field[Any]]:
    """Returns the fields of `Grid.to_json`, where null labels stand for `observed`."""
    return [item for item in dataclasses.fields(Grid) if item.name != "observed"]


def _require_fit(cells: Any, parts: Mapping[str, Any]) -> None:
    """Raises an error if the sizes of the parts of a grid do not match."""
    try:
        num_users, num_challenges = len(parts["users"]), len(parts["challenges"])
        fits = (
            [len(row) for row in cells] == [num_challenges] * num_users
            and {cell for row in cells for cell in row} <= {0, 1, None}
            and len(parts["histories"]) == num_users
            and len(parts["support"]) == num_challenges
            and len(parts["pool_histories"]) == len(parts["pool_users"])
            and len(parts["user_cutoffs"]) in (0, num_users)
            and len(parts["challenge_cutoffs"]) in (0, num_challenges)
        )
    except TypeError:
        fits = False
    if not fits:
        raise DataError(
            "the labels, histories, support and cutoffs of a grid must fit its users "
            "and challenges. Received: other sizes, or labels other than 0, 1 and null"
        )


def _as_tuples(value: Any) -> Any:
    """Converts lists to tuples, recursively."""
    if not isinstance(value, list):
        return value
    return tuple(_as_tuples(item) for item in value)


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.1%})" if whole else f"{part}"
