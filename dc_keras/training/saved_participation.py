"""Participation models of model directories, which `train` or `save` wrote."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dc_keras.context.context_model import ContextModel
from dc_keras.context.post_vectors import UNKNOWN, embed_posts
from dc_keras.context.set_vectors import join_rows
from dc_keras.errors import DataError, require_type
from dc_keras.training.fold import FoldData
from dc_keras.training.fusion_training import user_sets, video_vectors
from dc_keras.training.model_directory import load_model, read_config
from dc_keras.training.participation_model import ParticipationModel
from dc_keras.training.participation_part import ParticipationPart
from dc_keras.training.proxy_training import Proxies, embed_videos, side_variants
from tfrecords.storage.read_errors import reading

CHALLENGES_FILE = "challenges.npz"
CONTEXT_FILE = "context.npz"


@dataclass(frozen=True, eq=False)
class SavedParticipation:
    """A participation model of a model directory.

    Attributes:
        directory: where it lies.
        model: the model.
        config: every choice behind it.
        sets: the arrays of `challenges.npz`, in the order of `config["challenges"]`:
            `posts` float32 (num_challenges, num_posts, width), `valid` bool
            (num_challenges, num_posts), and `vectors` float32 (num_challenges,
            challenge_width).
        proxies: proxies by side; empty without a fusion of videos.
    """

    directory: Path
    model: ParticipationModel
    config: dict[str, Any]
    sets: dict[str, np.ndarray]
    proxies: Proxies = field(default_factory=dict)

    def __repr__(self) -> str:
        names = ", ".join(self.config["challenges"])
        return f"<{type(self).__name__}: {self.name} of {self.directory}, for {names}>"

    @property
    def name(self) -> str:
        """The name of its row in tables."""
        return self.baseline or "deepChallenger"

    @property
    def baseline(self) -> str | None:
        """Name of the baseline of the paper; None for deepChallenger."""
        return self.config.get("baseline")

    def predict(self, part: ParticipationPart) -> np.ndarray:
        """Returns the probability of joining of each pair, float32 (num_pairs,).

        Users are described by their posts and accounts, as a served bundle does; which
        challenges they are known to have joined is not used.

        Args:
            part: pairs of challenges that the model knows, with features by the same
                encoders.

        Raises:
            DataError: an unknown challenge, or features by another encoder.
            TypeError: `part` is not a part of a split.
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
        self._require_encoders(part.data)
        column = np.array([row_of.get(name, -1) for name in grid.challenges])
        return self.model.predict(
            self._describe_users(part.data),
            self.sets["vectors"],
            pairs.user[rows],
            column[pairs.challenge[rows]],
        )

    def _require_encoders(self, data: FoldData) -> None:
        features = data.table
        for side, variant in side_variants(features, self.baseline).items():
            wanted = self.config["sides"][side]
            vision = features.vision[variant.vision].spec if variant.vision else None
            text = features.caption_spec if variant.use_text else None
            for kind, spec in (("vision", vision), ("text", text)):
                if _fingerprint(spec) != _fingerprint(wanted[kind]):
                    raise DataError(
                        f"the {kind} features of `part` must come from the encoder "
                        f"{_fingerprint(wanted[kind])} of the model. "
                        f"Received: {_fingerprint(spec)}"
                    )

    def _describe_users(self, data: FoldData) -> np.ndarray:
        """Returns the vectors of all users of a grid, float32 (num_users, width)."""
        sides = []
        if self.model.fusion is not None:
            size = self.model.fusion.sizes["history_max"]
            sets = user_sets(data.grid, data.table, self._embed_videos(data), size)
            sides.append(np.asarray(self.model.fusion.represent_users(*sets)))
        if self.model.context is not None:
            sides.append(_describe_context(self.model.context, data))
        return np.concatenate(sides, axis=1).astype(np.float32)

    def _embed_videos(self, data: FoldData) -> np.ndarray:
        """Returns the vectors of all videos of users, float32 (num_videos, dim)."""
        variant = side_variants(data.table, self.baseline)["user"]
        if self.baseline is not None:
            return video_vectors(data.table, variant)
        return embed_videos(self.proxies["user"], data.table, variant)


def _describe_context(context: ContextModel, data: FoldData) -> np.ndarray:
    evidence, layout = data.context.evidence, context.pairs.layout
    posts = embed_posts(
        context.space,
        evidence.facts.posts,
        data.context.caption_vectors,
        data.context.frame_vectors,
    )
    facts = np.concatenate([np.log1p(evidence.accounts), evidence.pasts], axis=1)
    seconds = np.nan_to_num(evidence.user_cutoffs, nan=-1.0).astype(np.int64)
    return np.concatenate(
        [
            join_rows(layout.user, posts, evidence.histories),
            np.nan_to_num(facts, nan=UNKNOWN),
            np.zeros((len(evidence.histories), 1 + layout.num_challenges)),
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
    config = read_config(place)
    if config["task"] != "participation":
        raise DataError(
            f"{place} must have a model of --task=participation. Received: "
            f"task={config['task']}"
        )
    fusion, context, proxies = None, None, {}
    if config["context"]["videos"]:
        fusion, _ = load_model(place)
    if config["context"]["context"] != "none":
        context = ContextModel.load(place / CONTEXT_FILE)
    if fusion is not None and config.get("baseline") is None:
        for side in ("challenge", "user"):
            proxies[side], _ = load_model(place / f"{side}_proxy")
    with (
        reading(place / CHALLENGES_FILE, "the challenges of a model of train"),
        (place / CHALLENGES_FILE).open("rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        sets = dict(archive)
    model = ParticipationModel(fusion, context)
    return SavedParticipation(place, model, config, sets, proxies)


def _fingerprint(spec: Any) -> str | None:
    # Features from arrays have a name only.
    return None if spec is None else spec.get("fingerprint") or spec.get("name")
