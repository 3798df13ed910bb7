"""Writes and reads the files of a fitted participation model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dc_keras.context.context_model import ContextModel
from dc_keras.corpus.pseudonyms import post_code
from dc_keras.corpus.store import write_table
from dc_keras.errors import DataError
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.models.paper_baselines import UserBaseline
from dc_keras.options import ContextOptions
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.splits import Fold
from dc_keras.training.fit_participation import FittedParticipation
from dc_keras.training.fold_fitting import FittedRecipe
from dc_keras.training.model_config import read_config
from dc_keras.training.model_directory import load_model, save_model
from dc_keras.training.participation_model import ParticipationModel
from dc_keras.training.proxy_training import visible_support
from dc_keras.training.recipe import parse_groups
from dc_keras.training.summaries import log_pr_curve
from dc_keras.training.training_job import TrainingRun
from tfrecords.storage.read_errors import reading

CHALLENGES_FILE = "challenges.npz"
CONTEXT_FILE = "context.npz"


def save_participation(
    run: TrainingRun,
    result: FittedRecipe,
    fold: Fold,
    split: Mapping[str, Any] | None = None,
) -> None:
    """Writes a fitted model without its proxies; see `train_participation`.

    Args:
        run: data, options and directory.
        result: the model and its inputs.
        fold: the pairs that it was fitted on.
        split: the fold as plain values; None for `train`, which fits on all pairs
            except those of the validation users.
    """
    fitted = result.fitted
    run.directory.mkdir(parents=True, exist_ok=True)
    _save_pair_predictions(run, fitted, fold.valid)
    _save_challenges(run.directory, result)
    if fitted.model.context is not None:
        fitted.model.context.save(run.directory / CONTEXT_FILE)
    config = {
        **run.config("participation", run.variants),
        "challenges": list(run.grid.challenges),
        "describing_posts": _describing_posts(run, fold.hidden_users),
    }
    if split is not None:
        config["split"] = dict(split)
    save_model(run.directory, fitted.model.fusion, config)


def read_participation(
    directory: Path,
) -> tuple[ParticipationModel, dict[str, Any]]:
    """Reads a participation model from its directory.

    Returns:
        The model and its configuration.

    Raises:
        DataError: if the directory has another kind of model, or training is not
            finished, or the model is of an older version.
    """
    config = read_config(directory)
    if config["task"] != "participation":
        raise DataError(
            f"{directory} must have a model of --task=participation. Received: "
            f"task={config['task']}"
        )
    context = ContextOptions.from_dict(config["context"])
    has_context = bool(parse_groups(context.context))
    fusion = load_model(directory)[0] if context.videos else None
    if not isinstance(fusion, DeepChallenger | UserBaseline | None):
        raise DataError(
            f"{directory} has a model of an older version; train it again. Received: "
            f"a {type(fusion).__name__}"
        )
    return ParticipationModel(
        fusion,
        ContextModel.load(directory / CONTEXT_FILE) if has_context else None,
    ), config


def load_challenge_vectors(directory: Path) -> np.ndarray:
    """Returns the vectors of a model's challenges, float32 (num_challenges, width)."""
    with (
        reading(directory / CHALLENGES_FILE, "the challenges of a model of train"),
        (directory / CHALLENGES_FILE).open("rb") as file,
        np.load(file, allow_pickle=False) as sets,
    ):
        return np.asarray(sets["vectors"])


def _save_pair_predictions(
    run: TrainingRun, fitted: FittedParticipation, valid: np.ndarray
) -> None:
    pairs = grid_pairs(run.grid)
    scores, labels = fitted.predict_out_of_fold(valid), pairs.label[valid]
    if len(valid):
        log_pr_curve(run.directory / "tensorboard", labels, scores)
    grid = run.grid
    predictions = pl.DataFrame(
        {
            "user_id": [grid.users[u] for u in pairs.user[valid]],
            "challenge": [grid.challenges[c] for c in pairs.challenge[valid]],
            "label": labels,
            "score": scores,
        }
    )
    write_table(run.directory / "predictions.parquet", predictions)


def _save_challenges(directory: Path, result: FittedRecipe) -> None:
    fitted, features, parts = result.fitted, result.features, []
    tables = {} if result.videos is None else result.videos.examples.tables
    if "challenge_valid" in tables:
        parts.append(tables["challenge"].numpy())
        valid = tables["challenge_valid"].numpy()
    if features is not None:
        posts = features.support_posts
        sizes = [len(rows) for rows in features.data.evidence.support]
        valid = np.arange(posts.shape[1]) < np.array(sizes)[:, None]
        parts.append(posts)
    if not parts:  # a baseline of the paper, which sees no posts of challenges
        valid = np.zeros((len(fitted.challenges), 1), bool)
        parts.append(np.zeros((*valid.shape, 0), np.float32))
    temporary = directory / f"tmp-{CHALLENGES_FILE}"
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(
        temporary,
        posts=np.concatenate(parts, axis=2),
        valid=valid,
        vectors=fitted.challenges,
    )
    temporary.replace(directory / CHALLENGES_FILE)


def _describing_posts(
    run: TrainingRun, hidden: Collection[str]
) -> dict[str, list[str]]:
    """Returns the codes of the posts in `challenges.npz` by challenge, in order."""
    key = run.key_fingerprint
    if key is None or run.baseline is not None:
        return {}
    support_max = run.grid.settings["support_max"]
    return {
        name: [
            post_code(key, video)
            for video in visible_support(run.grid, challenge, hidden)[:support_max]
        ]
        for challenge, name in enumerate(run.grid.challenges)
    }
