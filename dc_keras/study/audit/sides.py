"""What each side of a pair may see: whose posts, and from when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from dc_keras.study.participation import Grid
from dc_keras.corpus.records import Video
from dc_keras.study.audit.findings import Check, Finding, named, places
from dc_keras.study.splits import Fold

_Folds = Mapping[str, Fold]


def row_cutoffs(grid: Grid) -> tuple[list[int | None], list[int | None]]:
    """Returns the cutoff of each row and of each column; None without one."""
    single: list[int | None] = [grid.settings.get("cutoff")]
    return (
        list(grid.user_cutoffs or single * len(grid.users)),
        list(grid.challenge_cutoffs or single * len(grid.challenges)),
    )


def shown_videos(grid: Grid) -> set[str]:
    """Returns the ids of all posts that a grid shows to a model."""
    return {
        video
        for lists in (grid.histories, grid.support, grid.pool_histories)
        for ids in lists
        for video in ids
    }


def check_posts(subject: str, grid: Grid, posts: Mapping[str, Video]) -> Check:
    """Asks whether every post shown is in the corpus, and by whom the grid says.

    Args:
        subject: the file or study.
        grid: the posts shown.
        posts: the corpus's posts by id.
    """
    ids = shown_videos(grid)
    unknown = ids - posts.keys()
    wrong = {
        video
        for video in (ids - unknown) & grid.video_users.keys()
        if grid.video_users[video] != posts[video].user_id
    }
    owners = zip(
        (*grid.users, *grid.pool_users),
        (*grid.histories, *grid.pool_histories),
        strict=True,
    )
    strange = {
        video
        for user, history in owners
        for video in history
        if video in posts and posts[video].user_id != user
    }
    findings = [
        Finding(
            "fault",
            f"{len(found)} posts {what}: {named(found)}",
            "resolve the study anew on this corpus",
            places(videos=found),
        )
        for found, what in (
            (unknown, "are not in the corpus"),
            (wrong, "are by somebody else than the manifest says"),
            (strange, "stand in the history of somebody else than their author"),
        )
        if found
    ]
    return Check("posts and their authors", subject, "posts", len(ids), tuple(findings))


def check_own_posts(
    subject: str, grid: Grid, posts: Mapping[str, Video], folds: _Folds
) -> Check:
    """Looks for posts of a pair's user among those that describe its challenge.

    Such a post is there because the user joined: it is the label. In a training pair it
    teaches a model to look for what no judged pair may have.

    Args:
        subject: the file or study.
        grid: the pairs, and the posts that describe each challenge.
        posts: the corpus's posts by id; they say who posted.
        folds: by name; empty where nothing is divided yet.
    """
    num_pairs = int(grid.observed.sum())
    is_trained = {n: _mask(num_pairs, f.train) for n, f in folds.items()}
    is_judged = {n: _mask(num_pairs, f.valid, f.test) for n, f in folds.items()}
    position = np.cumsum(grid.observed.ravel()).reshape(grid.observed.shape) - 1
    rows_of = defaultdict(list)
    for row, user in enumerate(grid.users):
        rows_of[user].append(row)
    findings = []
    for column, challenge in enumerate(grid.challenges):
        trained: dict[str, list[str]] = {}
        for user, own in _by_author(grid.support[column], posts).items():
            rows = [r for r in rows_of.get(user, ()) if grid.observed[r, column]]
            visible = [n for n, fold in folds.items() if user not in fold.hidden_users]
            where = position[rows, column]
            judged = [name for name in visible if is_judged[name][where].any()]
            if rows and (judged or not folds):
                findings.append(_own_post(user, challenge, own, judged))
            elif any(is_trained[name][where].any() for name in visible):
                trained[user] = own
        if trained:
            findings.append(_own_training_posts(challenge, trained))
    name = "own posts among a challenge's"
    return Check(name, subject, "pairs", num_pairs, tuple(findings))


def check_cutoffs(subject: str, grid: Grid, posts: Mapping[str, Video]) -> Check:
    """Looks for posts at or after the cutoff, or without a date.

    Args:
        subject: the file or study.
        grid: the posts shown, and the cutoff of each row and column.
        posts: the corpus's posts by id.
    """
    name = "posts after the cutoff"
    rows, columns = row_cutoffs(grid)
    if None in rows or None in columns:
        return Check.skipped(name, subject, "the study has no cutoff")
    # A history of the pool belongs to no row: a single cutoff is theirs too.
    sides = [
        *zip(["users"] * len(rows), grid.users, rows, grid.histories, strict=True),
        *zip(
            ["challenges"] * len(columns), grid.challenges, columns, grid.support,
            strict=True,
        ),
        *(
            ("users", user, grid.settings.get("cutoff"), history)
            for user, history in zip(grid.pool_users, grid.pool_histories, strict=True)
        ),
    ]  # fmt: skip
    findings, num_checked = [], 0
    for kind, owner, cutoff, ids in sides:
        num_checked += len(ids)
        late = [v for v in ids if v in posts and not _is_before(posts[v], cutoff)]
        if late:
            what = (
                f"{len(late)} posts of {owner} are not before its cutoff {cutoff} "
                f"(UTC seconds), or have no date: {named(late)}"
            )
            where = places(**{kind: [owner], "videos": late})
            advice = "resolve the study anew; the future may not describe anybody"
            findings.append(Finding("leak", what, advice, where))
    return Check(name, subject, "posts", num_checked, tuple(findings))


def _is_before(video: Video, cutoff: int | None) -> bool:
    return (
        video.create_time is not None
        and cutoff is not None
        and video.create_time < cutoff
    )


def _by_author(
    video_ids: Iterable[str], posts: Mapping[str, Video]
) -> dict[str, list[str]]:
    """Returns the known posts among some, by the author that the corpus names."""
    found = defaultdict(list)
    for video in video_ids:
        if video in posts:
            found[posts[video].user_id].append(video)
    return dict(sorted(found.items()))


def _mask(size: int, *parts: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[np.concatenate(parts)] = True
    return mask


def _own_post(
    user: str, challenge: str, videos: list[str], folds: list[str]
) -> Finding:
    when = f"judged in {named(folds)}" if folds else "a pair of the study"
    what = (
        f"{user} × {challenge}, {when}: the user's own {named(videos)} describes the "
        "challenge"
    )
    advice = "use --support=outside_panel, or a split that hides the user"
    where = places(users=[user], challenges=[challenge], videos=videos, folds=folds)
    return Finding("leak", what, advice, where)


def _own_training_posts(challenge: str, trained: Mapping[str, list[str]]) -> Finding:
    videos = [video for ids in trained.values() for video in ids]
    what = (
        f"{challenge} is described by posts of {len(trained)} users who train on it: "
        f"{named(trained)}"
    )
    advice = (
        "a model may learn to look for the user's own post, which judged users lack; "
        "use --support=outside_panel"
    )
    where = places(users=trained, challenges=[challenge], videos=videos)
    return Finding("warning", what, advice, where)
