"""Cross-fitting of the fusion of videos: out-of-fold scores of training pairs.

A model's scores of its own training pairs are too good. Copies of the model are
therefore fitted at the same time, each without some of the training pairs, and each
scores these pairs. All copies are one Keras model with one output per copy, so inputs
are read once and the training step is compiled once. Copies share no weights, so each
is fitted independently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from dc_keras.context.cross_fit_plan import CrossFitStep
from dc_keras.options import TrainingOptions
from dc_keras.training.dataset import Examples
from dc_keras.training.loop import fit, predict
from dc_keras.training.objectives import Objective

# Number of pairs that are scored at once.
_BLOCK = 2**18
_NONE = -2


@dataclass(frozen=True)
class FusedVideos:
    """A fitted fusion of videos, or a baseline of the paper, with its examples.

    Attributes:
        model: Keras model. That of a fusion has outputs (batch_size, num_copies + 1),
            one per copy; the last is the final model, fitted on all training pairs.
        examples: all pairs.
        out_of_fold: float32 (num_pairs,), probabilities of training pairs by the copy
            that was fitted without the pair, and of validation pairs by the final
            model; NaN for pairs that no step of the plan scores and for test pairs.
            None for a baseline.
    """

    model: keras.Model
    examples: Examples
    out_of_fold: np.ndarray | None = None


def cross_fit(
    build_copies: Callable[[int], keras.Model],
    examples: Examples,
    train: np.ndarray,
    valid: np.ndarray,
    steps: Sequence[CrossFitStep],
    objective: Objective,
    options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> FusedVideos:
    """Fits a model on all training pairs, and a copy for each inner step.

    Args:
        build_copies: builds a model of a number of copies without shared weights, with
            outputs (batch_size, number).
        examples: all pairs, with their weights.
        train: positions of the training pairs.
        valid: positions of the pairs for early stopping, which uses the final model.
        steps: the plan of `cross_fit_plan.plan_steps`; empty for no copies.
        objective: objective with a loss for several outputs.
        options: training options.
        callbacks: Keras callbacks.
    """
    inner = [step for step in steps if step.is_inner]
    model = fit(
        lambda: build_copies(len(inner) + 1),
        _weigh_copies(examples.take(train), train, inner),
        examples.take(valid),
        _score_last_output(objective),
        options,
        callbacks,
    )
    # The output that scores a pair, -1 for the final model, or _NONE.
    output_of = np.full(len(examples), _NONE, np.int16)
    for step in steps[1:]:
        output_of[step.scored] = inner.index(step) if step in inner else -1
    scored = np.flatnonzero(output_of != _NONE)
    out_of_fold = np.full(len(examples), np.nan, np.float32)
    for start in range(0, len(scored), _BLOCK):
        rows = scored[start : start + _BLOCK]
        outputs = predict(model, examples.take(rows))
        out_of_fold[rows] = outputs[np.arange(len(rows)), output_of[rows]]
    return FusedVideos(model, examples, out_of_fold)


def _weigh_copies(
    examples: Examples, rows: np.ndarray, inner: Sequence[CrossFitStep]
) -> Examples:
    """Returns training pairs with a weight for each copy, 0 if it is fitted without."""
    weights = np.repeat(examples.weights[:, None], len(inner) + 1, axis=1)
    for copy, step in enumerate(inner):
        weights[:, copy] *= np.isin(rows, step.fitted, assume_unique=True)
    return replace(examples, weights=weights)


def _score_last_output(objective: Objective) -> Objective:
    """Returns an objective whose score uses the last output, the final model."""

    def score(labels: Any, outputs: Any, weights: Any) -> dict[str, float]:
        return objective.score(labels, outputs[:, -1], weights)

    return replace(objective, score=score)
