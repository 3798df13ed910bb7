"""Finds posts with the same media or text, which may leak labels or users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from dc_keras.corpus.records import Video
from dc_keras.study.audit.findings import (
    Check,
    Finding,
    Severity,
    named,
    places,
)
from dc_keras.study.audit.media_hash import MediaHashes, find_copies
from dc_keras.study.participation import Grid
from dc_keras.study.split_manifest import Manifest

_MEDIA = "the same media twice"
_TEXT = "the same caption, sound and length twice"
# Shorter captions repeat by chance.
_MIN_CHARACTERS = 20
# Splits that hold out users.
_COLD_USERS = ("cold_user", "cold_both")


def check_media(
    subject: str, grid: Grid, hashes: MediaHashes, manifests: Iterable[Manifest] = ()
) -> Check:
    """Finds posts of a grid with the same media."""
    uses = _PostUses(grid, manifests)
    hashed = uses.video_ids & set(hashes.video_ids)
    groups = [uses.video_ids & set(group) for group in find_copies(hashes)]
    findings = uses.find_duplicates(groups, "show the same media", "leak")
    return Check(_MEDIA, subject, "posts", len(hashed), tuple(findings))


def check_texts(
    subject: str,
    grid: Grid,
    posts: Mapping[str, Video],
    manifests: Iterable[Manifest] = (),
) -> Check:
    """Finds posts of a grid with the same caption, sound and length.

    Such posts are probably, but not certainly, copies: the findings are warnings.
    """
    uses = _PostUses(grid, manifests)
    known = uses.video_ids & posts.keys()
    groups: dict[object, set[str]] = defaultdict(set)
    for video_id in known:
        video = posts[video_id]
        caption = " ".join(video.caption.casefold().split())
        key = (caption, video.music_id, video.duration_s)
        if len(caption) >= _MIN_CHARACTERS and None not in key:
            groups[key].add(video_id)
    text = "have the same caption, sound and length"
    findings = uses.find_duplicates(groups.values(), text, "warning")
    return Check(_TEXT, subject, "posts", len(known), tuple(findings))


class _PostUses:
    """The users and challenges of each post of a grid.

    Args:
        grid: the histories and support posts.
        manifests: the manifests of the grid.
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
        self._held_out = {
            name: fold.hidden_users
            for manifest in manifests
            if manifest.split in _COLD_USERS
            for name, fold in manifest.folds.items()
        }

    def find_duplicates(
        self, groups: Iterable[Collection[str]], how: str, severity: Severity
    ) -> list[Finding]:
        """Returns a finding for each group of at least two posts.

        Args:
            groups: groups of ids of posts with the same content.
            how: what the posts have in common, as a verb phrase.
            severity: the severity if the group connects a user with a challenge, or
                training users with held-out users; otherwise it is "warning".
        """
        several = sorted(sorted(group) for group in groups if len(group) > 1)
        return [self._describe(group, how, severity) for group in several]

    def _describe(self, group: list[str], how: str, severity: Severity) -> Finding:
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
            parts.append(f"of training users and of held-out users in {named(folds)}")
        is_leak = bool(users and challenges) or bool(folds)
        advice = (
            "keep one of them: a model may recognise the content"
            if is_leak
            else "each copy counts; keep one if that is not intended"
        )
        where = places(users=users, challenges=challenges, videos=group, folds=folds)
        return Finding(
            severity if is_leak else "warning", "; ".join(parts), advice, where
        )
