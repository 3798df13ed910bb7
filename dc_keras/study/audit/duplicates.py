"""The same media or the same text under several ids, and what that gives away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from dc_keras.study.participation import Grid
from dc_keras.corpus.records import Video
from dc_keras.study.audit.findings import (
    Check,
    Finding,
    Severity,
    named,
    places,
)
from dc_keras.study.audit.media_hash import MediaHashes, find_copies
from dc_keras.study.split_manifest import Manifest

_MEDIA = "the same media twice"
_TEXT = "the same caption, sound and length twice"
# Shorter captions repeat by chance.
_LEAST_CHARACTERS = 20
# Splits that call a judged user new.
_COLD_USERS = ("cold_user", "cold_both")


def check_media(
    subject: str, grid: Grid, hashes: MediaHashes, manifests: Iterable[Manifest] = ()
) -> Check:
    """Looks for posts that show the same media.

    Args:
        subject: the files or the study.
        grid: who shows which post.
        hashes: of the posts that have media.
        manifests: those that divide this grid.
    """
    shown = _Shown(grid, manifests)
    hashed = shown.video_ids & set(hashes.video_ids)
    groups = [shown.video_ids & set(group) for group in find_copies(hashes)]
    findings = shown.find(groups, "show the same media", "leak")
    return Check(_MEDIA, subject, "posts", len(hashed), tuple(findings))


def check_texts(
    subject: str,
    grid: Grid,
    posts: Mapping[str, Video],
    manifests: Iterable[Manifest] = (),
) -> Check:
    """Looks for posts with one caption, sound and length: no proof, but a hint.

    Args:
        subject: the files or the study.
        grid: who shows which post.
        posts: the corpus's posts by id.
        manifests: those that divide this grid.
    """
    shown = _Shown(grid, manifests)
    known = shown.video_ids & posts.keys()
    groups: dict[object, set[str]] = defaultdict(set)
    for video_id in known:
        video = posts[video_id]
        caption = " ".join(video.caption.casefold().split())
        key = (caption, video.music_id, video.duration_s)
        if len(caption) >= _LEAST_CHARACTERS and None not in key:
            groups[key].add(video_id)
    text = "have the same caption, sound and length"
    findings = shown.find(groups.values(), text, "warning")
    return Check(_TEXT, subject, "posts", len(known), tuple(findings))


class _Shown:
    """Who shows which post.

    Args:
        grid: histories and support.
        manifests: those that divide the grid.
    """

    def __init__(self, grid: Grid, manifests: Iterable[Manifest]) -> None:
        self._users: dict[str, set[str]] = defaultdict(set)
        self._challenges: dict[str, set[str]] = defaultdict(set)
        for user, history in zip(grid.users, grid.histories, strict=True):
            for video in history:
                self._users[video].add(user)
        for challenge, support in zip(grid.challenges, grid.support, strict=True):
            for video in support:
                self._challenges[video].add(challenge)
        self.video_ids = {*self._users, *self._challenges}
        # Who is held out, by fold: everybody else of the panel trains.
        self._held_out = {
            name: fold.hidden_users
            for manifest in manifests
            if manifest.split in _COLD_USERS
            for name, fold in manifest.folds.items()
        }

    def find(
        self, groups: Iterable[Collection[str]], how: str, worst: Severity
    ) -> list[Finding]:
        """Returns a finding for each group of at least two posts.

        Args:
            groups: ids of posts that are the same in some way.
            how: what they have in common, as a verb.
            worst: the severity where they give something away.
        """
        several = sorted(sorted(group) for group in groups if len(group) > 1)
        return [self._judge(group, how, worst) for group in several]

    def _judge(self, group: list[str], how: str, worst: Severity) -> Finding:
        users = set().union(*(self._users.get(v, ()) for v in group))
        challenges = set().union(*(self._challenges.get(v, ()) for v in group))
        folds = [
            name
            for name, held_out in self._held_out.items()
            if users & held_out and users - held_out
        ]
        parts = [f"posts {named(group)} {how}"]
        if users and challenges:
            parts.append(
                f"in the history of {named(users)} and among the posts of "
                f"{named(challenges)}"
            )
        if folds:
            parts.append(f"of users who train and who are held out in {named(folds)}")
        tells = bool(users and challenges) or bool(folds)
        advice = (
            "keep one of them: a model may know it again"
            if tells
            else "it counts as often as it stands there; keep one if that is not meant"
        )
        where = places(users=users, challenges=challenges, videos=group, folds=folds)
        severity = worst if tells else "warning"
        return Finding(severity, "; ".join(parts), advice, where)
