"""The manifest of a split: all pairs, their labels and their part in each fold.

`evaluate` writes one manifest per split before it fits a model; `audit` reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dc_keras.corpus.store import write_text
from dc_keras.errors import DataError
from dc_keras.options import ProtocolOptions, TrainingOptions
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.participation import Grid
from dc_keras.study.splits import Fold, make_folds

VERSION = 1
# One letter per pair, in the order of `grid_pairs`; "-" for a pair in no part.
_LETTERS = {"train": "t", "valid": "v", "test": "x"}


@dataclass(frozen=True)
class Manifest:
    """The folds of one split for all seeds.

    Attributes:
        split: name of the split.
        grid: users, challenges, labels, and the videos of each side.
        folds: folds by name, such as `cold_user-seed0-fold2`.
        seeds: seed number of each fold, by the fold's name.
    """

    split: str
    grid: Grid
    folds: Mapping[str, Fold]
    seeds: Mapping[str, int]

    @classmethod
    def of_folds(
        cls, split: str, grid: Grid, folds_of_seeds: list[list[Fold]]
    ) -> Manifest:
        """Builds a manifest from the folds of each seed, and names the folds."""
        folds, seeds = {}, {}
        for seed, folds_of_seed in enumerate(folds_of_seeds):
            for fold in folds_of_seed:
                name = f"{split}-seed{seed}-fold{fold.index}"
                folds[name], seeds[name] = fold, seed
        return cls(split, grid, folds, seeds)

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the manifest without this digest."""
        text = json.dumps(self._content(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8")).hexdigest()

    def to_json(self) -> str:
        """Returns the manifest as JSON; equal manifests give equal text."""
        content = {**self._content(), "sha256": self.sha256}
        return json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"

    def write(self, directory: Path) -> None:
        """Writes `SPLIT.json` into a directory."""
        directory.mkdir(parents=True, exist_ok=True)
        write_text(directory / f"{self.split}.json", self.to_json())

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """Reads a manifest file.

        The digest in the file is not compared; see `stated_sha256`.

        Raises:
            DataError: if the file is not a manifest, has another version, or its parts
                do not fit its grid.
            FileNotFoundError: if there is no such file.
        """
        content = _load(Path(path))
        try:
            split, grid = content["split"], Grid.from_json(json.dumps(content["grid"]))
            num_pairs = int(grid.observed.sum())
            folds = {
                name: _read_fold(split, name, fold, num_pairs)
                for name, fold in content["folds"].items()
            }
            seeds = {name: int(f["seed"]) for name, f in content["folds"].items()}
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}: `folds` must be as evaluate wrote them. "
                f"Received: {type(error).__name__}: {error}"
            ) from error
        return cls(split, grid, folds, seeds)

    @staticmethod
    def stated_sha256(path: str | Path) -> str:
        """Returns the digest stored in a manifest file."""
        return str(_load(Path(path))["sha256"])

    def _content(self) -> dict[str, Any]:
        num_pairs = int(self.grid.observed.sum())
        folds = {
            name: {
                "index": fold.index,
                "seed": self.seeds[name],
                "parts": _parts(fold, num_pairs),
                "hidden_users": sorted(fold.hidden_users),
                "hidden_challenges": sorted(fold.hidden_challenges),
            }
            for name, fold in self.folds.items()
        }
        return {
            "version": VERSION,
            "split": self.split,
            "grid": json.loads(self.grid.to_json()),
            "folds": folds,
        }


def make_manifest(
    grid: Grid,
    split: str,
    num_seeds: int,
    protocol: ProtocolOptions,
    training: TrainingOptions,
) -> Manifest:
    """Divides the pairs of a grid into folds, once per seed.

    Args:
        grid: the grid; for `temporal`, one that joins several cutoffs.
        split: name of the split.
        num_seeds: number of seeds, counted from `TrainingOptions.seed`.
        protocol: gives the number of folds.
        training: gives the validation fraction and the first seed.

    Raises:
        DataError: if `splits.make_folds` cannot divide the pairs.
    """
    pairs = grid_pairs(grid)
    folds = [
        make_folds(
            grid,
            pairs,
            split,
            protocol.num_folds,
            training.validation_fraction,
            training.seed + seed,
        )
        for seed in range(num_seeds)
    ]
    return Manifest.of_folds(split, grid, folds)


def _load(path: Path) -> dict[str, Any]:
    keys = {"version", "split", "grid", "folds", "sha256"}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not a manifest ({error})") from error
    if not isinstance(content, dict) or not keys <= content.keys():
        raise DataError(f"{path} is not a manifest of evaluate")
    if content["version"] != VERSION:
        raise DataError(
            f"{path} must be a manifest of version {VERSION}. "
            f"Received: version={content['version']}"
        )
    return content


def _parts(fold: Fold, num_pairs: int) -> str:
    letters = np.full(num_pairs, "-")
    for part, letter in _LETTERS.items():
        positions = getattr(fold, part)
        if (letters[positions] != "-").any():
            raise ValueError(
                "a pair must be in at most one part of a fold. "
                f"Received: fold={fold.index}, a pair in {part} and in another"
            )
        letters[positions] = letter
    return "".join(letters)


def _read_fold(split: str, name: str, fold: Mapping[str, Any], num_pairs: int) -> Fold:
    letters = np.array(list(fold["parts"]))
    if len(letters) != num_pairs or not set(letters) <= {"-", *_LETTERS.values()}:
        raise DataError(
            f"`parts` of {name} must have one letter t, v, x or - for each of "
            f"{num_pairs} pairs. Received: {len(letters)} letters"
        )
    parts = {part: np.flatnonzero(letters == c) for part, c in _LETTERS.items()}
    return Fold(
        split=split,
        index=int(fold["index"]),
        **parts,
        hidden_users=frozenset(fold["hidden_users"]),
        hidden_challenges=frozenset(fold["hidden_challenges"]),
    )
