"""Judges one model on one part of a split, with the simple baselines beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import polars as pl

from dc_keras.errors import DataError, require_type
from dc_keras.evaluation.predictions import (
    SplitPredictions,
    prediction_rows,
    with_categories,
)
from dc_keras.evaluation.result_tables import Cell, Table
from dc_keras.evaluation.results import (
    SplitResult,
    describe_pairs,
    judge_predictions,
)
from dc_keras.evaluation.simple_baselines import (
    SIMPLE_BASELINES,
    SimpleData,
    simple_scores,
)
from dc_keras.training.average_precision import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED
from dc_keras.training.loop import predict
from dc_keras.training.participation_part import ParticipationPart

if TYPE_CHECKING:
    from dc_keras.training.trained_participation import TrainedParticipation

_COLUMNS = ("model", "AP", "95 %", "AUC", "F1", "Δ AP", "Δ 95 %")


def evaluate(
    model: keras.Model | TrainedParticipation | np.ndarray,
    part: ParticipationPart,
    *,
    name: str | None = None,
    baselines: bool = True,
) -> Table:
    """Judges a model on the pairs of a part.

    Args:
        model: a Keras model that takes the inputs of `DeepChallenger`, a fitted
            participation model, or the probabilities (num_pairs,) of the pairs in the
            order of `part.pairs`. A last axis of one output is dropped.
        part: the judged pairs; usually the test part.
        name: of the model's row; None for the model's own.
        baselines: whether the simple baselines, fitted on the training part, are
            judged on the same pairs.

    Returns:
        A row for the model, then the baselines, the best first. AP: average
        precision; 95 %: its interval over users; AUC: area under the ROC curve; F1:
        unweighted mean over {no, yes} at the threshold that is best on validation
        pairs, .5 for an array; Δ AP: above the best baseline, with its interval.

    Raises:
        DataError: the pairs have one label, the name is that of a simple baseline, or
            the scores are not probabilities (num_pairs,).
        TypeError: `part` is no part of a split.
    """
    require_type("part", part, ParticipationPart)
    if len(np.unique(part.labels)) < 2:
        raise DataError(
            "the judged pairs must have users who joined and users who did not. "
            f"Received: part={part!r}"
        )
    own = getattr(model, "name", "model") if hasattr(model, "predict") else "model"
    title = str(own if name is None else name)
    if baselines and title in SIMPLE_BASELINES:
        raise DataError(
            f"`name` must not be that of a simple baseline. Received: name={title!r}"
        )
    frames = [_model_rows(title, model, part)]
    if baselines:
        frames += _baseline_rows(part)
    fold = with_categories([pl.concat(frames)])[0]
    models = fold["model"].unique(maintain_order=True).to_list()
    judged = judge_predictions(
        SplitPredictions(
            split=part.data.fold.split,
            folds=(fold,),
            seeds=(0,),
            models=tuple(map(str, models)),
            num_left_out=0,
        )
    )
    return _table(judged, title, part)


def _model_rows(name: str, model: Any, part: ParticipationPart) -> pl.DataFrame:
    frames = [_frame(name, part, "test", _scores(model, part))]
    valid = part.part("valid")
    # Of an array, nothing is known of the validation pairs.
    if hasattr(model, "predict") and len(valid):
        frames.append(_frame(name, valid, "valid", _scores(model, valid)))
    return pl.concat(frames)


def _baseline_rows(part: ParticipationPart) -> list[pl.DataFrame]:
    data, valid, frames = part.data, part.part("valid"), []
    simple = SimpleData(data.pairs, data.fold, data.features, data.seed)
    for name, scores in simple_scores(simple).items():
        frames.append(_frame(name, part, "test", scores[part.rows]))
        frames.append(_frame(name, valid, "valid", scores[valid.rows]))
    return frames


def _scores(model: Any, part: ParticipationPart) -> np.ndarray:
    if isinstance(model, keras.Model):
        scores = predict(model, part.examples)
    else:
        scores = model.predict(part) if hasattr(model, "predict") else model
    try:
        scores = np.asarray(scores, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            "`model` must be a Keras model, a fitted participation model or an array "
            f"of probabilities. Received: {type(model).__name__}"
        ) from error
    if scores.shape[1:] == (1,):
        scores = scores[:, 0]
    is_probability = bool(np.all((scores >= 0) & (scores <= 1)))
    if scores.shape != (len(part),) or not is_probability:
        raise DataError(
            f"`model` must give a probability in [0, 1] for each of {len(part)} pairs. "
            f"Received: shape={scores.shape}"
            + ("" if is_probability else ", with values outside [0, 1]")
        )
    return scores


def _frame(
    model: str, part: ParticipationPart, role: str, scores: np.ndarray
) -> pl.DataFrame:
    data = part.data
    return prediction_rows(data.grid, data.pairs, part.rows, model, role, scores)


def _table(judged: SplitResult, name: str, part: ParticipationPart) -> Table:
    others = [model for model in judged.models if model != name]
    others.sort(key=judged.average_precision, reverse=True)
    fold = part.data.fold
    notes = [
        f"{describe_pairs(judged.predictions)} AP: average precision. 95 %: "
        f"{BOOTSTRAP_DRAWS} bootstrap draws over users, seed {BOOTSTRAP_SEED}.",
        "F1: unweighted mean over {no, yes} at the threshold with the best F1 on "
        "validation pairs.",
    ]
    if others:
        notes.append(
            f"Δ AP: above the strongest simple baseline ({judged.strongest}), paired "
            "over users."
        )
    return Table(
        f"Participation, {part.name} part of {fold.split}, fold {fold.index}",
        _COLUMNS,
        tuple(_row(judged, model) for model in (name, *others)),
        tuple(notes),
    )


def _row(judged: SplitResult, model: str) -> tuple[Cell, ...]:
    metrics = judged.metrics[model]
    return (
        model,
        metrics["average_precision"],
        judged.interval_cell(model),
        metrics["roc_auc"],
        metrics["macro_f1"],
        *judged.strongest_cells(model),
    )
