r"""Extracts features of frame records with frozen encoders, once per video.

    python -m pipelines.extract_features --records=run/frames --output=run/features \
        --vision=VGG16 --text=hub:run/bert --hashtags=mask_focal --study=study.toml

Writes `features-00000-of-00016.tfrecord` … and `manifest.json` to --output: one record
per frame record, with float16 frame embeddings, their mask and a float32 caption
embedding; the manifest contains the fingerprints of the encoders. The same command
resumes an interrupted run at the shard where it stopped. --shard_index and
--shard_count, or --runner=ray, distribute the shards over machines
(docs/scale.md).

--vision_runtime=openvino (extra `openvino`) runs the same network faster on CPUs.
openvino_int8 is faster again, but an approximation: it is calibrated on frames of
--records, compared with float32 on other frames, and kept in --output as `int8-…`
(docs/encoders.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dc_keras.errors import DataError
from pipelines._cli import app, sharding

if TYPE_CHECKING:
    from dc_keras.encoders.text import TextSpec
    from dc_keras.encoders.vision import VisionSpec

_RECORDS = flags.DEFINE_string(
    "records", None, "Directory of the frame records.", required=True
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory for the feature records.", required=True
)
_ENCODERS = flags.DEFINE_list(
    "encoders",
    [],
    "Comma-separated Python modules to import, which register custom encoders.",
)
_VISION = flags.DEFINE_string(
    "vision",
    "VGG16",
    "Encoder of the frames: one of keras.applications, EfficientNetLite0, a registered "
    "one, or none.",
)
_VISION_LAYER = flags.DEFINE_enum(
    "vision_layer",
    "avg",
    ["avg", "fc1", "fc2", "flatten"],
    "Output of the network: the mean of the last feature map (avg), that map "
    "(flatten), or a fully connected layer (fc1 or fc2 of VGG16 and VGG19).",
)
_VISION_WEIGHTS = flags.DEFINE_string(
    "vision_weights",
    "",
    "imagenet (downloaded by Keras; the default), own (the weights of a registered "
    "network; its default), random (from --seed), or a weight file (.h5, .weights.h5, "
    ".keras, .pth).",
)
_VISION_RUNTIME = flags.DEFINE_enum(
    "vision_runtime",
    "tensorflow",
    ["tensorflow", "openvino", "openvino_int8"],
    "Runtime of the network: TensorFlow, or OpenVINO on CPUs, in float32 or in int8 "
    "calibrated on these frames.",
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "Side length of the network's input in pixels. Default: that of the records.",
    lower_bound=1,
)
_TEXT = flags.DEFINE_string(
    "text",
    "none",
    "Encoder of the captions: hub:PATH_OR_URL, keras_nlp:PRESET_OR_DIR, the name of a "
    "registered encoder, or none.",
)
_TEXT_PREPROCESSOR = flags.DEFINE_string(
    "text_preprocessor",
    None,
    "Preprocessing module, hub:PATH_OR_URL, for a hub: encoder without a tokeniser.",
)
_TEXT_POOLING = flags.DEFINE_enum(
    "text_pooling",
    "cls",
    ["cls", "mean"],
    "Caption embedding: the vector of [CLS], or the mean of the last layer.",
)
_MAX_TOKENS = flags.DEFINE_integer(
    "max_tokens",
    64,
    "Maximum number of tokens per caption, including [CLS] and [SEP].",
    lower_bound=2,
)
_HASHTAGS = flags.DEFINE_enum(
    "hashtags",
    "mask_focal",
    ["mask_focal", "keep", "drop"],
    "Hashtags in captions: mask those of the challenges of --study, keep or drop all.",
)
_STUDY = flags.DEFINE_string("study", None, "Study file, for --hashtags=mask_focal.")
_REPEAT = flags.DEFINE_enum(
    "repeat",
    "nearest",
    ["nearest", "zero"],
    "Embedding of a repeated frame: that of the original frame, or zeros.",
)
_BATCH_SIZE = flags.DEFINE_integer(
    "encoder_batch_size",
    32,
    "Number of frames, and of captions, per step.",
    lower_bound=1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of random weights.", lower_bound=0)
sharding.define(gpus=True)


def main() -> None:
    """Extracts the features and prints where they are."""
    _check_names()
    from dc_keras.encoders.extraction import ExtractionConfig, ExtractorSpec
    from tfrecords.feature_records import write_feature_records
    from tfrecords.writer import read_manifest

    cluster = sharding.cluster()
    frames = read_manifest(Path(_RECORDS.value), "frames")["settings"]
    config = ExtractionConfig(
        num_frames=frames["num_frames"],
        frame_size=frames["image_size"],
        batch_size=_BATCH_SIZE.value,
        repeat=_REPEAT.value,
    )
    vision, runtime = _vision_spec(frames["image_size"]), _VISION_RUNTIME.value
    int8_model = None
    if runtime == "openvino_int8" and vision is not None:
        int8_model = _int8_model(vision, config.frame_size)
    spec = ExtractorSpec(vision, _text_spec(), config, runtime, int8_model)
    extractor = spec.build()
    run = write_feature_records(
        Path(_RECORDS.value),
        Path(_OUTPUT.value),
        extractor.extract,
        {**extractor.settings(), "frames": frames},
        part=sharding.part(),
        overwrite=sharding.value("overwrite"),
        cluster=cluster,
        spec=spec,
    )
    sharding.report(run, _OUTPUT.value)
    if run.manifest is not None:
        app.suggest(
            "evaluate",
            corpus=app.find_corpus(Path(_RECORDS.value)),
            study=_STUDY.value,
            features=_OUTPUT.value,
            output="evaluation",
        )


def _check_names() -> None:
    """Raises an error for an unknown encoder before TensorFlow is imported."""
    from dc_keras.encoders.registry import find_text, find_vision, import_encoders

    import_encoders(_ENCODERS.value)
    if _VISION.value != "none":
        find_vision(_VISION.value)
    if _TEXT.value != "none" and ":" not in _TEXT.value:
        find_text(_TEXT.value)


def _vision_spec(frame_size: int) -> VisionSpec | None:
    from dc_keras.encoders.vision import VisionSpec

    runtime = _VISION_RUNTIME.value
    if _VISION.value == "none":
        if runtime != "tensorflow":
            raise DataError(
                "--vision_runtime needs --vision. "
                f"Received: vision_runtime={runtime}, vision=none"
            )
        return None
    if runtime != "tensorflow":
        # Raises an error that names the missing package, before anything is loaded.
        import dc_keras.encoders.openvino_encoder  # noqa: F401
    return VisionSpec(
        name=_VISION.value,
        layer=_VISION_LAYER.value,
        weights=_VISION_WEIGHTS.value,
        image_size=frame_size if _IMAGE_SIZE.value is None else _IMAGE_SIZE.value,
        seed=_SEED.value,
    )


def _int8_model(vision: VisionSpec, frame_size: int) -> Path:
    """Returns the directory of the quantised network, and writes it if necessary."""
    from itertools import chain

    from dc_keras.encoders.quantization import (
        draw_frames,
        int8_directory,
        write_int8_model,
    )
    from dc_keras.encoders.vision import build_vision_encoder
    from tfrecords.reader import iter_frame_records, list_shard_paths
    from tfrecords.storage.locking import writing
    from tfrecords.writer import read_manifest

    records = Path(_RECORDS.value)
    hashes = [shard["sha256"] for shard in read_manifest(records, "frames")["shards"]]
    encoder = build_vision_encoder(vision)
    directory = int8_directory(Path(_OUTPUT.value), encoder, frame_size, hashes)
    with writing(directory):
        if directory.exists():
            return directory
        if any(directory.parent.glob("features-*.tfrecord")) and not (
            sharding.value("overwrite")
        ):
            raise DataError(
                f"{directory.parent} contains features of another network, or of one "
                "calibrated on other frames; give another --output, or replace them "
                "with --overwrite. Received: vision_runtime=openvino_int8"
            )
        app.progress("quantising the network, once for all shards")
        posts = chain.from_iterable(map(iter_frame_records, list_shard_paths(records)))
        made = write_int8_model(directory, encoder, frame_size, draw_frames(posts))
        result = made["calibration"]
        app.progress(
            f"cosine to float32 on {result['num_held_out']} held-out frames: at least "
            f"{result['smallest_cosine']}, {result['mean_cosine']} on average"
        )
    return directory


def _text_spec() -> TextSpec | None:
    from dc_keras.encoders.text import TextSpec
    from dc_keras.study.study import Study

    if _TEXT.value == "none":
        return None
    focal: list[str] = []
    if _HASHTAGS.value == "mask_focal":
        if _STUDY.value is None:
            raise DataError(
                "--hashtags=mask_focal needs --study, which lists the hashtags to "
                "mask; otherwise give --hashtags=keep or drop. Received: study=None"
            )
        for challenge in Study.load(_STUDY.value).challenges:
            focal += [*challenge.hashtags, *challenge.spellings]
    return TextSpec(
        handle=_TEXT.value,
        max_tokens=_MAX_TOKENS.value,
        pooling=_TEXT_POOLING.value,
        hashtags=_HASHTAGS.value,
        focal_hashtags=tuple(sorted(set(focal))),
        preprocessor=_TEXT_PREPROCESSOR.value,
    )


if __name__ == "__main__":
    app.run(main, writes="output", kind="features", locks=False)
