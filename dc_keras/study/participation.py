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
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from dc_keras.errors import DataError
from dc_keras.escaping import escape_controls

if TYPE_CHECKING:
    from dc_keras.study.study import Study

_POOL_DOMAIN = "dc_keras/support pool/"


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


def resolve_grid(study: Study, videos: pl.DataFrame, support: str) -> Grid:
    """Resolves a Study on the videos of a corpus.

    Args:
        study: the Study, all overrides applied.
        videos: the corpus's table of posts.
        support: "outside_panel" or "included".

    Returns:
        The grid.

    Raises:
        DataError: nobody is left for the panel.
    """
    posts = _dated(study, videos.select("video_id", "user_id", "create_time", "views"))
    joins = find_joins(study, videos).join(posts, on="video_id", maintain_order="left")
    pool = _pool(study, posts) if support == "outside_panel" else None
    past = posts.filter("is_past")
    free = past.join(joins, on="video_id", how="anti")
    histories = _histories(study, free)
    describing = joins if pool is None else joins.filter(pl.col("user_id").is_in(pool))
    chosen_support = _support(study, describing.filter("is_past"))
    panel, left_out = _panel(study, posts, joins, histories, pool)
    if not panel:
        reasons = ", ".join(f"{what}: {n}" for what, n in left_out.items())
        raise DataError(
            "no user is left for the panel; loosen `history_min` or "
            "`min_participations`, or import more posts. Received: "
            f"num_users={posts['user_id'].n_unique()} ({reasons})"
        )
    labels, observed = _label(study, joins, panel)
    shown = {
        v for ids in (*chosen_support, *(histories[u] for u in panel)) for v in ids
    }
    owners = posts.filter(pl.col("video_id").is_in(shown)).sort("video_id")
    witnesses = sorted((pool or set()) & histories.keys())
    undated = posts.filter(pl.col("is_past").is_null()).height
    return Grid(
        challenges=tuple(challenge.name for challenge in study.challenges),
        users=panel,
        labels=labels,
        observed=observed,
        histories=tuple(histories[user] for user in panel),
        support=chosen_support,
        video_users=dict(owners.select("video_id", "user_id").iter_rows()),
        pool_users=tuple(witnesses),
        pool_histories=tuple(histories[user] for user in witnesses),
        settings=_settings(study, support),
        counts=left_out | {"posts without a date": undated},
    )


def user_histories(
    study: Study, videos: pl.DataFrame, user_ids: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Returns what a study lets a model see of users, in the panel or not.

    Args:
        study: the Study, all overrides applied.
        videos: the corpus's table of posts.
        user_ids: pseudonyms.

    Returns:
        Video ids a user, newest first, as in `Grid.histories`; without the users who
        have no such posts.
    """
    own = videos.filter(pl.col("user_id").is_in(user_ids))
    posts = _dated(study, own.select("video_id", "user_id", "create_time"))
    free = posts.filter("is_past").join(
        find_joins(study, own), on="video_id", how="anti"
    )
    return _histories(study, free)


def in_pool(user_id: str, fraction: float) -> bool:
    """Whether a user is set aside to describe challenges, by a hash of the id alone.

    Args:
        user_id: the pseudonym.
        fraction: share of users in the pool.
    """
    digest = hashlib.sha256((_POOL_DOMAIN + user_id).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def _dated(study: Study, posts: pl.DataFrame) -> pl.DataFrame:
    """Adds `is_past`: before the cutoff; null where no date tells."""
    is_past = pl.lit(True)
    if study.cutoff is not None:
        is_past = pl.col("create_time") < study.cutoff
    return posts.with_columns(is_past=is_past)


def find_joins(study: Study, videos: pl.DataFrame) -> pl.DataFrame:
    """Returns a row a post and challenge it belongs to, sorted.

    Args:
        study: names the challenges.
        videos: the posts.

    Returns:
        Columns `video_id` and `challenge`, the position of the challenge in the study.
    """
    tags: dict[str, int] = {}
    sounds: dict[str, int] = {}
    for column, challenge in enumerate(study.challenges):
        tags |= dict.fromkeys(challenge.hashtags, column)
        sounds |= dict.fromkeys(challenge.sounds, column)
    by_tag = videos.select("video_id", mark="hashtags").explode("mark")
    by_sound = videos.select("video_id", mark="music_id")
    found = [
        marked.with_columns(
            challenge=pl.col("mark").replace_strict(
                list(owners), list(owners.values()), default=None, return_dtype=pl.Int64
            )
        )
        for marked, owners in ((by_tag, tags), (by_sound, sounds))
        if owners
    ]
    joins = pl.concat(found).drop_nulls("challenge")
    return joins.select("video_id", "challenge").unique().sort("video_id", "challenge")


def _pool(study: Study, posts: pl.DataFrame) -> set[str]:
    users = posts["user_id"].unique()
    return {user for user in users if in_pool(user, study.pool_fraction)}


def _histories(study: Study, free: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    newest = free.sort(
        "create_time", "video_id", descending=[True, False], nulls_last=True
    )
    grouped = newest.group_by("user_id").agg(pl.col("video_id").head(study.history_max))
    return {user: tuple(ids) for user, ids in grouped.iter_rows()}


def _support(study: Study, joins: pl.DataFrame) -> tuple[tuple[str, ...], ...]:
    key = "create_time" if study.support_order == "newest" else "views"
    ordered = joins.sort(key, "video_id", descending=[True, False], nulls_last=True)
    return tuple(
        tuple(
            ordered.filter(pl.col("challenge") == column)["video_id"].head(
                study.support_max
            )
        )
        for column in range(len(study.challenges))
    )


def _panel(
    study: Study,
    posts: pl.DataFrame,
    joins: pl.DataFrame,
    histories: Mapping[str, tuple[str, ...]],
    pool: set[str] | None,
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The panel, sorted, and why the others are not in it."""
    joined: Counter[str] = Counter(
        joins.filter("is_past").unique(["user_id", "challenge"])["user_id"]
    )
    panel: list[str] = []
    left_out = {
        "users who describe challenges": 0,
        "users with too few posts": 0,
        "users with too few participations": 0,
    }
    for user in sorted(posts["user_id"].unique()):
        if pool is not None and user in pool:
            left_out["users who describe challenges"] += 1
        elif len(histories.get(user, ())) < study.history_min:
            left_out["users with too few posts"] += 1
        elif joined[user] < study.min_participations:
            left_out["users with too few participations"] += 1
        else:
            panel.append(user)
    return tuple(panel), left_out


def _label(
    study: Study, joins: pl.DataFrame, panel: tuple[str, ...]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Labels and observed, both (num_users, num_challenges)."""
    shape = (len(panel), len(study.challenges))
    labels = np.zeros(shape, np.int8)
    observed = np.ones(shape, np.bool_)
    rows = {user: row for row, user in enumerate(panel)}
    for user, column, is_past in joins.select(
        "user_id", "challenge", "is_past"
    ).iter_rows():
        if user not in rows:
            continue
        is_label = study.cutoff is None or is_past is False
        if is_label:
            labels[rows[user], column] = 1
        else:
            observed[rows[user], column] = False
    labels[~observed] = 0
    return labels, observed


def _settings(study: Study, support: str) -> dict[str, Any]:
    marks = {
        challenge.name: {
            "hashtags": list(challenge.hashtags),
            "sounds": list(challenge.sounds),
        }
        for challenge in study.challenges
    }
    return study.settings() | {"support": support, "challenges": marks}


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
