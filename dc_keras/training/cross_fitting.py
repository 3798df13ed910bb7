"""What the videos say of pairs that they were not fitted on.

A fusion that has learned the labels of its training pairs by heart is no guide on them.
So copies of it are fitted beside it, each without some training pairs, and each scores
those. All copies are one Keras model with an output each: the videos are gathered and
the step is compiled once, and since copies share no weight, each learns as if alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from dc_keras.context.cross_fit_plan import Step
from dc_keras.models.config import TrainingOptions
from dc_keras.training.dataset import Examples
from dc_keras.training.loop import fit, predict
from dc_keras.training.objectives import Objective


@dataclass(frozen=True)
class Crossed:
    """A model and its copies, fitted.

    Attributes:
        model: one output a copy, (batch_size, num_copies + 1); the last is the model's
            own, fitted on all training pairs.
        told: float32 (num_pairs,), the model's own probabilities.
        out_of_fold: float32 (num_pairs,), on training pairs those of the copy that has
            not seen the pair, NaN where there is none; elsewhere `told`.
    """

    model: keras.Model
    told: np.ndarray
    out_of_fold: np.ndarray

    def predict(self, examples: Examples) -> np.ndarray:
        """Returns the model's own probabilities, float32 (num_examples,)."""
        return np.asarray(predict(self.model, examples)[:, -1])


def fit_crossed(
    build_copies: Callable[[int], keras.Model],
    examples: Examples,
    train: np.ndarray,
    valid: np.ndarray,
    steps: Sequence[Step],
    objective: Objective,
    options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Crossed:
    """Fits a model on the training pairs and, beside it, a copy for each step.

    Args:
        build_copies: a number of copies that share no weight → inputs → probabilities
            (batch_size, number).
        examples: all pairs, with their weights.
        train: positions of the training pairs that the gradient sees.
        valid: positions that early stopping sees, of the model's own output.
        steps: of `signals.folds.plan_steps`; each inner one has a copy.
        objective: whose loss takes copies.
        options: how they are fitted.
        callbacks: Keras callbacks.
    """
    inner = [step for step in steps if step.is_inner]
    part = examples.take(train)
    seen = [np.isin(train, step.fitted) for step in inner] + [np.ones(len(train), bool)]
    weights = part.weights[:, None] * np.stack(seen, axis=1).astype(np.float32)
    model = fit(
        lambda: build_copies(len(seen)),
        replace(part, weights=weights),
        examples.take(valid),
        scored_by(objective, lambda outputs: outputs[:, -1]),
        options,
        callbacks,
    )
    outputs = predict(model, examples)
    out_of_fold = np.full(len(examples), np.nan, np.float32)
    for step in steps:
        column = inner.index(step) if step in inner else -1
        out_of_fold[step.scored] = outputs[step.scored, column]
    return Crossed(model, outputs[:, -1], out_of_fold)


def scored_by(
    objective: Objective, judged: Callable[[np.ndarray], np.ndarray]
) -> Objective:
    """The same objective, fitted to the outputs of all copies and scored by one output.

    Args:
        objective: whose loss takes copies.
        judged: outputs of all copies, (num_examples, count) → those that early stopping
            looks at, (num_examples,).
    """

    def score(labels: Any, outputs: Any, weights: Any) -> dict[str, float]:
        return objective.score(labels, judged(outputs), weights)

    return replace(objective, score=score)
