"""Features of videos: embeddings of frames and captions by frozen encoders.

Features are read from records of `extract_features` or made from your own arrays:

    features = Features.load("run/features/vgg16", "run/features/resnet50")
    features = Features.from_arrays(video_ids, frames={"CLIP": frames})
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from dc_keras.errors import DataError
from tfrecords.memory import is_shareable
from tfrecords.stored_rows import StoredRows

# Number of videos whose frames are read at once.
_BLOCK = 64
_LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class VisionFeatures:
    """Frame embeddings of one vision encoder, one row per video.

    Attributes:
        frames: float16 (num_videos, num_frames, frame_dim), zero where padded. Rows of
            feature records are read when they are used; arrays from
            `tfrecords.memory.aligned_empty` are shared with TensorFlow; others are
            copied.
        mask: bool (num_videos, num_frames), False for repeated frames and padding.
        spec: spec and fingerprint of the encoder, as plain values.
        sampling: settings of the frame sampling and of the handling of repeats, as
            plain values. Serving applies them to raw requests.
    """

    frames: np.ndarray | StoredRows
    mask: np.ndarray
    spec: Mapping[str, Any]
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def mean_frames(self) -> np.ndarray:
        """Mean embedding of the masked frames, float32 (num_videos, frame_dim)."""
        count = np.maximum(self.mask.sum(axis=1, keepdims=True), 1)
        weights = (self.mask / count).astype(np.float32)
        means = np.empty((len(self.frames), self.frames.shape[2]), np.float32)
        for start in range(0, len(means), _BLOCK):
            frames = self.frames[start : start + _BLOCK].astype(np.float32)
            for row, of_video in enumerate(frames, start):
                means[row] = weights[row] @ of_video
        return means

    def without_frames(self, rows: np.ndarray) -> Self:
        """Returns the features without the frames of some videos."""
        mask = self.mask.copy()
        mask[rows] = False
        if isinstance(self.frames, StoredRows):
            return replace(self, frames=self.frames.without(rows), mask=mask)
        frames = self.frames.copy()
        frames[rows] = 0
        return replace(self, frames=frames, mask=mask)

    def __getstate__(self) -> dict[str, Any]:
        """Returns the fields alone, without cached properties, for pickling."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


