"""Reads a finished run of `evaluate` and makes its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dc_keras.corpus.store import write_text
from dc_keras.errors import DataError
from dc_keras.evaluation.metric_tables import (
    challenges_table,
    metrics_table,
    rankings_table,
    variants_table,
)
from dc_keras.evaluation.predictions import list_splits
from dc_keras.evaluation.result_tables import Table
from dc_keras.evaluation.results import (
    SplitResult,
    judge_split,
    participation_table,
    table_one,
)
from tfrecords.storage.atomic_update import AtomicUpdate, finish_update
from tfrecords.storage.integrity import verify_directory
from tfrecords.storage.read_errors import reading

# Splits that resemble deployment come first.
_ORDER = ("cold_user", "cold_challenge", "temporal", "cold_both", "random_pair")


@dataclass(frozen=True)
class SavedRun:
    """A run saved on disk.

    Attributes:
        directory: directory with `config.json`, `predictions/`, `proxies/` and
            `manifests/`.
        config: settings that determined the predictions, as plain values.
    """

    directory: Path
    config: Mapping[str, Any]

    @classmethod
    def open(cls, directory: str | Path) -> SavedRun:
        """Opens the directory of a run.

        Raises:
            DataError: if the directory is not a run, no fold is finished, or a file is
                damaged.
        """
        directory = Path(directory)
        finish_update(directory)
        if (directory / "config.json").exists():
            verify_directory(
                directory, "evaluate", closed=("predictions", "proxies", "manifests")
            )
        else:
            raise DataError(
                f"{directory} is not a run of evaluate: it has no config.json"
            )
        with reading(directory / "config.json", "the config.json of evaluate"):
            text = (directory / "config.json").read_text(encoding="utf-8")
            run = cls(directory, dict(json.loads(text)))
        if not run.splits and not run.has_proxies:
            raise DataError(
                f"{directory} has no predictions yet; run "
                "`python -m pipelines.evaluate`"
            )
        return run

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Splits with predictions, the most important first."""
        if self.config.get("models") == ["proxies"]:
            return ()
        splits = list_splits(self.directory)
        return tuple(sorted(splits, key=lambda s: (*_ORDER, s).index(s)))

    @property
    def has_proxies(self) -> bool:
        """Whether there are predictions of proxies, for Table I."""
        return any((self.directory / "proxies").glob("*.parquet"))

    @property
    def is_synthetic(self) -> bool:
        """Whether the data are simulated."""
        return bool(self.config.get("is_synthetic"))

    @cached_property
    def dataset(self) -> str:
        """Description of the data, for titles."""
        kind = "synthetic world" if self.is_synthetic else "corpus"
        return f"{kind}, study {self.study}" if self.study else kind

    @cached_property
    def study(self) -> str | None:
        """Name of the study; None if no split was evaluated."""
        return next((str(grid["settings"]["name"]) for grid in self._grids()), None)

    def video_users(self) -> dict[str, str]:
        """Returns the author of each post that the models used, by video id."""
        return {
            video_id: user_id
            for grid in self._grids()
            for video_id, user_id in grid["video_users"].items()
        }

    def _grids(self) -> Iterator[Mapping[str, Any]]:
        """Yields the grid of each manifest, as plain values."""
        for path in sorted((self.directory / "manifests").glob("*.json")):
            with reading(path, "a manifest of evaluate"):
                grid: Mapping[str, Any] = json.loads(path.read_text("utf-8"))["grid"]
            yield grid

    @cached_property
    def judgements(self) -> Mapping[str, SplitResult]:
        """The result of each split."""
        return {split: judge_split(self.directory, split) for split in self.splits}

    @cached_property
    def table_one(self) -> Table | None:
        """Table I; None if no proxy was evaluated."""
        if not self.has_proxies:
            return None
        with reading(self.directory / "proxies", "predictions of evaluate"):
            return table_one(self.directory, self.dataset)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """All tables by file name without ending, Tables I and II first."""
        tables = {"table_1": self.table_one}
        for split, result in self.judgements.items():
            tables[f"table_2_{split}"] = participation_table(result, self.dataset)
        for split, result in self.judgements.items():
            tables[f"metrics_{split}"] = metrics_table(result, self.dataset)
            tables[f"rankings_{split}"] = rankings_table(result, self.dataset)
            tables[f"variants_{split}"] = variants_table(result, self.dataset)
            tables[f"challenges_{split}"] = challenges_table(result, self.dataset)
        return {name: table for name, table in tables.items() if table is not None}

    def write_tables(self) -> Path:
        """Writes all tables as Markdown, JSON and LaTeX.

        Returns:
            The directory of the tables, `tables/` in the run.
        """
        with AtomicUpdate(self.directory, seals=False) as files:
            for name, table in self.tables.items():
                for ending, text in (
                    ("md", table.to_markdown()),
                    ("json", table.to_json()),
                    ("tex", table.to_latex()),
                ):
                    write_text(files.path(f"tables/{name}.{ending}"), text)
            files.commit()
        return self.directory / "tables"
