"""Brings what lies on disk into the shapes that the library works on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import options

if TYPE_CHECKING:
    from dc_keras.corpus.grid import Grid
    from dc_keras.corpus.store import Corpus
    from dc_keras.training.data import FeatureTable


def load_grid(corpus: Corpus, study_file: str) -> Grid:
    """Resolves a Study on a corpus, with what the flags change of it."""
    from dc_keras.corpus.study import Study
    from dc_keras.models.config import StudyOptions

    changes = options.resolve(StudyOptions)
    study = Study.load(study_file)
    return study.resolve(corpus, **changes.overrides())


def load_features(directories: Sequence[str]) -> FeatureTable:
    """Reads feature records of one corpus, made by one or more encoders.

    Raises:
        DataError: the directories hold different videos, or two of them features of the
            same kind by encoders of different fingerprints.
    """
    from dc_keras.errors import DataError
    from dc_keras.training.data import FeatureTable, VisionFeatures
    from tfrecords.reader import read_features

    video_ids: list[str] = []
    vision, captions, caption_spec = {}, None, None
    for directory in directories:
        records = read_features(Path(directory))
        if video_ids and records.video_ids != video_ids:
            raise DataError(
                f"{directory} holds other videos than {directories[0]}; extract all "
                "features from the same frame records"
            )
        video_ids = records.video_ids
        spec = records.settings["vision"]
        if records.frames is not None and records.frame_mask is not None:
            if spec["name"] in vision:
                raise DataError(
                    f"{directory} holds {spec['name']} features, and so does another "
                    "--features directory; give one of each network"
                )
            vision[spec["name"]] = VisionFeatures(
                records.frames, records.frame_mask, spec
            )
        spec = records.settings["text"]
        if records.captions is not None:
            if caption_spec and spec["fingerprint"] != caption_spec["fingerprint"]:
                raise DataError(
                    f"{directory} holds captions of another text encoder than "
                    f"{directories[0]}; features of two fingerprints do not mix"
                )
            captions, caption_spec = records.captions, spec
    return FeatureTable(tuple(video_ids), vision, captions, caption_spec)
