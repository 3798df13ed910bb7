"""TensorBoard summaries: configuration, frames, PR curves and projector vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dc_keras.corpus.store import write_text
from dc_keras.escaping import escape_controls


def log_config(directory: Path, config: Mapping[str, Any]) -> None:
    """Writes the resolved configuration as text for TensorBoard."""
    text = "```json\n" + json.dumps(config, indent=2, sort_keys=True) + "\n```"
    with tf.summary.create_file_writer(str(directory)).as_default():
        tf.summary.text("config", text, step=0)


def log_frames(directory: Path, frames: Mapping[str, np.ndarray]) -> None:
    """Writes frames of videos, uint8 RGB (num_frames, height, width, 3), as images.

    They are in `frames/`, a separate run, which can be deleted separately.
    """
    with tf.summary.create_file_writer(str(directory / "frames")).as_default():
        for name, images in frames.items():
            tf.summary.image(name, images, step=0, max_outputs=len(images))


def log_pr_curve(directory: Path, labels: np.ndarray, scores: np.ndarray) -> None:
    """Writes the precision–recall curve of validation pairs for TensorBoard.

    `labels` are 0/1 and `scores` probabilities, both (num_pairs,).
    """
    from tensorboard.plugins.pr_curve import summary

    curve = summary.pb(
        "participation",
        labels.astype(bool),
        scores,
        num_thresholds=101,
        description="validation pairs",
    )
    with tf.summary.create_file_writer(str(directory)).as_default():
        tf.summary.experimental.write_raw_pb(curve.SerializeToString(), step=0)


def log_projector(
    directory: Path, name: str, vectors: np.ndarray, labels: Sequence[str]
) -> None:
    """Adds vectors, float (num_points, dim), with labels to TensorBoard's projector."""
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    directory.mkdir(parents=True, exist_ok=True)
    np.savetxt(directory / f"{name}.tsv", vectors, fmt="%.5g", delimiter="\t")
    (directory / f"{name}_labels.tsv").write_text(
        "".join(f"{escape_controls(label)}\n" for label in labels), encoding="utf-8"
    )
    path = directory / "projector_config.pbtxt"
    config = ProjectorConfig()
    if path.exists():
        text_format.Parse(path.read_text(encoding="utf-8"), config)
    kept = [item for item in config.embeddings if item.tensor_name != name]
    del config.embeddings[:]
    config.embeddings.extend(kept)
    config.embeddings.add(
        tensor_name=name, tensor_path=f"{name}.tsv", metadata_path=f"{name}_labels.tsv"
    )
    write_text(path, text_format.MessageToString(config))
