"""A finished run of `evaluate`, and every table that its predictions make."""

from __future__ import annotations

import json
from collections.abc import Mapping
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

# Those that hold out what a deployed model has not seen come first.
_ORDER = ("cold_user", "cold_challenge", "temporal", "cold_both", "random_pair")


@dataclass(frozen=True)
class SavedRun:
    """A run as it lies on disk; nothing is fitted to read it.

    Attributes:
        directory: with `config.json`, `predictions/`, `proxies/`, `manifests/`.
        config: what decided the predictions, as plain values.
    """

    directory: Path
    config: Mapping[str, Any]

    @classmethod
    def open(cls, directory: str | Path) -> SavedRun:
        """Opens the directory of a run.

        Raises:
            DataError: it is not one, no fold has come to its end, or a file is damaged.
        """
        directory = Path(directory)
        finish_update(directory)
        if (directory / "config.json").exists():
            verify_directory(
                directory, "evaluate", closed=("predictions", "proxies", "manifests")
            )
        else:
            raise DataError(
                f"{directory} is not a run of evaluate: it needs a config.json"
            )
        with reading(directory / "config.json", "the config.json of evaluate"):
            text = (directory / "config.json").read_text(encoding="utf-8")
            run = cls(directory, dict(json.loads(text)))
        if not run.splits and not run.has_proxies:
            raise DataError(
                f"{directory} has no predictions yet; `python -m pipelines.evaluate` "
                "makes them"
            )
        return run

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Splits in which models were judged, headlines first."""
        if self.config.get("models") == ["proxies"]:
            return ()
        found = list_splits(self.directory)
        return tuple(sorted(found, key=lambda s: (*_ORDER, s).index(s)))

    @property
    def has_proxies(self) -> bool:
        """Whether there is something for Table I."""
        return any((self.directory / "proxies").glob("*.parquet"))

    @property
    def is_synthetic(self) -> bool:
        """Whether the truth of a simulated world was known to the run."""
        return self.config.get("truth_sha256") is not None

    @cached_property
    def dataset(self) -> str:
        """What the data are, for titles."""
        kind = "synthetic world" if self.is_synthetic else "corpus"
        return f"{kind}, study {self.study}" if self.study else kind

    @cached_property
    def study(self) -> str | None:
        """Name of the study; None where no split was evaluated."""
        for path in sorted((self.directory / "manifests").glob("*.json")):
            with reading(path, "a manifest of evaluate"):
                manifest = json.loads(path.read_text(encoding="utf-8"))
                return str(manifest["grid"]["settings"]["name"])
        return None

    @cached_property
    def judgements(self) -> Mapping[str, SplitResult]:
        """What the predictions of each split are worth."""
        return {split: judge_split(self.directory, split) for split in self.splits}

    @cached_property
    def table_one(self) -> Table | None:
        """Table I; None where no proxy was judged."""
        if not self.has_proxies:
            return None
        with reading(self.directory / "proxies", "predictions of evaluate"):
            return table_one(self.directory, self.dataset)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Every table by the name of its files, Tables I and II first."""
        tables = {"table_1": self.table_one}
        for split, judgement in self.judgements.items():
            tables[f"table_2_{split}"] = participation_table(judgement, self.dataset)
        for split, judgement in self.judgements.items():
            tables[f"metrics_{split}"] = metrics_table(judgement, self.dataset)
            tables[f"rankings_{split}"] = rankings_table(judgement, self.dataset)
            tables[f"variants_{split}"] = variants_table(judgement, self.dataset)
            tables[f"challenges_{split}"] = challenges_table(judgement, self.dataset)
        return {name: table for name, table in tables.items() if table is not None}

    def write_tables(self) -> Path:
        """Writes every table as Markdown, JSON and LaTeX.

        Returns:
            The directory, `tables/` of the run.
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
