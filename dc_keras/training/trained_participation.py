"""Fitted participation models, and the files of their model directories."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dc_keras.context.context_fitting import ContextFeatures
from dc_keras.context.context_model import FittedContext
from dc_keras.corpus.pseudonyms import post_code
from dc_keras.corpus.store import write_table
from dc_keras.errors import DataError, require_type
from dc_keras.options import ProtocolOptions
from dc_keras.training.cross_fitting import FusedVideos
from dc_keras.training.fold import FoldData
from dc_keras.training.model_directory import read_config, save_model
from dc_keras.training.participation_model import ParticipationModel
from dc_keras.training.participation_part import ParticipationPart
from dc_keras.training.proxy_training import Proxies, side_variants, visible_support
from dc_keras.training.recipe import Recipe
from dc_keras.training.saved_participation import CHALLENGES_FILE, CONTEXT_FILE
from dc_keras.training.summaries import log_pr_curve


@dataclass(frozen=True, eq=False)
class TrainedParticipation:
    """A participation model that was fitted on the training pairs of a fold.

    Attributes:
        recipe: what it sees and how it was fitted.
        data: the fold that it was fitted on.
        protocol: selection of its training data.
        model: the fitted model.
        users: float32 (num_users, user_width), vectors of users.
        challenges: float32 (num_challenges, challenge_width), vectors of challenges.
        context: the context model with the models of its inner folds, or None.
        videos: the fusion of videos or the baseline of the paper, or None.
        proxies: fitted proxies by side; empty for a model without videos and for a
            baseline.
    """

    recipe: Recipe
    data: FoldData
    protocol: ProtocolOptions
    model: ParticipationModel
    users: np.ndarray
    challenges: np.ndarray
    context: FittedContext | None = None
    videos: FusedVideos | None = None
    proxies: Proxies = field(default_factory=dict)

    def __repr__(self) -> str:
        # Without the fold, which has captions of people.
        fold, grid = self.data.fold, self.data.grid
        return (
            f"<{type(self).__name__}: {self.name}, fitted on {fold.split}, fold "
            f"{fold.index}, {len(grid.users)} users, {len(grid.challenges)} challenges>"
        )

    @property
    def name(self) -> str:
        """The name of its row in tables."""
        return self.recipe.name

    @property
    def features(self) -> ContextFeatures | None:
        """The context features of the fold, or None."""
        return None if self.context is None else self.context.features

    def predict(self, part: ParticipationPart) -> np.ndarray:
        """Returns the probability of joining of each pair, float32 (num_pairs,).

        Args:
            part: of the split that the model was fitted on. Its training and validation
                pairs are scored by models that have not seen their labels.

        Raises:
            DataError: the part belongs to another split.
            TypeError: it is no part of a split.
        """
        require_type("part", part, ParticipationPart)
        if not self.data.has_pairs_of(part.data):
            raise DataError(
                "`part` must belong to the split that the model was fitted on; save "
                f"the model and load it to use it elsewhere. Received: part={part!r}"
            )
        if part.name == "test":
            return self.predict_rows(part.rows)
        return self.predict_out_of_fold(part.rows)

    def predict_rows(self, rows: np.ndarray) -> np.ndarray:
        """Returns probabilities of pairs by the final model, float32 (len(rows),)."""
        pairs = self.data.pairs
        return self.model.predict(
            self.users, self.challenges, pairs.user[rows], pairs.challenge[rows]
        )

    def predict_out_of_fold(self, rows: np.ndarray) -> np.ndarray:
        """Returns probabilities of training and validation pairs, float32 (len(rows),).

        With context, models that were fitted without their labels compute them.
        """
        if self.context is None:
            return self.predict_rows(rows)
        return np.asarray(1 / (1 + np.exp(-self.context.log_odds(rows))))

    def save(self, directory: str | Path, *, overwrite: bool = False) -> None:
        """Writes a model directory as `train` does, whole or not at all.

        Args:
            directory: new or empty.
            overwrite: whether a model that is there is replaced.

        Raises:
            DataError: the directory holds something else, or a model and `overwrite` is
                not set.
        """
        place = Path(directory).resolve()
        if place.exists() and any(place.iterdir()):
            if not overwrite:
                raise DataError(
                    "`directory` must be new or empty; overwrite=True replaces a "
                    f"model. Received: directory={place}"
                )
            read_config(place)
        partial = place.with_name(f".{place.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        fold = self.data.fold
        split = {"name": fold.split, "fold": fold.index, "seed": self.data.seed}
        for kind, proxy in self.proxies.items():
            task = self.data.video_task(kind, self.protocol.user_classes)
            config = describe_training(self.data, self.recipe, self.protocol, kind)
            config |= {"split": split, "classes": list(task.classes)}
            proxy_place = partial / f"{kind}_proxy"
            proxy_place.mkdir(parents=True)
            save_model(proxy_place, proxy, config)
        write_participation(partial, self, split)
        if place.exists():
            shutil.rmtree(place)
        partial.rename(place)


def describe_training(
    data: FoldData, recipe: Recipe, protocol: ProtocolOptions, task: str
) -> dict[str, Any]:
    """Returns the settings of a model directory, as plain values.

    The task is "challenge" or "user" for a proxy, or "participation".
    """
    table, sides = data.table, {}
    for side, variant in side_variants(table, recipe.baseline).items():
        if task in (side, "participation"):
            vision = table.vision[variant.vision] if variant.vision else None
            caption = table.caption_spec if variant.use_text else None
            sides[side] = {
                "vision": dict(vision.spec) if vision else None,
                "sampling": dict(vision.sampling) if vision else None,
                "text": dict(caption) if caption else None,
            }
    return {
        "task": task,
        "model": recipe.model.to_dict(),
        "training": recipe.training.to_dict(),
        "protocol": protocol.to_dict(),
        "context": recipe.context.to_dict(),
        "baseline": recipe.baseline,
        "study": dict(data.grid.settings),
        "grid_sha256": data.grid.sha256,
        "features_sha256": list(table.sha256),
        "facts_sha256": data.facts.sha256,
        "sides": sides,
    }


def write_participation(
    directory: Path,
    fitted: TrainedParticipation,
    split: Mapping[str, Any] | None = None,
) -> None:
    """Writes a fitted model without its proxies; see `train_participation`.

    `split` is its fold as plain values; None for `train`, which fits on all pairs
    except those of the validation users.
    """
    data = fitted.data
    directory.mkdir(parents=True, exist_ok=True)
    _write_predictions(directory, fitted)
    _write_challenges(directory / CHALLENGES_FILE, fitted)
    if fitted.model.context is not None:
        fitted.model.context.save(directory / CONTEXT_FILE)
    config = {
        **describe_training(data, fitted.recipe, fitted.protocol, "participation"),
        "challenges": list(data.grid.challenges),
        "describing_posts": _describing_posts(fitted),
    }
    if split is not None:
        config["split"] = dict(split)
    save_model(directory, fitted.model.fusion, config)


def _write_predictions(directory: Path, fitted: TrainedParticipation) -> None:
    """Writes the predictions of the validation pairs."""
    grid, pairs, rows = fitted.data.grid, fitted.data.pairs, fitted.data.fold.valid
    scores, labels = fitted.predict_out_of_fold(rows), pairs.label[rows]
    if len(rows):
        log_pr_curve(directory / "tensorboard", labels, scores)
    predictions = pl.DataFrame(
        {
            "user_id": [grid.users[u] for u in pairs.user[rows]],
            "challenge": [grid.challenges[c] for c in pairs.challenge[rows]],
            "label": labels,
            "score": scores,
        }
    )
    write_table(directory / "predictions.parquet", predictions)


def _write_challenges(path: Path, fitted: TrainedParticipation) -> None:
    """Writes the posts that describe each challenge; see `SavedParticipation`."""
    features, parts = fitted.features, []
    tables = {} if fitted.videos is None else fitted.videos.examples.tables
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
    temporary = path.with_name(f"tmp-{path.name}")
    posts = np.concatenate(parts, axis=2)
    np.savez(temporary, posts=posts, valid=valid, vectors=fitted.challenges)
    temporary.replace(path)


def _describing_posts(fitted: TrainedParticipation) -> dict[str, list[str]]:
    """Returns the codes of the posts in `challenges.npz` by challenge, in order."""
    data = fitted.data
    if data.key_fingerprint is None or fitted.recipe.baseline is not None:
        return {}
    size, hidden = data.grid.settings["support_max"], data.fold.hidden_users
    return {
        name: [
            post_code(data.key_fingerprint, video)
            for video in visible_support(data.grid, challenge, hidden)[:size]
        ]
        for challenge, name in enumerate(data.grid.challenges)
    }
