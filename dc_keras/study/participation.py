"""The participation grid: every pair of user and challenge, and what each side sees.

The task unit is (user u, challenge c, cutoff t): the user side sees posts of u before t
that belong to no focal challenge, the challenge side posts of c before t, and the label
is whether u joins c from t on. Models never choose their own data: the grid's JSON is
the manifest of a study, and its sha256 names it.
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
    """A Study resolved on a corpus.

    Attributes:
        challenges: names, num_challenges of them, in the Study's order.
        users: the panel, num_users user ids, sorted.
        labels: int8 (num_users, num_challenges), 1 joined, 0 not; 0 where there is no
            pair.
        observed: bool (num_users, num_challenges), whether there is a pair: False where
            the user joined before the cutoff, or with a post that has no date.
        histories: video ids a user, newest first, ties by id, no focal challenge among
            them; at most m of eq. (2).
        support: video ids a challenge, in the support order, ties by id; at most n of
            eq. (1), and empty where the corpus has none.
        video_users: video id → user id, for every id in histories and support.
        pool_users: ids of the users set aside to describe challenges, sorted; empty
            where everyone describes them.
        pool_histories: their posts, as in `histories`. They are evidence and never
            judged: who of them joined what is in `support`.
        user_cutoffs: where a grid joins several cutoffs (`temporal.py`), the cutoff of
            each row in UTC seconds; then a user stands once for each. Empty elsewhere.
        challenge_cutoffs: the same of each column.
        settings: the Study's settings and the support rule, as plain values.
        counts: what was left out and why, reason → number.
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
        """Reads what `to_json` wrote.

        Raises:
            DataError: it is no JSON object, a key is missing, or the parts do not fit.
        """
        try:
            manifest = json.loads(text)
        except ValueError as error:
            raise DataError(f"a grid must be JSON ({error})") from error
        known = {item.name for item in dataclasses.fields(cls)} - {"observed"}
        missing = sorted(known - set(manifest if isinstance(manifest, dict) else ()))
        if missing:
            raise DataError(
                f"a grid must have {', '.join(sorted(known))}. Received one without "
                f"{', '.join(missing)}: written by another version?"
            )
        cells = manifest.pop("labels")
        tuples = {k: _as_tuples(v) for k, v in manifest.items() if k in known}
        _require_fit(cells, tuples)
        return cls(
            labels=np.array([[cell or 0 for cell in row] for row in cells], np.int8),
            observed=np.array([[c is not None for c in row] for row in cells], bool),
            **tuples,
        )

    @property
    def sha256(self) -> str:
        """Hex digest of `to_json`: the name of these very pairs."""
        return hashlib.sha256(self.to_json().encode("utf-8")).hexdigest()

    def to_json(self) -> str:
        """Returns the manifest: pairs with labels, and the ids that each side sees.

        `labels` there has null where there is no pair. Equal grids give equal text.
        """
        labels = [
            [int(label) if seen else None for label, seen in zip(*row, strict=True)]
            for row in zip(self.labels, self.observed, strict=True)
        ]
        manifest = {
            "settings": self.settings,
            "counts": self.counts,
            "challenges": self.challenges,
            "users": self.users,
            "labels": labels,
            "histories": self.histories,
            "support": self.support,
            "video_users": self.video_users,
            "pool_users": self.pool_users,
            "pool_histories": self.pool_histories,
            "user_cutoffs": self.user_cutoffs,
            "challenge_cutoffs": self.challenge_cutoffs,
        }
        return json.dumps(manifest, sort_keys=True, separators=(",", ":")) + "\n"

    def describe(self) -> str:
        """Returns a few lines for people: sizes, prevalence, a line a challenge."""
        num_pairs = int(self.observed.sum())
        lengths = [len(history) for history in self.histories]
        lines = [
            f"{len(self.users)} users × {len(self.challenges)} challenges, "
            f"{num_pairs} pairs, {_share(int(self.labels.sum()), num_pairs)} joined",
            f"histories of {min(lengths)} to {max(lengths)} posts, "
            f"{sum(lengths)} in all",
        ]
        width = max(map(len, self.challenges))
        for column, name in enumerate(map(escape_controls, self.challenges)):
            joined = int(self.labels[:, column].sum())
            pairs = int(self.observed[:, column].sum())
            lines.append(
                f"  {name:<{width}}  {joined} of {pairs} joined, "
                f"{len(self.support[column])} posts describe it"
            )
        lines += [f"  left out, {what}: {n}" for what, n in self.counts.items() if n]
        return "\n".join(lines)


def _require_fit(cells: Any, parts: Mapping[str, Any]) -> None:
    """Refuses a grid whose parts are not of one number of users and challenges."""
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
    """Lists, and lists of lists, as tuples; everything else as it is."""
    if not isinstance(value, list):
        return value
    return tuple(_as_tuples(item) for item in value)


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.1%})" if whole else f"{part}"
