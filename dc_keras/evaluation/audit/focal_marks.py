"""What tells that a post belongs to a challenge: its hashtags, spellings and sounds.

On the user's side a mark tells the label; on the challenge's side it tells a proxy the
class that it is asked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dc_keras.corpus.challenge import Challenge
from dc_keras.corpus.grid import Grid
from dc_keras.corpus.records import Video, find_hashtags, normalize_hashtag
from dc_keras.evaluation.audit.findings import Check, Finding, named, places

NO_MARKS = "neither the grid nor a study says what marks its challenges"
_NAME = "challenge marks in histories"
_CAPTIONS = "challenge hashtags in captions"


def focal_challenges(
    grid: Grid, study: Sequence[Challenge] = ()
) -> tuple[Challenge, ...]:
    """Returns the challenges of a grid and of a study file, with all their marks.

    Args:
        grid: its settings name hashtags and sounds, as they were when it was resolved.
        study: the challenges of a study file, which has the spellings too.
    """
    marks = grid.settings.get("challenges", {})
    return (*(Challenge.of(*item) for item in marks.items()), *study)


def find_marks(video: Video, challenges: Iterable[Challenge]) -> dict[str, set[str]]:
    """Returns the marks that a post shows, by challenge.

    Args:
        video: the post; its caption is read too, not only its tags.
        challenges: what to look for.
    """
    tags = {*video.hashtags, *find_hashtags(video.caption)}
    caption = unicodedata.normalize("NFKC", video.caption).casefold()
    found: dict[str, set[str]] = defaultdict(set)
    for challenge in challenges:
        marks = {f"#{tag}" for tag in challenge.hashtags if tag in tags}
        marks |= {
            f"#{spelling}"
            for spelling in challenge.spellings
            if " " in spelling and _is_written(spelling, caption)
        }
        if video.music_id in challenge.sounds:
            marks.add(f"sound {video.music_id}")
        if marks:
            found[challenge.name] |= marks
    return dict(found)


def check_histories(
    subject: str,
    grid: Grid,
    posts: Mapping[str, Video],
    challenges: Sequence[Challenge],
) -> Check:
    """Looks for marks of challenges in what the user's side shows.

    Args:
        subject: the file or study.
        grid: histories, of the panel and of the pool.
        posts: the corpus's posts by id.
        challenges: as `focal_challenges`.
    """
    if not challenges:
        return Check.skipped(_NAME, subject, NO_MARKS)
    findings = []
    shown = {
        video: user
        for users, histories in (
            (grid.users, grid.histories),
            (grid.pool_users, grid.pool_histories),
        )
        for user, ids in zip(users, histories, strict=True)
        for video in ids
    }
    for video in sorted(shown.keys() & posts.keys()):
        marks = find_marks(posts[video], challenges)
        if not marks:
            continue
        text = named(mark for marks_of_one in marks.values() for mark in marks_of_one)
        what = f"post {video} in the history of {shown[video]} shows {text}"
        advice = (
            "leave it out: name every spelling in the study and resolve it anew; no "
            "history may show a challenge"
        )
        where = places(users=[shown[video]], challenges=marks, videos=[video])
        findings.append(Finding("leak", what, advice, where))
    return Check(_NAME, subject, "posts", len(shown), tuple(findings))


def check_captions(
    subject: str,
    grid: Grid,
    posts: Mapping[str, Video],
    challenges: Sequence[Challenge],
    encoders: Mapping[str, Mapping[str, Any] | None] | None,
) -> Check:
    """Asks whether a text encoder reads a challenge's hashtag in its own posts.

    Args:
        subject: the file or study.
        grid: the posts that describe challenges.
        posts: the corpus's posts by id.
        challenges: as `focal_challenges`.
        encoders: the `text` settings of feature records by directory, None where these
            hold no captions; None altogether where no features are known.
    """
    if not challenges:
        return Check.skipped(_CAPTIONS, subject, NO_MARKS)
    tags = {tag for challenge in challenges for tag in challenge.hashtags}
    shown = sorted({v for ids in grid.support for v in ids} & posts.keys())
    telling = {v: tags & {*find_hashtags(posts[v].caption)} for v in shown}
    telling = {video: found for video, found in telling.items() if found}
    findings = []
    for name, settings in (encoders or {}).items():
        kept = {v: f & _read_tags(settings, tags) for v, f in telling.items()}
        kept = {video: found for video, found in kept.items() if found}
        if kept:
            findings.append(_caption_finding("leak", kept, f"{name} encodes"))
    if encoders is None and telling:
        findings.append(_caption_finding("warning", telling, "a text encoder may read"))
    return Check(_CAPTIONS, subject, "captions", len(shown), tuple(findings))


def _caption_finding(
    severity: Any, telling: Mapping[str, set[str]], who: str
) -> Finding:
    tags = named(f"#{tag}" for found in telling.values() for tag in found)
    what = f"{who} {tags} in {len(telling)} captions that describe challenges"
    advice = (
        "extract captions with --hashtags=mask_focal and --study; audit takes the "
        "directories as --features"
    )
    return Finding(severity, what, advice, places(videos=telling))


def _read_tags(settings: Mapping[str, Any] | None, tags: set[str]) -> set[str]:
    """Returns the tags that an encoder sees."""
    if settings is None or settings["hashtags"] == "drop":
        return set()
    if settings["hashtags"] == "mask_focal":
        masked = settings["focal_hashtags"]
        return tags - {normalize_hashtag("".join(tag.split())) for tag in masked}
    return tags


def _is_written(spelling: str, caption: str) -> bool:
    words = r"\s+".join(map(re.escape, spelling.split()))
    return re.search(rf"#{words}(?!\w)", caption) is not None
