"""Checks the authors and times of the posts on each side of a pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from dc_keras.corpus.records import Video
from dc_keras.study.audit.findings import Check, Finding, named, places
from dc_keras.study.participation import Grid
from dc_keras.study.splits import Fold

_Folds = Mapping[str, Fold]


def row_cutoffs(grid: Grid) -> tuple[list[int | None], list[int | None]]:
    """Returns the cutoff of each row and of each column; None if there is none."""
    single: list[int | None] = [grid.settings.get("cutoff")]
    return (
        list(grid.user_cutoffs or single * len(grid.users)),
        list(grid.challenge_cutoffs or single * len(grid.challenges)),
    )


def shown_videos(grid: Grid) -> set[str]:
    """Returns the ids of all posts in the histories and support of a grid."""
    return {
        video
        for lists in (grid.histories, grid.support, grid.pool_histories)
        for ids in lists
        for video in ids
    }


def check_posts(subject: str, grid: Grid, posts: Mapping[str, Video]) -> Check:
    """Checks that every post of a grid is in the corpus, by the same author."""
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
    foreign = {
        video
        for user, history in owners
        for video in history
        if video in posts and posts[video].user_id != user
    }
    findings = [
        Finding(
            "fault",
            f"{len(videos)} posts {what}: {named(videos)}",
            "resolve the study again on this corpus",
            places(videos=videos),
        )
        for videos, what in (
            (unknown, "are not in the corpus"),
            (wrong, "have another author in the manifest than in the corpus"),
            (foreign, "are in the history of a user who is not their author"),
        )
        if videos
    ]
    return Check("posts and their authors", subject, "posts", len(ids), tuple(findings))


def check_own_posts(
    subject: str, grid: Grid, posts: Mapping[str, Video], folds: _Folds
) -> Check:
    """Finds posts of a pair's user among those that describe its challenge.

    Such a post exists only if the user joined, so it reveals the label. In a training
    pair, it teaches the model to rely on a post that test pairs do not have.
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
    """Finds posts at or after the cutoff, or without a date."""
    name = "posts after the cutoff"
    rows, columns = row_cutoffs(grid)
    if None in rows or None in columns:
        return Check.skipped(name, subject, "the study has no cutoff")
    # Users of the pool have no row; only a grid with a single cutoff has a pool.
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
            advice = "resolve the study again; later posts must not be model input"
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
    """Returns the posts that are in the corpus, by author."""
    own = defaultdict(list)
    for video in video_ids:
        if video in posts:
            own[posts[video].user_id].append(video)
    return dict(sorted(own.items()))


def _mask(size: int, *parts: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[np.concatenate(parts)] = True
    return mask


def _own_post(
    user: str, challenge: str, videos: list[str], folds: list[str]
) -> Finding:
    when = f"judged in {named(folds)}" if folds else "a pair of the study"
    what = (
        f"{user} × {challenge}, {when}: the challenge is described by the user's own "
        f"posts {named(videos)}"
    )
    advice = "use --support=outside_panel, or a split that hides the user"
    where = places(users=[user], challenges=[challenge], videos=videos, folds=folds)
    return Finding("leak", what, advice, where)


def _own_training_posts(challenge: str, trained: Mapping[str, list[str]]) -> Finding:
    videos = [video for ids in trained.values() for video in ids]
    what = (
        f"{challenge} is described by posts of {len(trained)} of its training users: "
        f"{named(trained)}"
    )
    advice = (
        "a model may learn to rely on the user's own post, which test pairs do not "
        "have; use --support=outside_panel"
    )
    where = places(users=trained, challenges=[challenge], videos=videos)
    return Finding("warning", what, advice, where)
