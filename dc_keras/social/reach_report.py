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
from dc_keras.social.backtesting import METHODS, Backtests
from dc_keras.social.reach import Reach
from tfrecords.storage.atomic_update import AtomicUpdate

INFO_FILE = "reach.json"
_OPTIONAL = ("backtest", "backtest_summary", "what_if", "users")


# The methods of a backtest in words.
METHOD_NAMES = {
    "cascade": "cascade along ties",
    "mean": "mean of other challenges",
    "speed": "speed of the first adopters",
}


@dataclass(frozen=True)
class Forecast:
    """The number of users who join a new challenge, by one method.

    Attributes:
        method: "cascade" or "mean"; the speed of the first adopters is unknown before
            they post.
        expected: expected number.
        low: lower end of the 90 % interval.
        high: upper end of the interval.
    """

    method: str
    expected: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class WhatIf:
    """The cascade of a new challenge from given seeds.

    Attributes:
        reach: the simulated reach.
        num_seeds: number of seeds.
        expected_seeds: expected number of seeds that adopt.
        contagion: expected number of users that an adopter of mean strength activates.
        users: users of the graph, in its order.
        asked: sum of the given probabilities of all users, as `rank` forecasts it; None
            without probabilities.
    """

    reach: Reach
    num_seeds: int
    expected_seeds: float
    contagion: float
    users: tuple[str, ...]
    asked: float | None = None

    def forecast(self) -> Forecast:
        """Returns the number of adopters at the end of the cascade."""
        low, high = self.reach.band[:, -1]
        mean = float(self.reach.mean[-1])
        return Forecast("cascade", mean, float(low), float(high))

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
        along: test of each challenge with adopters on the edges before its first post,
            by name.
        left_out: reason why a challenge has no backtest, by name.
        backtests: backtests of the other challenges.
        what_if: forecast from given seeds.
    """

    adoptions: Mapping[str, Adoption]
    along: Mapping[str, AlongEdges]
    left_out: Mapping[str, str]
    backtests: Backtests | None
    what_if: WhatIf | None

    def forecast(self) -> Forecast | None:
        """Returns the forecast by the method that did better in the backtest.

        None without seeds; the cascade without a backtest.
        """
        if self.what_if is None:
            return None
        tests = self.backtests
        if tests is None or tests.mean_error("cascade") < tests.mean_error("mean"):
            return self.what_if.forecast()
        return Forecast("mean", *tests.mean_forecast())

    def explain_forecast(self) -> list[str]:
        """Returns the forecast in sentences, and how it relates to that of `rank`."""
        forecast = self.forecast()
        if self.what_if is None or forecast is None:
            return []
        sentences = [
            f"About {forecast.expected:,.0f} users are expected to join, 90 % between "
            f"{forecast.low:,.0f} and {forecast.high:,.0f}, by the "
            f"{METHOD_NAMES[forecast.method]}. {self._reason()}"
        ]
        what_if, cascade = self.what_if, self.what_if.forecast()
        seeds = (
            f"the {what_if.num_seeds:,} seeds, of whom {what_if.expected_seeds:,.1f} "
            "are expected to join"
        )
        if forecast.method == "cascade":
            sentences.append(f"It starts from {seeds}.")
        else:
            sentences.append(
                f"The cascade from {seeds}, ends at {cascade.expected:,.1f} users, 90 "
                f"% of the runs between {cascade.low:,.0f} and {cascade.high:,.0f}."
            )
        return [*sentences, _compare_with_rank(forecast, what_if.asked)]

    def _reason(self) -> str:
        """Returns why the method of the forecast was chosen."""
        tests = self.backtests
        if tests is None:
            return "There are too few past challenges for a backtest."
        errors = ", ".join(
            f"{METHOD_NAMES[method]} {tests.mean_error(method):.2f}"
            for method in sorted(METHODS, key=tests.mean_error)
        )
        if tests.best == "speed":
            return (
                "The speed of the first adopters did best in the backtest, but it is "
                f"unknown before they post; of the others this method did best (mean "
                f"log error: {errors})."
            )
        return f"It did best in the backtest (mean log error: {errors})."

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
            {"challenge": name, **asdict(along)} for name, along in self.along.items()
        ]
        kinds = {"challenge": pl.String, "num_edges": pl.Int64, "share": pl.Float64}
        kinds |= {"expected": pl.Float64, "p_value": pl.Float64}
        kinds |= {"num_adopters": pl.Int64, "num_shuffles": pl.Int64}
        return pl.DataFrame(rows, schema=kinds).rename({"num_edges": "ties"})

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
        forecast = self.forecast()
        if self.what_if is not None and forecast is not None:
            tables["what_if"] = self.what_if.curve()
            tables["users"] = self.what_if.chances()
            content["what_if"] = {
                "num_seeds": self.what_if.num_seeds,
                "expected_seeds": self.what_if.expected_seeds,
                "contagion": self.what_if.contagion,
                "forecast": asdict(forecast),
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


def _compare_with_rank(forecast: Forecast, asked: float | None) -> str:
    """Returns a sentence about the forecast of `rank`."""
    why = (
        "adds up the probabilities of all users, as if each of them saw the challenge, "
        "and uses neither ties nor past challenges"
    )
    if asked is None:
        return f"The command rank answers another question: it {why}."
    relation = "agrees with the interval"
    if not forecast.low <= asked <= forecast.high:
        relation = "lies outside the interval"
    return f"The command rank would forecast {asked:,.1f}, which {relation}: it {why}."
