"""What a bundle's card says of its probabilities: whether .3 means three in ten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import GroupKFold

from dc_keras.evaluation.calibration_error import (
    expected_calibration_error,
    reliability_bins,
)
from dc_keras.serving.calibration import Calibration

_NUM_PARTS = 5
_NUM_BINS = 10


def describe_reliability(directory: Path, calibration: Calibration) -> str:
    """Returns the part of a model card about calibration, in Markdown.

    Args:
        directory: of the participation model, whose validation rows calibrated it.
        calibration: of the bundle.
    """
    told = pl.read_parquet(directory / "predictions.parquet")
    title = "## Whether a probability holds"
    labels = told["label"].to_numpy().astype(float)
    scores = told["score"].to_numpy().astype(float)
    if calibration.method == "none":
        return (
            f"{title}\n\nThe scores are not calibrated: that was not asked for, or the "
            f"{len(labels):,} validation pairs were too few. Do not read them as "
            "frequencies.\n"
        )
    if told["user_id"].n_unique() < _NUM_PARTS:
        return (
            f"{title}\n\nCalibrated by `{calibration.method}` on {len(labels):,} "
            "validation pairs, of too few users to say how well.\n"
        )
    held_out = out_of_fold(told, calibration.method)
    bins = reliability_bins(labels, held_out, _NUM_BINS)
    lines = [
        f"{title}\n",
        f"Calibrated by `{calibration.method}` on {len(labels):,} validation pairs of "
        f"{told['user_id'].n_unique():,} users. Below, each pair by the curve of the "
        f"other users ({_NUM_PARTS} parts); one division, without an interval.\n",
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
        "\nBrier score: mean squared distance of probability and label. Calibration "
        "error: mean distance of probability and share that joined, over 15 bins of "
        f"equal mass. Challenges differ by {calibration.spread:.2f} log-odds (standard "
        "deviation) beyond what the model knows: `rank` has it in its intervals.\n",
    ]
    return "\n".join(lines)


def out_of_fold(told: pl.DataFrame, method: str) -> np.ndarray:
    """Returns each pair's probability by a curve that its user had no part in.

    Args:
        told: user_id, challenge, score and label of pairs.
        method: of `Calibration.fit`.

    Returns:
        float64 (num_pairs,).
    """
    scores = told["score"].to_numpy().astype(float)
    labels = told["label"].to_numpy().astype(float)
    challenges = told["challenge"].to_numpy()
    found = np.empty(len(scores))
    parts = GroupKFold(_NUM_PARTS).split(scores, groups=told["user_id"].to_numpy())
    for others, rows in parts:
        curve = Calibration.fit(
            scores[others], labels[others], challenges[others].tolist(), method
        )
        found[rows] = curve.apply(scores[rows])
    return found
