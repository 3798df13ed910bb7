"""Reads datares/TikTok_Famous, the real benchmark, as its README defines it.

It has 50,124 public posts of 2020 by 1,794 large creators; a challenge is a sound. The
data are not part of this repository.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dc_keras.study.pairs import grid_pairs
from dc_keras.study.participation import Grid
from dc_keras.study.split_manifest import Manifest
from dc_keras.study.splits import Fold, cold_fold, make_folds, split_rows
from dc_keras.study.temporal import join_cutoffs

HISTORY_MAX = 8
NUM_FOLDS = 5
VALIDATION_FRACTION = 0.1


class Famous:
    """The posts, the grids and the folds of the benchmark.

    Args:
        directory: Directory of the files of the benchmark.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.videos = _read_videos(directory / "videos.jsonl.gz")
        self.users = _read_ndjson(directory / "users.jsonl.gz").rename(
            {"total_videos": "total_posts"}
        )
        self._manifest = _read_json(directory / "manifest.json.gz")
        self._temporal = _read_json(directory / "temporal.json.gz")
        self._owners = dict(self.videos.select("video_id", "user_id").iter_rows())
        self.joins = _find_joins(self.videos, _read_json(directory / "challenges.json"))
        self.grid = self._frozen_grid()
        self.temporal = self._temporal_grid()

    def manifests(self, splits: Sequence[str], num_seeds: int) -> list[Manifest]:
        """Returns the published folds; a seed draws validation from training rows."""
        return [
            Manifest.of_folds(
                split,
                self.temporal if split == "temporal" else self.grid,
                [self._folds(split, seed) for seed in range(num_seeds)],
            )
            for split in splits
        ]

    def _folds(self, split: str, seed: int) -> list[Fold]:
        if split == "temporal":
            pairs = grid_pairs(self.temporal)
            return make_folds(self.temporal, pairs, split, 1, VALIDATION_FRACTION, seed)
        return [self._fold(split, index, seed) for index in range(NUM_FOLDS)]

    def _fold(self, split: str, index: int, seed: int) -> Fold:
        pairs = grid_pairs(self.grid)
        frozen = self._manifest
        fold_seed = seed * 1000 + index
        if split == "random_pair":
            of_pair = {(u, c): fold for u, c, _, fold in frozen["pairs"]}
            number = np.array(
                [
                    of_pair[pair]
                    for pair in zip(pairs.user, pairs.challenge, strict=True)
                ]
            )
            rest, test = (
                np.flatnonzero(number != index),
                np.flatnonzero(number == index),
            )
            kept, valid = split_rows(len(rest), VALIDATION_FRACTION, fold_seed)
            return Fold(split, index, rest[kept], rest[valid], test)
        users = np.array([user["fold_cold_user"] for user in frozen["users"]])
        challenges = np.array(
            [challenge["fold_cold_challenge"] for challenge in frozen["challenges"]]
        )
        held_out = [
            None if split == other else _held_out(number, index, fold_seed)
            for number, other in ((users, "cold_challenge"), (challenges, "cold_user"))
        ]
        if split == "cold_both" and held_out[1] is not None:
            held_out[1] = (held_out[1][0][:0], held_out[1][1])
        return cold_fold(self.grid, pairs, split, index, *held_out)

    def _frozen_grid(self) -> Grid:
        frozen = self._manifest
        shape = (len(frozen["users"]), len(frozen["challenges"]))
        labels, observed = np.zeros(shape, np.int8), np.zeros(shape, np.bool_)
        for user, challenge, label, _ in frozen["pairs"]:
            labels[user, challenge], observed[user, challenge] = label, True
        return self._grid(
            frozen["challenges"],
            [challenge["support"] for challenge in frozen["challenges"]],
            frozen["users"],
            labels,
            observed,
            frozen["pool_users"],
        )

    def _temporal_grid(self) -> Grid:
        cuts = [*self._temporal["train"], self._temporal["test"]]
        grids = []
        for cut in cuts:
            names = cut["challenges"]
            observed = np.array(
                [_bits(user["mask"], len(names)) for user in cut["panel"]]
            )
            labels = np.array(
                [[n in user["joined"] for n in names] for user in cut["panel"]], np.int8
            )
            if (labels > observed).any():
                raise ValueError("a user joins a sound that the mask leaves out")
            grids.append(
                self._grid(
                    [{"challenge_id": name} for name in names],
                    [cut["support"][name] for name in names],
                    cut["panel"],
                    labels,
                    observed,
                    [],
                )
            )
        return join_cutoffs(
            grids, [cut["cut"] for cut in cuts], [cut["end"] for cut in cuts]
        )

    def _grid(
        self,
        challenges: Sequence[Mapping[str, Any]],
        support: Sequence[Sequence[str]],
        users: Sequence[Mapping[str, Any]],
        labels: np.ndarray,
        observed: np.ndarray,
        pool: Sequence[Mapping[str, Any]],
    ) -> Grid:
        histories = [tuple(user["history"]) for user in users]
        shown = {v for ids in (*support, *histories) for v in ids}
        return Grid(
            challenges=tuple(c["challenge_id"] for c in challenges),
            users=tuple(user["user_id"] for user in users),
            labels=labels * observed,
            observed=observed,
            histories=tuple(histories),
            support=tuple(map(tuple, support)),
            video_users={video: self._owners[video] for video in sorted(shown)},
            pool_users=tuple(user["user_id"] for user in pool),
            pool_histories=tuple(tuple(user["history"]) for user in pool),
            settings={
                "name": "famous",
                "history_max": HISTORY_MAX,
                "support_max": max(map(len, support)),
            },
        )


def _held_out(
    number: np.ndarray, index: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the validation positions (a tenth of the rest) and the test positions."""
    rest, test = np.flatnonzero(number != index), np.flatnonzero(number == index)
    _, valid = split_rows(len(rest), VALIDATION_FRACTION, seed)
    return rest[valid], test


def _bits(mask: str, count: int) -> list[bool]:
    """Decodes a hexadecimal bit mask; the first challenge is the highest bit."""
    return [digit == "1" for digit in f"{int(mask, 16):0{count}b}"]


def _find_joins(
    videos: pl.DataFrame, sounds: Mapping[str, Mapping[str, Any]]
) -> pl.DataFrame:
    """Returns the posts with a candidate sound; `match` lists its merged titles."""
    challenge = {match: name for name, c in sounds.items() for match in c["match"]}
    joined = pl.col("music_id").replace_strict(challenge, default=None)
    return videos.select("video_id", challenge=joined).drop_nulls()


def _read_videos(path: Path) -> pl.DataFrame:
    posts = _read_ndjson(path)
    # The only texts of the dataset are the hashtags and the title of the sound.
    text = pl.concat_str("caption", "music_title", separator=" ", ignore_nulls=True)
    return posts.with_columns(
        pl.col("create_time", "duration_s").cast(pl.Float64), caption=text
    )


def _read_ndjson(path: Path) -> pl.DataFrame:
    with gzip.open(path, "rb") as file:
        return pl.read_ndjson(file.read())


def _read_json(path: Path) -> dict[str, Any]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
    return content
