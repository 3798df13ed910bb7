"""Finds the hashtags, spellings and sounds of challenges in the input of a model.

In a user's history, such a mark reveals the label. In a post of a challenge, it reveals
the target class of the challenge proxy.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import polars as pl

from dc_keras.corpus.records import Video, find_hashtags, word_characters
from dc_keras.study.audit.findings import Check, Finding, Severity, named, places
from dc_keras.study.challenge import Challenge
from dc_keras.study.participation import Grid

Cleaning = Callable[[Sequence[str]], Sequence[str]]

NO_MARKS = "needs the hashtags or sounds of the challenges, in the grid or a study"
_NAME = "challenge marks in histories"
_CAPTIONS = "challenge hashtags in captions"


def focal_challenges(
    grid: Grid, study: Sequence[Challenge] = ()
) -> tuple[Challenge, ...]:
    """Returns the challenges of a grid and of a study file."""
    marks = grid.settings.get("challenges", {})
    return (*(Challenge.of(*item) for item in marks.items()), *study)


def find_marks(video: Video, challenges: Iterable[Challenge]) -> dict[str, set[str]]:
    """Returns the marks of challenges in a post, by name of the challenge."""
    marks_of: dict[str, set[str]] = defaultdict(set)
    for challenge in challenges:
        marks = _hashtags_of(challenge, video.caption, video.hashtags)
        if video.music_id in challenge.sounds:
            marks.add(f"sound {video.music_id}")
        if marks:
            marks_of[challenge.name] |= marks
    return dict(marks_of)


def check_histories(
    subject: str,
    grid: Grid,
    posts: Mapping[str, Video],
    challenges: Sequence[Challenge],
) -> Check:
    """Finds marks of challenges in the histories of users."""
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
            "add all spellings of the hashtag to the study and resolve it again, so "
            "that the post is left out of the history"
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
    """Finds challenge hashtags that remain in captions after cleaning.

    Args:
        subject: the file or study.
        grid: the posts that describe challenges.
        videos: the corpus's table of posts; all posts of a challenge are checked.
        challenges: the challenges, see `focal_challenges`.
        cleanings: the caption cleaning of each directory of feature records, or None
            for a directory without captions; None if no features are given.
        mask: returns the cleaning that masks the given hashtags. Used without features,
            with the hashtags of the challenges, as `extract_features` does.
    """
    if not challenges:
        return Check.skipped(_CAPTIONS, subject, NO_MARKS)
    captions = _joining_captions(grid, videos, challenges)
    marked = _caption_marks(captions, challenges)
    findings = []
    used = dict(cleanings or {})
    if cleanings is None and marked:
        findings.append(_caption_finding("warning", marked, "a text encoder may read"))
        focal = {t for c in challenges for t in (*c.hashtags, *c.spellings)}
        used["--hashtags=mask_focal"] = mask(sorted(focal))
    for name, clean in used.items():
        if clean is None or not marked:
            continue
        cleaned = clean([captions[video] for video in marked])
        kept = _caption_marks(dict(zip(marked, cleaned, strict=True)), challenges)
        if kept:
            findings.append(_caption_finding("leak", kept, f"{name} encodes"))
    return Check(_CAPTIONS, subject, "captions", len(captions), tuple(findings))


def _joining_captions(
    grid: Grid, videos: pl.DataFrame, challenges: Sequence[Challenge]
) -> dict[str, str]:
    """Returns the captions of all posts of challenges, by video id."""
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


def _caption_marks(
    captions: Mapping[str, str], challenges: Sequence[Challenge]
) -> dict[str, set[str]]:
    """Returns the challenge hashtags of each caption that has any."""
    marks_of = {
        video: {mark for c in challenges for mark in _hashtags_of(c, caption)}
        for video, caption in captions.items()
    }
    return {video: marks for video, marks in marks_of.items() if marks}


def _caption_finding(
    severity: Severity, marked: Mapping[str, set[str]], reader: str
) -> Finding:
    tags = named(tag for marks in marked.values() for tag in marks)
    what = f"{reader} {tags} in {len(marked)} captions of challenge posts"
    advice = (
        "extract captions with --hashtags=mask_focal and --study, and pass the "
        "directories to audit as --features"
    )
    return Finding(severity, what, advice, places(videos=marked))


def _hashtags_of(
    challenge: Challenge, caption: str, tags: Iterable[str] = ()
) -> set[str]:
    """Returns the hashtags and spellings of a challenge in a post, with #."""
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
