"""Fits the proxy models and embeds videos with them (sections IV-A and IV-B)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.features import Features
from dc_keras.models.proxy import (
    ChallengeProxy,
    UserProxy,
    embedding_model,
    standardizers,
)
from dc_keras.options import ModelOptions, TrainingOptions
from dc_keras.study.participation import Grid
from dc_keras.training.dataset import Examples
from dc_keras.training.loop import fit, predict
from dc_keras.training.objectives import classification

_BLOCK = 256


@dataclass(frozen=True)
class Variant:
    """The inputs of a model from a video; a row of Tables I and II.

    Attributes:
        vision: name of the vision encoder, or None.
        use_text: whether the caption is an input.
    """

    vision: str | None
    use_text: bool

    @property
    def name(self) -> str:
        """Name of the variant in the paper, such as `VGG16+BERT`."""
        parts = [self.vision] if self.vision else []
        return "+".join([*parts, "BERT"] if self.use_text else parts)


# Fitted proxies by side, "challenge" and "user"; `side_variants` has their inputs.
Proxies = Mapping[str, keras.Model]


def available_variants(table: Features) -> list[Variant]:
    """Returns all variants for the given features, the paper's encoders first."""
    has_text = table.captions is not None
    variants = []
    paper = [name for name in ("VGG16", "ResNet50") if name in table.vision]
    for vision in dict.fromkeys([*paper, *table.vision]):
        variants.append(Variant(vision, use_text=False))
        if has_text:
            variants.append(Variant(vision, use_text=True))
    if not variants and has_text:
        variants.append(Variant(None, use_text=True))
    return variants


def side_variants(table: Features, baseline: str | None = None) -> dict[str, Variant]:
    """Returns the input variants of a participation model by side (section V-B).

    The challenge side uses VGG16 and the user side ResNet50, both with the caption. If
    the encoder of a side is missing, the first available one is used. A baseline of the
    paper has the variant of its name on the user side and nothing on the other.

    Raises:
        DataError: if the features do not have the variant of the baseline.
    """
    if baseline is not None:
        found = {variant.name: variant for variant in available_variants(table)}
        if baseline not in found:
            raise DataError(
                f"`baseline` must be one of {', '.join(found)}, the variants of these "
                f"features. Received: baseline={baseline}"
            )
        return {"challenge": Variant(None, use_text=False), "user": found[baseline]}
    has_text = table.captions is not None
    names = list(table.vision)

    def pick(preferred: str) -> str | None:
        if preferred in names:
            return preferred
        return names[0] if names else None

    return {
        "challenge": Variant(pick("VGG16"), has_text),
        "user": Variant(pick("ResNet50"), has_text),
    }


@dataclass(frozen=True)
class ProxyTask:
    """The classification task of a proxy: videos and their classes.

    Attributes:
        kind: "challenge" or "user".
        rows: int32 (num_examples,), rows of the features.
        labels: int32 (num_examples,), positions in `classes`.
        classes: names of the classes.
    """

    kind: str
    rows: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


def challenge_task(
    grid: Grid,
    table: Features,
    hidden_users: Collection[str] = (),
    hidden_challenges: Collection[str] = (),
) -> ProxyTask:
    """Returns the task of the challenge proxy: the challenge of each support video.

    A video of several challenges is one example for each of them. Videos of hidden
    users and of hidden challenges are left out.

    Raises:
        DataError: if there are no videos.
    """
    known = [
        column
        for column, name in enumerate(grid.challenges)
        if name not in hidden_challenges
    ]
    sets = [visible_support(grid, column, hidden_users) for column in known]
    names = [grid.challenges[column] for column in known]
    return _task("challenge", sets, table, names)


def user_task(grid: Grid, table: Features, users: Sequence[int]) -> ProxyTask:
    """Returns the task of the user proxy: the author of each video in histories.

    `users` are positions in the grid.

    Raises:
        DataError: if there are no videos.
    """
    sets = [grid.histories[user] for user in users]
    return _task("user", sets, table, [grid.users[user] for user in users])


def visible_support(
    grid: Grid, challenge: int, hidden_users: Collection[str]
) -> tuple[str, ...]:
    """Returns the support videos of a challenge except those by hidden users."""
    return tuple(
        video
        for video in grid.support[challenge]
        if grid.video_users[video] not in hidden_users
    )


