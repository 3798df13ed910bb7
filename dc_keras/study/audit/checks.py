"""Runs all checks of an evaluation's data, in order.

Several manifests may divide the same grid: the grid is checked once, and each manifest
once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dc_keras.corpus.records import Video
from dc_keras.corpus.store import rows_of
from dc_keras.errors import DataError
from dc_keras.study.audit.divisions import check_divisions
from dc_keras.study.audit.duplicates import MediaHashes, check_media, check_texts
from dc_keras.study.audit.findings import Check, Finding
from dc_keras.study.audit.focal_marks import (
    Cleaning,
    check_captions,
    check_histories,
    focal_challenges,
)
from dc_keras.study.audit.label_checks import check_labels
from dc_keras.study.audit.sides import (
    check_cutoffs,
    check_own_posts,
    check_posts,
    shown_videos,
)
from dc_keras.study.participation import Grid
from dc_keras.study.split_manifest import Manifest
from dc_keras.study.study import Study


@dataclass(frozen=True)
class Sources:
    """The data that grids are compared with.

    Attributes:
        videos: the corpus's table of posts.
        mask: returns the caption cleaning that masks the given hashtags.
        study: a study file, which has spellings that a grid does not store; or None.
        cleanings: the caption cleaning of each directory of feature records, or None
            for a directory without captions; None if no features are given.
        hashes: media hashes of the frame records; None if no records are given.
    """

    videos: pl.DataFrame
    mask: Callable[[Sequence[str]], Cleaning]
    study: Study | None = None
    cleanings: Mapping[str, Cleaning | None] | None = None
    hashes: MediaHashes | None = None


def find_manifests(paths: Sequence[Path]) -> list[Path]:
    """Returns the manifest files in a list of files and directories.

    Returns:
        The paths without duplicates, in the given order, sorted within a directory.

    Raises:
        DataError: if a directory has no manifest.
        FileNotFoundError: if a file or directory does not exist.
    """
    manifests = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"no manifest here: {path}")
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise DataError(
                f"{path} must contain the manifests of evaluate (SPLIT.json). "
                "Received: no .json file"
            )
        manifests += files
    return list(dict.fromkeys(manifests))


def audit_manifests(
    manifests: Mapping[Path, Manifest], sources: Sources
) -> list[Check]:
    """Checks manifests, and each of their grids once."""
    checks = []
    for path, manifest in manifests.items():
        checks.append(_check_digest(path, manifest))
        checks += check_divisions(str(path), manifest)
    for paths in _group_by_grid(manifests):
        subject = f"grid of {', '.join(map(str, paths))}"
        dividing = [manifests[path] for path in paths]
        checks += _audit_grid(subject, dividing[0].grid, dividing, sources)
    return checks


def audit_grid(subject: str, grid: Grid, sources: Sources) -> list[Check]:
    """Checks a grid without manifests."""
    reason = "needs --manifest, the manifests of a run of evaluate"
    checks = _audit_grid(subject, grid, [], sources)
    return [*checks, Check.skipped("folds", subject, reason)]


def _group_by_grid(manifests: Mapping[Path, Manifest]) -> list[list[Path]]:
    """Returns groups of manifests with the same grid and different splits.

    Two manifests of the same split are from two runs, whose folds have the same names.
    """
    groups: dict[tuple[str, int], list[Path]] = {}
    num_repeats: Counter[tuple[str, str]] = Counter()
    for path, manifest in manifests.items():
        key = (manifest.grid.sha256, manifest.split)
        groups.setdefault((manifest.grid.sha256, num_repeats[key]), []).append(path)
        num_repeats[key] += 1
    return list(groups.values())


def _audit_grid(
    subject: str, grid: Grid, manifests: Sequence[Manifest], sources: Sources
) -> list[Check]:
    folds = {name: fold for m in manifests for name, fold in m.folds.items()}
    posts = _posts_of(grid, sources.videos)
    study = () if sources.study is None else sources.study.challenges
    challenges = focal_challenges(grid, study)
    if sources.hashes is None:
        reason = "needs --records, the frame records of the corpus"
        media = Check.skipped("the same media twice", subject, reason)
    else:
        media = check_media(subject, grid, sources.hashes, manifests)
    return [
        check_posts(subject, grid, posts),
        check_labels(subject, grid, sources.videos),
        check_own_posts(subject, grid, posts, folds),
        check_histories(subject, grid, posts, challenges),
        check_captions(
            subject, grid, sources.videos, challenges, sources.cleanings, sources.mask
        ),
        check_cutoffs(subject, grid, posts),
        media,
        check_texts(subject, grid, posts, manifests),
    ]


def _check_digest(path: Path, manifest: Manifest) -> Check:
    stated = Manifest.stated_sha256(path)
    findings = []
    if stated != manifest.sha256:
        what = (
            f"the file states sha256 {stated[:12]}…, but its content has "
            f"{manifest.sha256[:12]}…: it was changed after evaluate wrote it"
        )
        findings.append(Finding("fault", what, "write it again with evaluate"))
    return Check(
        "unchanged since it was written", str(path), "files", 1, tuple(findings)
    )


def _posts_of(grid: Grid, videos: pl.DataFrame) -> dict[str, Video]:
    rows = videos.filter(pl.col("video_id").is_in(shown_videos(grid)))
    return {video.video_id: video for video in rows_of(Video, rows)}