@dataclass(frozen=True)
class Features:
    """Features of a corpus, one row per video.

    Attributes:
        video_ids: ids of the videos, in row order.
        vision: frame embeddings by encoder name, such as "VGG16" or "ResNet50".
        captions: float32 (num_videos, caption_dim), or None.
        caption_spec: spec and fingerprint of the text encoder, or None.
        sha256: hex digests that identify the content of the directories of `load`.
    """

    video_ids: tuple[str, ...]
    vision: Mapping[str, VisionFeatures]
    captions: np.ndarray | None
    caption_spec: Mapping[str, Any] | None
    sha256: tuple[str, ...] = ()

    @classmethod
    def load(cls, *directories: str | Path) -> Self:
        """Reads the feature records of a corpus, from one or more encoders.

        Args:
            *directories: outputs of `extract_features`, one for each vision encoder.

        Raises:
            DataError: if no directory is given, the directories have different videos,
                two of them have features of the same vision encoder, or their text
                encoders have different fingerprints.
        """
        from tfrecords.reader import read_features

        if not directories:
            raise DataError("features need at least one directory. Received: none")
        video_ids: list[str] = []
        vision, captions, caption_spec, digests = {}, None, None, []
        for directory in directories:
            records = read_features(Path(directory))
            if video_ids and records.video_ids != video_ids:
                raise DataError(
                    f"{directory} must have the same videos as {directories[0]}; "
                    "extract all features from the same frame records"
                )
            video_ids = records.video_ids
            digests.append(records.sha256)
            spec = records.settings["vision"]
            if records.frames is not None and records.frame_mask is not None:
                if spec["name"] in vision:
                    raise DataError(
                        f"{directory} and another --features directory both have "
                        f"{spec['name']} features; give one directory per encoder"
                    )
                vision[spec["name"]] = VisionFeatures(
                    records.frames,
                    records.frame_mask,
                    spec,
                    _sampling(records.settings),
                )
            spec = records.settings["text"]
            if records.captions is not None:
                if caption_spec and spec["fingerprint"] != caption_spec["fingerprint"]:
                    raise DataError(
                        f"{directory} must have captions of the same text encoder as "
                        f"{directories[0]}; their fingerprints differ"
                    )
                captions, caption_spec = records.captions, spec
        return cls(tuple(video_ids), vision, captions, caption_spec, tuple(digests))

    @classmethod
    def from_arrays(
        cls,
        video_ids: Sequence[str],
        *,
        frames: Mapping[str, np.ndarray] | None = None,
        captions: np.ndarray | None = None,
    ) -> Self:
        """Builds features from arrays, for use with any encoder.

        Args:
            video_ids: ids of the videos, in row order.
            frames: float arrays by encoder name, (num_videos, num_frames, frame_dim),
                or (num_videos, frame_dim) for one vector per video. A frame of zeros
                counts as missing.
            captions: float (num_videos, caption_dim); None without captions.

        Raises:
            DataError: if there are neither frames nor captions, ids are repeated, or an
                array has another shape or values that are not finite numbers.
        """
        if isinstance(video_ids, str | bytes):
            raise DataError(
                "`video_ids` must be a list of ids, one for each video. "
                f"Received: video_ids={video_ids!r}"
            )
        # TFRecords and NumPy hold ids as bytes.
        ids = tuple(i.decode() if isinstance(i, bytes) else str(i) for i in video_ids)
        [(repeated, count)] = Counter(ids).most_common(1) or [("", 0)]
        if count > 1:
            raise DataError(f"`video_ids` must not repeat an id. Received: {repeated}")
        if frames is not None and not isinstance(frames, Mapping):
            raise DataError(
                "`frames` must be a dict from the names of encoders to arrays, such as "
                f'{{"CLIP": vectors}}. Received: {type(frames).__name__}'
            )
        if not frames and captions is None:
            raise DataError("features need frames or captions. Received: neither")
        vision = {}
        for name, array in (frames or {}).items():
            values = _read_rows(f"frames[{name!r}]", array, (2, 3), len(ids))
            values = values[:, None] if values.ndim == 2 else values
            mask = (values != 0).any(axis=2)
            spec = {"name": name, "fingerprint": None}
            half = np.clip(values, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
            vision[name] = VisionFeatures(half, mask, spec)
        if captions is not None:
            captions = _read_rows("captions", captions, (2,), len(ids))
            captions = captions.astype(np.float32, copy=False)
        caption_spec = {"name": "captions", "fingerprint": None}
        return cls(ids, vision, captions, None if captions is None else caption_spec)

    def __repr__(self) -> str:
        """Returns the number of videos and the (num_frames, dim) of each encoder."""
        parts = [
            f"frames {name} ({of.frames.shape[1]} × {of.frames.shape[2]})"
            for name, of in self.vision.items()
        ]
        captions = "no captions"
        if self.captions is not None:
            captions = f"captions of {self.captions.shape[1]} numbers"
        what = ", ".join([f"{len(self.video_ids)} videos", *parts, captions])
        return f"<Features: {what}>"

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row number by video id."""
        return {video_id: row for row, video_id in enumerate(self.video_ids)}

    def rows(self, video_ids: Sequence[str]) -> np.ndarray:
        """Returns the row numbers of videos, int32 (num_ids,).

        Raises:
            DataError: if a video has no features.
        """
        missing = [v for v in video_ids if v not in self.row_of]
        if missing:
            raise DataError(
                f"{len(missing)} videos of the study have no features, the first is "
                f"{missing[0]}; compute them from this corpus, as extract_features does"
            )
        return np.array([self.row_of[v] for v in video_ids], np.int32)

    def inputs(self, vision: str | None, use_text: bool) -> dict[str, Any]:
        """Returns the input tables of a video model by input name; see `Examples`.

        Args:
            vision: name of the vision encoder; None without frames.
            use_text: whether the model uses captions.
        """
        sources = {vision, "text" if use_text else None}
        return {
            name: tensor
            for (source, name), tensor in self._tensors.items()
            if source in sources
        }

    def __getstate__(self) -> dict[str, Any]:
        """Returns the fields alone: unpickling tensors would start TensorFlow."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @cached_property
    def _tensors(self) -> dict[tuple[str, str], Any]:
        import tensorflow as tf

        tensors = {}
        for name, features in self.vision.items():
            tensors[name, "frames"] = _share(features.frames)
            tensors[name, "frame_mask"] = tf.convert_to_tensor(features.mask)
        if self.captions is not None:
            tensors["text", "caption"] = tf.convert_to_tensor(self.captions)
        return tensors


def _share(values: np.ndarray | StoredRows) -> Any:
    """Returns an array as a tensor, without a copy if its memory can be shared.

    The array must not be modified afterwards. Stored rows are returned as they are.
    """
    import tensorflow as tf

    if isinstance(values, StoredRows):
        return values
    if is_shareable(values):
        return tf.experimental.dlpack.from_dlpack(values.__dlpack__())
    return tf.convert_to_tensor(values)


def _read_rows(
    name: str, array: Any, ranks: Sequence[int], num_rows: int
) -> np.ndarray:
    """Returns an array of finite numbers that has a row for each video."""
    try:
        values = np.asarray(array)
    except ValueError:  # of NumPy, for lists of different lengths
        values = np.empty(0, object)
    if values.dtype.kind in "OSUMmc":
        raise DataError(
            f"`{name}` must be an array of numbers; np.stack makes one of rows of "
            f"equal length. Received: dtype={values.dtype}"
        )
    if values.ndim not in ranks or len(values) != num_rows or values.shape[-1] == 0:
        axes = " or ".join(map(str, ranks))
        raise DataError(
            f"`{name}` must have {axes} axes and one row for each of the {num_rows} "
            f"videos. Received: shape={values.shape}"
        )
    if not np.isfinite(values).all():
        raise DataError(f"`{name}` must be finite. Received: NaN or infinity")
    return values


def _sampling(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of the frame sampling from the settings of features."""
    from tfrecords.frame_sampling import SamplingConfig

    frames = settings["frames"]
    names = (item.name for item in dataclasses.fields(SamplingConfig))
    return {name: frames[name] for name in names} | {"repeat": settings["repeat"]}
