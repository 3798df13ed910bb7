"""What tells that a post belongs to a challenge: its hashtags, spellings and sounds.

On the user's side a mark tells the label; on the challenge's side it tells a proxy the
class that it is asked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from dc_keras.study.challenge import Challenge
from dc_keras.study.participation import Grid
from dc_keras.corpus.hashtags import word_characters
from dc_keras.corpus.records import Video, find_hashtags
from dc_keras.study.audit.findings import Check, Finding, named, places

Cleaning = Callable[[Sequence[str]], Sequence[str]]

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
    found: dict[str, set[str]] = defaultdict(set)
    for challenge in challenges:
        marks = _hashtags_of(challenge, video.caption, video.hashtags)
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
    videos: pl.DataFrame,
    challenges: Sequence[Challenge],
    cleanings: Mapping[str, Cleaning | None] | None,
    mask: Callable[[Sequence[str]], Cleaning],
) -> Check:
    """Cleans the captions of posts that join, and looks for hashtags that are left.

    Args:
        subject: the file or study.
        grid: the posts that describe challenges.
        videos: the corpus's table of posts: all that join are looked at.
        challenges: as `focal_challenges`.
        cleanings: by directory of feature records, what cleaned their captions; None
            where they hold no captions; None altogether where no features are known.
        mask: makes the cleaning that masks some hashtags. Without features it is asked
            for those of the challenges, as `extract_features` would.
    """
    if not challenges:
        return Check.skipped(_CAPTIONS, subject, NO_MARKS)
    captions = _joining_captions(grid, videos, challenges)
    telling = _telling(captions, challenges)
    findings = []
    used = dict(cleanings or {})
    if cleanings is None and telling:
        findings.append(_caption_finding("warning", telling, "a text encoder may read"))
        focal = {t for c in challenges for t in (*c.hashtags, *c.spellings)}
        used["--hashtags=mask_focal"] = mask(sorted(focal))
    for name, clean in used.items():
        if clean is None or not telling:
            continue
        cleaned = clean([captions[video] for video in telling])
        kept = _telling(dict(zip(telling, cleaned, strict=True)), challenges)
        if kept:
            findings.append(_caption_finding("leak", kept, f"{name} encodes"))
    return Check(_CAPTIONS, subject, "captions", len(captions), tuple(findings))


def _joining_captions(
    grid: Grid, videos: pl.DataFrame, challenges: Sequence[Challenge]
) -> dict[str, str]:
    """Returns the captions of posts that join or describe a challenge, by video id."""
    tags = [tag for challenge in challenges for tag in challenge.hashtags]
    sounds = [sound for challenge in challenges for sound in challenge.sounds]
    support = [video for ids in grid.support for video in ids]
    joins = (
        pl.col("hashtags").list.eval(pl.element().is_in(tags)).list.any()
        | pl.col("music_id").is_in(sounds).fill_null(False)
        | pl.col("video_id").is_in(support)
    )
    posts = videos.filter(joins).select("video_id", "caption").sort("video_id")
    return dict(posts.iter_rows())


def _telling(
    captions: Mapping[str, str], challenges: Sequence[Challenge]
) -> dict[str, set[str]]:
    """Returns the hashtags of challenges in each caption that has any."""
    found = {
        video: {mark for c in challenges for mark in _hashtags_of(c, caption)}
        for video, caption in captions.items()
    }
    return {video: marks for video, marks in found.items() if marks}


def _caption_finding(
    severity: Any, telling: Mapping[str, set[str]], who: str
) -> Finding:
    tags = named(tag for found in telling.values() for tag in found)
    what = f"{who} {tags} in {len(telling)} captions of posts that join"
    advice = (
        "extract captions with --hashtags=mask_focal and --study; audit takes the "
        "directories as --features"
    )
    return Finding(severity, what, advice, places(videos=telling))


def _hashtags_of(
    challenge: Challenge, caption: str, tags: Iterable[str] = ()
) -> set[str]:
    """Returns the hashtags and spellings of a challenge that a post shows, with #."""
    shown = {*tags, *find_hashtags(caption)}
    folded = unicodedata.normalize("NFKC", caption).casefold()
    return {f"#{tag}" for tag in challenge.hashtags if tag in shown} | {
        f"#{spelling}"
        for spelling in challenge.spellings
        if " " in spelling and _is_written(spelling, folded)
    }


def _is_written(spelling: str, caption: str) -> bool:
    words = r"\s+".join(map(re.escape, spelling.split()))
    pattern = rf"#{words}(?![{word_characters()}])"
    return re.search(pattern, caption) is not None
