"""The judged recipe in Python: fit it on the parts of a split, save it, load it.

fitted = fit_participation(train, valid)
probabilities = fitted.predict(test)
fitted.save("run/model")
loaded = load_participation("run/model")
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dc_keras.context.context_model import ContextModel
from dc_keras.context.post_vectors import UNKNOWN, embed_posts
from dc_keras.context.set_vectors import join_rows
from dc_keras.errors import DataError, require_type
from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from dc_keras.training.fold_fitting import FittedRecipe, FoldData, FoldFitting
from dc_keras.training.fusion_training import user_sets, video_vectors
from dc_keras.training.model_config import read_config
from dc_keras.training.model_directory import load_model, save_model
from dc_keras.training.participation_model import ParticipationModel
from dc_keras.training.participation_part import ParticipationPart
from dc_keras.training.proxy_training import Variant, embed_videos, side_variants
from dc_keras.training.recipe import Recipe
from dc_keras.training.saved_participation import (
    load_challenge_vectors,
    read_participation,
    save_participation,
)
from dc_keras.training.training_job import TrainingRun

_MODEL, _TRAINING = ModelOptions(), TrainingOptions()
_CONTEXT, _PROTOCOL = ContextOptions(), ProtocolOptions()


def _ignore(line: str) -> None:
    """Drops a line of progress."""


@dataclass(frozen=True, eq=False)
class TrainedParticipation:
    """A participation model that was fitted on the training part of a split.

    Attributes:
        recipe: what it sees and how it was fitted.
        result: the model, and users, challenges and pairs as it sees them.
        data: the fold that it was fitted on.
        protocol: which rows trained what.
        key_fingerprint: of the corpus's pseudonyms.
    """

    recipe: Recipe
    result: FittedRecipe
    data: FoldData
    protocol: ProtocolOptions
    key_fingerprint: str

    def __repr__(self) -> str:
        # Without the fold, which has captions of people.
        fold, grid = self.data.fold, self.data.grid
        return (
            f"<{type(self).__name__}: {self.name}, fitted on {fold.split}, fold "
            f"{fold.index}, {len(grid.users)} users, {len(grid.challenges)} challenges>"
        )

    @property
    def model(self) -> ParticipationModel:
        """The fitted model."""
        return self.result.fitted.model

    @property
    def name(self) -> str:
        """The name of its row in tables."""
        return self.recipe.name

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
        if not _is_same_fold(part.data, self.data):
            raise DataError(
                "`part` must belong to the split that the model was fitted on; save "
                f"the model and load it to use it elsewhere. Received: part={part!r}"
            )
        fitted = self.result.fitted
        if part.name == "test":
            return fitted.predict(part.rows)
        return fitted.predict_out_of_fold(part.rows)

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
        self._write(partial)
        if place.exists():
            shutil.rmtree(place)
        partial.rename(place)

    def _write(self, directory: Path) -> None:
        fold, result = self.data.fold, self.result
        groups = ",".join(self.recipe.groups) or "none"
        run = TrainingRun(
            grid=self.data.grid,
            table=self.data.table,
            model=self.recipe.model,
            training=self.recipe.training,
            protocol=self.protocol,
            directory=directory,
            facts=self.data.facts,
            context=ContextOptions(groups, self.recipe.has_videos),
            baseline=self.recipe.baseline,
            key_fingerprint=self.key_fingerprint,
        )
        split = {"name": fold.split, "fold": fold.index, "seed": self.data.seed}
        for kind, (proxy, variant) in result.proxies.items():
            task = self.data.video_task(kind, self.protocol.user_classes)
            config = run.config(kind, {kind: variant})
            place = directory / f"{kind}_proxy"
            place.mkdir(parents=True)
            save_model(
                place, proxy, {**config, "split": split, "classes": list(task.classes)}
            )
        save_participation(run, result, fold, split)


def fit_participation(
    train: ParticipationPart,
    valid: ParticipationPart,
    *,
    model: ModelOptions = _MODEL,
    training: TrainingOptions = _TRAINING,
    context: ContextOptions = _CONTEXT,
    protocol: ProtocolOptions = _PROTOCOL,
    baseline: str | None = None,
    progress: Callable[[str], None] = _ignore,
) -> TrainedParticipation:
    """Fits the whole recipe: both proxies, fusion of videos, context, combination.

    The model is the one that `evaluate` judges in the same fold with the same options.

    Args:
        train: the training part of a split.
        valid: the validation part of the same split, for early stopping.
        model: shape of the networks.
        training: how they are fitted; the seed is that of the split.
        context: what the model sees beside the videos.
        protocol: which rows train what.
        baseline: name of a baseline of the paper, such as "VGG16+BERT", that is fitted
            in place of the recipe, without context.
        progress: called with a line when something is about to be fitted, such as
            `print`.

    Raises:
        DataError: the two are not the training and the validation part of one split, or
            the features do not have the variant of `baseline`.
        TypeError: an argument has another type.
    """
    for name, value, accepted in (
        ("train", train, ParticipationPart),
        ("valid", valid, ParticipationPart),
        ("model", model, ModelOptions),
        ("training", training, TrainingOptions),
        ("context", context, ContextOptions),
        ("protocol", protocol, ProtocolOptions),
    ):
        require_type(name, value, accepted)
    is_named = (train.name, valid.name) == ("train", "valid")
    if not is_named or not _is_same_fold(train.data, valid.data):
        raise DataError(
            "`train` and `valid` must be the training and the validation part of one "
            f"split. Received: train={train!r}, valid={valid!r}"
        )
    recipe = Recipe.of(model, training, context, baseline)
    fitting = FoldFitting(
        train.data,
        (recipe,),
        protocol,
        recipe.training,
        progress,
    )
    return TrainedParticipation(
        recipe,
        fitting.fit(recipe),
        train.data,
        protocol,
        train.key_fingerprint,
    )


@dataclass(frozen=True, eq=False)
class SavedParticipation:
    """A participation model of a model directory.

    Attributes:
        directory: where it lies.
        model: the model.
        config: every choice behind it.
        challenges: float32 (num_challenges, challenge_width), the vector of each
            challenge in the order of `config["challenges"]`.
        proxies: by side, the proxy and what it sees; empty without a fusion of videos.
    """

    directory: Path
    model: ParticipationModel
    config: dict[str, Any]
    challenges: np.ndarray
    proxies: dict[str, tuple[keras.Model, Variant]] = field(default_factory=dict)

    def __repr__(self) -> str:
        names = ", ".join(self.config["challenges"])
        return f"<{type(self).__name__}: {self.name} of {self.directory}, for {names}>"

    @property
    def name(self) -> str:
        """The name of its row in tables."""
        return self.config.get("baseline") or "deepChallenger"

    def predict(self, part: ParticipationPart) -> np.ndarray:
        """Returns the probability of joining of each pair, float32 (num_pairs,).

        Users are described by their posts and accounts, as a served bundle does; which
        challenges they are known to have joined is not used.

        Args:
            part: pairs of challenges that the model knows, with features by the same
                encoders.

        Raises:
            DataError: an unknown challenge, or features by another encoder.
            TypeError: `part` is no part of a split.
        """
        require_type("part", part, ParticipationPart)
        grid, pairs, rows = part.data.grid, part.data.pairs, part.rows
        row_of = {name: row for row, name in enumerate(self.config["challenges"])}
        asked = [grid.challenges[c] for c in np.unique(pairs.challenge[rows])]
        unknown = [name for name in asked if name not in row_of]
        if unknown:
            raise DataError(
                f"the model knows the challenges {', '.join(row_of)}. "
                f"Received: challenge={unknown[0]!r}"
            )
        self._require_encoders(part)
        column = np.array([row_of.get(name, -1) for name in grid.challenges])
        return self.model.predict(
            self._describe_users(part),
            self.challenges,
            pairs.user[rows],
            column[pairs.challenge[rows]],
        )

    def _require_encoders(self, part: ParticipationPart) -> None:
        features = part.data.table
        for side, variant in side_variants(
            features, self.config.get("baseline")
        ).items():
            wanted = self.config["sides"][side]
            vision = features.vision[variant.vision].spec if variant.vision else None
            text = features.caption_spec if variant.use_text else None
            found = {"vision": vision, "text": text}
            for kind, spec in found.items():
                if _fingerprint(spec) != _fingerprint(wanted[kind]):
                    raise DataError(
                        f"the {kind} features of `part` must come from the encoder "
                        f"{_fingerprint(wanted[kind])} of the model. "
                        f"Received: {_fingerprint(spec)}"
                    )

    def _describe_users(self, part: ParticipationPart) -> np.ndarray:
        """Returns the vectors of all users of a grid, float32 (num_users, width)."""
        data, sides = part.data, []
        if self.model.fusion is not None:
            size = self.model.fusion.history_max
            sets = user_sets(data.grid, data.table, self._embed_videos(data), size)
            x_u = self.model.fusion.represent_users(sets.values, sets.valid)
            sides.append(np.asarray(x_u))
        if self.model.context is not None:
            sides.append(self._describe_context(self.model.context, part))
        return np.concatenate(sides, axis=1).astype(np.float32)

    def _embed_videos(self, data: FoldData) -> np.ndarray:
        """Returns the vectors of all videos of users, float32 (num_videos, dim)."""
        baseline = self.config.get("baseline")
        if baseline is not None:
            variant = side_variants(data.table, baseline)["user"]
            return video_vectors(data.table, variant)
        proxy, variant = self.proxies["user"]
        return embed_videos(proxy, data.table, variant)

    @staticmethod
    def _describe_context(context: ContextModel, part: ParticipationPart) -> np.ndarray:
        data = part.data.context
        evidence, layout = data.evidence, context.pairs.layout
        posts = embed_posts(
            context.space,
            evidence.facts.posts,
            data.caption_vectors,
            data.frame_vectors,
        )
        facts = np.concatenate([np.log1p(evidence.accounts), evidence.pasts], axis=1)
        no_joins = np.zeros((len(evidence.histories), 1 + layout.num_challenges))
        seconds = np.nan_to_num(evidence.user_cutoffs, nan=-1.0).astype(np.int64)
        return np.concatenate(
            [
                join_rows(layout.user, posts, evidence.histories),
                np.nan_to_num(facts, nan=UNKNOWN),
                no_joins,
                np.asarray(context.space.day_of(tf.constant(seconds)))[:, None],
            ],
            axis=1,
        )


def load_participation(directory: str | Path) -> SavedParticipation:
    """Loads the participation model of a directory that `train` or `save` wrote.

    Raises:
        DataError: it holds another kind of model, training never came to its end, or a
            file is damaged.
    """
    place = Path(directory)
    model, config = read_participation(place)
    proxies = {}
    if model.fusion is not None and config.get("baseline") is None:
        for side in ("challenge", "user"):
            spec = config["sides"][side]
            variant = Variant(
                spec["vision"] and spec["vision"]["name"], spec["text"] is not None
            )
            proxies[side] = load_model(place / f"{side}_proxy")[0], variant
    challenges = load_challenge_vectors(place)
    return SavedParticipation(place, model, config, challenges, proxies)


def _fingerprint(spec: Any) -> str | None:
    # Features from arrays have a name only.
    return None if spec is None else spec.get("fingerprint") or spec.get("name")


def _is_same_fold(one: FoldData, other: FoldData) -> bool:
    """Returns whether two calls of `split` made the same parts of the same dataset."""
    return one.grid is other.grid and all(
        np.array_equal(getattr(one.fold, part), getattr(other.fold, part))
        for part in ("train", "valid", "test")
    )