def _task(
    kind: str,
    sets: Sequence[Sequence[str]],
    table: Features,
    names: Sequence[str],
) -> ProxyTask:
    # A grid of several cutoffs has several sets with the same name and common videos.
    merged: dict[str, dict[str, None]] = {}
    for name, ids in zip(names, sets, strict=True):
        merged.setdefault(name, {}).update(dict.fromkeys(ids))
    videos = [video for ids in merged.values() for video in ids]
    if not videos:
        raise DataError(
            f"the {kind} proxy has no training videos; does the corpus have posts of "
            "the study's challenges by users outside the panel?"
        )
    labels = np.repeat(np.arange(len(merged)), [len(ids) for ids in merged.values()])
    classes = tuple(merged)
    return ProxyTask(kind, table.rows(videos), labels.astype(np.int32), classes)


def fit_proxy(
    task: ProxyTask,
    train: np.ndarray,
    valid: np.ndarray,
    table: Features,
    variant: Variant,
    model_options: ModelOptions,
    training_options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Fits a proxy model.

    Args:
        task: videos and classes.
        train: positions of the training videos in the task, which also give the moments
            for `standardize`.
        valid: positions of the videos for early stopping.
        table: features of the videos.
        variant: inputs of the model.
        model_options: architecture of the model.
        training_options: training options.
        callbacks: Keras callbacks.
    """
    examples = proxy_examples(task, table, variant)

    def build() -> keras.Model:
        proxy = ChallengeProxy if task.kind == "challenge" else UserProxy
        sizes, options = video_sizes(table, variant), model_options.to_dict()
        model = proxy(len(task.classes), **sizes, **options)
        set_moments(model, table, variant, np.unique(task.rows[train]))
        return model

    return fit(
        build,
        examples.take(train),
        examples.take(valid),
        classification(),
        training_options,
        callbacks,
    )


def proxy_examples(task: ProxyTask, table: Features, variant: Variant) -> Examples:
    """Returns the videos of a task as inputs of a proxy model."""
    tables = table.inputs(variant.vision, variant.use_text)
    ones = np.ones(len(task.labels), np.float32)
    return Examples(tables, dict.fromkeys(tables, task.rows), task.labels, ones)


def video_sizes(table: Features, variant: Variant) -> dict[str, Any]:
    """Returns the sizes of a proxy's inputs for a variant."""
    num_frames = frame_dim = caption_dim = 0
    if variant.vision is not None:
        _, num_frames, frame_dim = table.vision[variant.vision].frames.shape
    if variant.use_text and table.captions is not None:
        caption_dim = table.captions.shape[1]
    return {
        "num_frames": num_frames,
        "frame_dim": frame_dim,
        "caption_dim": caption_dim,
    }


def embed_videos(proxy: keras.Model, table: Features, variant: Variant) -> np.ndarray:
    """Returns all videos embedded by a proxy, float32 (num_videos, hidden_dim)."""
    everything = np.arange(len(table.video_ids), dtype=np.int32)
    task = ProxyTask("all", everything, np.zeros_like(everything), ("none",))
    return predict(embedding_model(proxy), proxy_examples(task, table, variant))


def embed_sides(proxies: Proxies, table: Features) -> dict[str, np.ndarray]:
    """Returns the embeddings of all videos by side; see `embed_videos`."""
    variants = side_variants(table)
    return {
        side: embed_videos(model, table, variants[side])
        for side, model in proxies.items()
    }


def set_moments(
    model: keras.Model, table: Features, variant: Variant, rows: np.ndarray
) -> None:
    """Sets the moments of a proxy's features, if any, to those of some rows."""
    of_frames, of_captions = standardizers(model)
    if of_frames is not None and variant.vision is not None:
        features = table.vision[variant.vision]
        blocks = (
            features.frames[block][features.mask[block]] for block in _blocks(rows)
        )
        of_frames.set_moments(*moments(blocks))
    if of_captions is not None and table.captions is not None:
        captions = table.captions
        blocks = (captions[block] for block in _blocks(rows))
        of_captions.set_moments(*moments(blocks))


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def moments(blocks: Iterable[np.ndarray]) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns mean and standard deviation over the rows of all blocks, float32 (dim,).

    Blocks are arrays (num_rows, dim), loaded one at a time to limit memory.
    """
    count, total, squares = 0, 0.0, 0.0
    for block in blocks:
        values = block.astype(np.float64)
        count += len(values)
        total = total + values.sum(axis=0)
        squares = squares + np.square(values).sum(axis=0)
    mean = np.asarray(total) / max(count, 1)
    variance = np.maximum(np.asarray(squares) / max(count, 1) - mean**2, 0.0)
    return tf.constant(mean, tf.float32), tf.constant(np.sqrt(variance), tf.float32)
