"""Tables and files of backtests of past challenges and of a forecast."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dc_keras.corpus.store import write_text
from dc_keras.escaping import escape_formulas, format_csv
from dc_keras.social.adoption import Adoption, AlongEdges, adoption_curve
from dc_keras.social.backtesting import Backtests
from dc_keras.social.reach import Reach
from tfrecords.storage.atomic_update import AtomicUpdate

INFO_FILE = "reach.json"
_OPTIONAL = ("backtest", "backtest_summary", "what_if", "users")


@dataclass(frozen=True, eq=False)
class WhatIf:
    """The forecast of a new challenge.

    Attributes:
        reach: the simulated reach.
        num_seeds: number of seeds.
        expected_seeds: expected number of seeds that adopt.
        contagion: expected number of users that an adopter of mean strength activates.
        users: users of the graph, in its order.
    """

    reach: Reach
    num_seeds: int
    expected_seeds: float
    contagion: float
    users: tuple[str, ...]

    def curve(self) -> pl.DataFrame:
        """Returns `wave`, and `mean`, `low`, `high` of the number of adopters."""
        low, high = self.reach.band
        mean = self.reach.mean
        return pl.DataFrame(
            {"wave": range(len(mean)), "mean": mean, "low": low, "high": high}
        )

    def chances(self) -> pl.DataFrame:
        """Returns `user_id` and `chance`, the share of runs, in descending order."""
        table = pl.DataFrame({"user_id": self.users, "chance": self.reach.chances})
        return table.sort("chance", "user_id", descending=[True, False])


@dataclass(frozen=True, eq=False)
class ReachReport:
    """The results of a report; parts that were not requested are None.

    Attributes:
        adoptions: adoption of each challenge, by name.
        along: test of each challenge with adopters, by name.
        num_edges: number of edges before the first post of each challenge of `along`.
        left_out: reason why a challenge has no backtest, by name.
        backtests: backtests of the other challenges.
        what_if: forecast from given seeds.
    """

    adoptions: Mapping[str, Adoption]
    along: Mapping[str, AlongEdges]
    num_edges: Mapping[str, int]
    left_out: Mapping[str, str]
    backtests: Backtests | None
    what_if: WhatIf | None

    def replication(self) -> pl.DataFrame:
        """Returns `challenge`, `day`, `new`, `cumulative`, without gaps in the days."""
        name = pl.String()
        curves = [
            adoption_curve(adoption).select(
                pl.lit(challenge, name).alias("challenge"), pl.all()
            )
            for challenge, adoption in self.adoptions.items()
        ]
        return pl.concat(curves)

    def along_edges(self) -> pl.DataFrame:
        """Returns `challenge`, `ties` and fields of `AlongEdges`, one row each."""
        rows = [
            {"challenge": name, "ties": self.num_edges[name], **asdict(along)}
            for name, along in self.along.items()
        ]
        kinds = {"challenge": pl.String, "ties": pl.Int64, "share": pl.Float64}
        kinds |= {"expected": pl.Float64, "p_value": pl.Float64}
        kinds |= {"num_adopters": pl.Int64, "num_shuffles": pl.Int64}
        return pl.DataFrame(rows, schema=kinds)

    def write(self, directory: Path, info: Mapping[str, Any]) -> list[Path]:
        """Writes a CSV file per table, and `reach.json` without user ids, atomically.

        Args:
            directory: the output directory; it is created if necessary, and files of an
                earlier run are removed.
            info: JSON values for reach.json, such as flags and the plan.

        Returns:
            The files.
        """
        tables = {"replication": self.replication(), "along_ties": self.along_edges()}
        content = {**info, "along_ties": self.along_edges().to_dicts()}
        content["left_out"] = dict(self.left_out)
        if self.backtests is not None:
            tables["backtest"] = self.backtests.table
            tables["backtest_summary"] = self.backtests.summary()
            content["backtest"] = {
                "contagion": self.backtests.contagion,
                "summary": tables["backtest_summary"].to_dicts(),
                "challenges": self.backtests.table.to_dicts(),
            }
        if self.what_if is not None:
            tables["what_if"] = self.what_if.curve()
            tables["users"] = self.what_if.chances()
            content["what_if"] = {
                "num_seeds": self.what_if.num_seeds,
                "expected_seeds": self.what_if.expected_seeds,
                "contagion": self.what_if.contagion,
                "waves": tables["what_if"].to_dicts(),
            }
        texts = {
            f"{name}.csv": format_csv(escape_formulas(table))
            for name, table in tables.items()
        }
        texts[INFO_FILE] = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        with AtomicUpdate(directory) as files:
            for name in _OPTIONAL:
                files.remove(f"{name}.csv")
            for name, text in texts.items():
                write_text(files.path(name), text)
            files.commit()
        return [directory / name for name in texts]
