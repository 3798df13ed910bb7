"""Checks the folds of a manifest for overlaps and missing pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, combinations, product, starmap

import numpy as np

from dc_keras.study.audit.findings import (
    Check,
    Finding,
    Severity,
    named,
    places,
)
from dc_keras.study.audit.sides import row_cutoffs
from dc_keras.study.split_manifest import Manifest
from dc_keras.study.splits import Fold

# User, challenge and cutoff: a grid may have the same names at several cutoffs.
_Pair = tuple[str, str, int | None]
_PARTS = ("train", "valid", "test")
_DAY_S = 86_400
_ADVICE = "write the manifest again with evaluate; its results are not valid"
# What each split holds out.
_HOLDS_OUT = {
    "cold_user": ("users",),
    "cold_challenge": ("challenges",),
    "cold_both": ("users", "challenges"),
}


def check_divisions(subject: str, manifest: Manifest) -> list[Check]:
    """Checks how each fold of a manifest divides the pairs.

    Returns:
        The checks of the manifest's split. For every split: each pair is in one part.
        For splits that hold out users or challenges: these are in one part, and are
        hidden from training. For `temporal`: no label window of a training or
        validation pair ends after the test cutoff.
    """
    pairs = _NamedPairs(manifest)
    folds, kinds = manifest.folds, _HOLDS_OUT.get(manifest.split, ())
    findings_of: dict[str, Iterable[Finding]] = {
        "pairs in two parts, or in none": chain(*map(pairs.find_misplaced, folds))
    }
    if kinds:
        folds_and_kinds = [*product(folds, kinds)]
        findings_of[f"{' or '.join(kinds)} in two parts"] = chain(
            *starmap(pairs.find_shared, folds_and_kinds)
        )
        findings_of[f"{' and '.join(kinds)} to hide"] = chain(
            *starmap(pairs.find_unhidden, folds_and_kinds)
        )
    checks = [
        Check(name, subject, "folds", len(folds), tuple(findings))
        for name, findings in findings_of.items()
    ]
    if manifest.split == "temporal":
        checks.append(_check_windows(subject, manifest))
    return checks


class _NamedPairs:
    """The pairs of a manifest with the names of their users and challenges."""

    def __init__(self, manifest: Manifest) -> None:
        grid = manifest.grid
        user, challenge = np.nonzero(grid.observed)
        self._manifest = manifest
        self._names = {
            "users": np.array(grid.users)[user],
            "challenges": np.array(grid.challenges)[challenge],
        }
        cutoffs, _ = row_cutoffs(grid)
        self._keys: list[_Pair] = [
            (grid.users[row], grid.challenges[column], cutoffs[row])
            for row, column in zip(user.tolist(), challenge.tolist(), strict=True)
        ]

    def find_misplaced(self, fold_name: str) -> Iterator[Finding]:
        """Yields findings on pairs in two parts, missing pairs and empty parts."""
        fold = self._manifest.folds[fold_name]
        parts = {part: getattr(fold, part).tolist() for part in _PARTS}
        keys = {part: {self._keys[p] for p in ids} for part, ids in parts.items()}
        for one, other in combinations(_PARTS, 2):
            both = keys[one] & keys[other]
            if both:
                what = f"{len(both)} pairs are in {one} and in {other}"
                text = named(f"{user} × {challenge}" for user, challenge, _ in both)
                yield _of_fold("leak", fold_name, f"{what}: {text}", both)
        placed = Counter(position for ids in parts.values() for position in ids)
        num_missing = len(self._keys) - len(placed)
        if num_missing and self._manifest.split != "cold_both":
            what = f"{num_missing} of {len(self._keys)} pairs are in no part"
            yield _of_fold("fault", fold_name, what)
        for part in ("train", "test"):
            if not parts[part]:
                yield _of_fold("fault", fold_name, f"{part} has no pairs")

    def find_shared(self, fold_name: str, kind: str) -> Iterator[Finding]:
        """Yields findings on held-out users or challenges in two parts of a fold."""
        fold = self._manifest.folds[fold_name]
        for one, other in combinations(("train", *self._held_parts(kind)), 2):
            both = self._in(fold, kind, one) & self._in(fold, kind, other)
            if both:
                what = f"{len(both)} {kind} are in {one} and in {other}: {named(both)}"
                where = places(folds=[fold_name], **{kind: both})
                yield Finding("leak", f"{fold_name}: {what}", _ADVICE, where)

    def find_unhidden(self, fold_name: str, kind: str) -> Iterator[Finding]:
        """Yields findings on held-out names missing from the fold's hidden names."""
        fold = self._manifest.folds[fold_name]
        hidden = getattr(fold, f"hidden_{kind}")
        held_out = [self._in(fold, kind, part) for part in self._held_parts(kind)]
        missing = set().union(*held_out) - hidden
        if missing:
            what = (
                f"hidden_{kind} lacks {len(missing)} held-out {kind}: "
                f"{named(missing)}; their posts may be used for training"
            )
            where = places(folds=[fold_name], **{kind: missing})
            yield Finding("leak", f"{fold_name}: {what}", _ADVICE, where)

    def _in(self, fold: Fold, kind: str, part: str) -> set[str]:
        return {*self._names[kind][getattr(fold, part)].tolist()}

    def _held_parts(self, kind: str) -> tuple[str, ...]:
        """Returns the parts whose names of this kind must not be in training."""
        # cold_both validates on training challenges.
        is_known = kind == "challenges" and self._manifest.split == "cold_both"
        return ("test",) if is_known else ("valid", "test")


def _check_windows(subject: str, manifest: Manifest) -> Check:
    """Checks that all training labels were known at the test cutoff."""
    name = "label windows that reach into the test"
    grid = manifest.grid
    if "horizon_days" not in grid.settings:
        return Check.skipped(name, subject, "the manifest states no horizon_days")
    horizon = int(grid.settings["horizon_days"]) * _DAY_S
    cutoffs = np.array(grid.user_cutoffs)[np.nonzero(grid.observed)[0]]
    findings = []
    for fold_name, fold in manifest.folds.items():
        known_at = cutoffs[fold.test].min(initial=np.iinfo(np.int64).max)
        learned = np.concatenate([fold.train, fold.valid])
        late = np.unique(cutoffs[learned][cutoffs[learned] + horizon > known_at])
        if len(late):
            what = (
                "the label windows of the training or validation cutoffs "
                f"{named(map(str, late))} (UTC seconds) end after the test cutoff "
                f"{known_at}"
            )
            findings.append(_of_fold("leak", fold_name, what))
    num_folds = len(manifest.folds)
    return Check(name, subject, "folds", num_folds, tuple(findings))


def _of_fold(
    severity: Severity, fold: str, what: str, pairs: Collection[_Pair] = ()
) -> Finding:
    where = places(
        folds=[fold],
        users=[user for user, _, _ in pairs],
        challenges=[challenge for _, challenge, _ in pairs],
    )
    return Finding(severity, f"{fold}: {what}", _ADVICE, where)
