"""Writes the section of a bundle's model card on the calibration of probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import GroupKFold

from dc_keras.evaluation.metrics import (
    expected_calibration_error,
    reliability_bins,
)
from dc_keras.serving.calibration import Calibration

_NUM_PARTS = 5
_NUM_BINS = 10


def describe_reliability(directory: Path, calibration: Calibration) -> str:
    """Returns the section on calibration of a model card, in Markdown.

    The validation rows of the model in `directory` were used for the calibration.
    """
    pairs = pl.read_parquet(directory / "predictions.parquet")
    title = "## Calibration"
    labels = pairs["label"].to_numpy().astype(float)
    scores = pairs["score"].to_numpy().astype(float)
    if calibration.method == "none":
        return (
            f"{title}\n\nThe scores are not calibrated: calibration was not requested, "
            f"or the {len(labels):,} validation pairs were too few. Do not interpret "
            "the scores as frequencies.\n"
        )
    if pairs["user_id"].n_unique() < _NUM_PARTS:
        return (
            f"{title}\n\nCalibrated by `{calibration.method}` on {len(labels):,} "
            "validation pairs. There are too few users to measure the calibration.\n"
        )
    held_out = predict_out_of_fold(pairs, calibration.method)
    bins = reliability_bins(labels, held_out, _NUM_BINS)
    lines = [
        f"{title}\n",
        f"Calibrated by `{calibration.method}` on {len(labels):,} validation pairs of "
        f"{pairs['user_id'].n_unique():,} users. The tables use {_NUM_PARTS}-fold "
        "cross-validation by user, with a single split and without intervals.\n",
        "| | Brier score | calibration error |",
        "|---|---|---|",
        *(
            f"| {name} | {brier_score_loss(labels, p):.4f} | "
            f"{expected_calibration_error(labels, p):.4f} |"
            for name, p in (("score", scores), ("probability", held_out))
        ),
        "\n| mean probability | share that joined | pairs |",
        "|---|---|---|",
        *(
            f"| {predicted:.3f} | {observed:.3f} | {count:,} |"
            for predicted, observed, count in zip(
                bins.predicted, bins.observed, bins.counts, strict=True
            )
        ),
        "\nBrier score: mean squared difference of probability and label. Calibration "
        "error: mean absolute difference of mean probability and share that joined, "
        "over 15 bins of equal mass. The offsets of challenges from the model have a "
        f"standard deviation of {calibration.spread:.2f} log-odds; the intervals of "
        "`rank` include it.\n",
    ]
    return "\n".join(lines)


def predict_out_of_fold(pairs: pl.DataFrame, method: str) -> np.ndarray:
    """Returns probabilities calibrated on the pairs of other users, (num_pairs,).

    `pairs` have user_id, challenge, score and label; `method` is one of
    `Calibration.fit`.
    """
    scores = pairs["score"].to_numpy().astype(float)
    labels = pairs["label"].to_numpy().astype(float)
    challenges = pairs["challenge"].to_numpy()
    calibrated = np.empty(len(scores))
    parts = GroupKFold(_NUM_PARTS).split(scores, groups=pairs["user_id"].to_numpy())
    for others, rows in parts:
        curve = Calibration.fit(
            scores[others], labels[others], challenges[others].tolist(), method
        )
        calibrated[rows] = curve.apply(scores[rows])
    return calibrated
