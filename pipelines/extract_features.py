r"""Puts frame records through frozen encoders, once a video.

    python -m pipelines.extract_features --records=run/frames --output=run/features \
        --vision=VGG16 --text=hub:run/bert --hashtags=mask_focal --study=study.toml

Leaves `features-00000-of-00016.tfrecord` … and `manifest.json` in --output: a record
for every frame record, with float16 frame embeddings, their mask and a float32 caption
embedding; the manifest names the encoders by fingerprint. Stopped at any time, the same
command goes on at the shard where it was. --shard_index and --shard_count, or
--runner=ray, share the shards among machines (docs/scale.md).

--vision_runtime=openvino (extra `openvino`) is the same network, faster on CPUs;
openvino_int8 is faster still and no longer the same: calibrated on frames of --records,
judged by others, kept in --output as `int8-…` (docs/encoders.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from pipelines._cli import app, sharding

if TYPE_CHECKING:
    from pathlib import Path

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
    "Python modules to import, which register encoders of one's own; with commas.",
)
_VISION = flags.DEFINE_string(
    "vision",
    "VGG16",
    "Network for the frames: one of keras.applications, a registered one, or none.",
)
_VISION_LAYER = flags.DEFINE_enum(
    "vision_layer",
    "avg",
    ["avg", "fc1", "fc2", "flatten"],
    "Its layer: mean of the last feature map, that map, or a fully connected one "
    "(fc1 and fc2 of VGG16 and VGG19).",
)
_VISION_WEIGHTS = flags.DEFINE_string(
    "vision_weights",
    "",
    "imagenet (fetched by Keras; the default), own (those of a registered network; its "
    "default), random (from --seed), or a weight file (.h5, .weights.h5, .keras).",
)
_VISION_RUNTIME = flags.DEFINE_enum(
    "vision_runtime",
    "tensorflow",
    ["tensorflow", "openvino", "openvino_int8"],
    "What runs the network: TensorFlow, or on CPUs OpenVINO, in float32 or in int8 "
    "calibrated on these frames.",
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "Side of the network's input in pixels; that of the records if unset.",
    lower_bound=1,
)
_TEXT = flags.DEFINE_string(
    "text",
    "none",
    "Encoder of the captions: hub:PATH_OR_URL, keras_nlp:PRESET_OR_DIR, the name of a "
    "registered one, or none.",
)
_TEXT_PREPROCESSOR = flags.DEFINE_string(
    "text_preprocessor",
    None,
    "Module that tokenises for a hub: encoder that needs one: hub:PATH_OR_URL.",
)
_TEXT_POOLING = flags.DEFINE_enum(
    "text_pooling", "cls", ["cls", "mean"], "[CLS] or the mean of the last layer."
)
_MAX_TOKENS = flags.DEFINE_integer(
    "max_tokens", 64, "Longest caption, [CLS] and [SEP] included.", lower_bound=2
)
_HASHTAGS = flags.DEFINE_enum(
    "hashtags",
    "mask_focal",
    ["mask_focal", "keep", "drop"],
    "In captions: the hashtags of --study's challenges masked, all kept, all dropped.",
)
_STUDY = flags.DEFINE_string("study", None, "Study file, for --hashtags=mask_focal.")
_REPEAT = flags.DEFINE_enum(
    "repeat",
    "nearest",
    ["nearest", "zero"],
    "A repeated frame as the embedding that it repeats, or as zeros.",
)
_BATCH_SIZE = flags.DEFINE_integer(
    "encoder_batch_size", 32, "Frames, and captions, a step.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of random weights.", lower_bound=0)
sharding.define(gpus=True)


def main() -> None:
    """Extracts the features and says where they are."""
    from pathlib import Path

    _check_names()
    from dc_keras.encoders.extraction import ExtractionConfig, ExtractorSpec
    from tfrecords.feature_records import frame_manifest, write_feature_records

    cluster = sharding.cluster()
    frames = frame_manifest(Path(_RECORDS.value))["settings"]
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
        overwrite=sharding.overwrites(),
        cluster=cluster,
        spec=spec,
    )
    num_records = sum(entry.num_records for entry in run.entries)
    app.say(
        f"{num_records} records in {len(run.entries)} shards "
        f"({run.num_resumed} done before): {_OUTPUT.value}"
    )
    if run.manifest is None:
        app.say("manifest.json comes when the other shards are done, by their runs")


def _check_names() -> None:
    """Refuses an unknown encoder before TensorFlow is imported."""
    from dc_keras.encoders.registry import find_text, find_vision, import_encoders

    import_encoders(_ENCODERS.value)
    if _VISION.value != "none":
        find_vision(_VISION.value)
    if _TEXT.value != "none" and ":" not in _TEXT.value:
        find_text(_TEXT.value)


def _vision_spec(frame_size: int) -> VisionSpec | None:
    from dc_keras.encoders.vision import VisionSpec
    from dc_keras.errors import DataError

    runtime = _VISION_RUNTIME.value
    if _VISION.value == "none":
        if runtime != "tensorflow":
            raise DataError(
                "--vision_runtime is for frames: it needs --vision. "
                f"Received: vision_runtime={runtime}, vision=none"
            )
        return None
    if runtime != "tensorflow":
        # Says what to install before anything is loaded.
        import dc_keras.encoders.openvino_encoder  # noqa: F401
    return VisionSpec(
        name=_VISION.value,
        layer=_VISION_LAYER.value,
        weights=_VISION_WEIGHTS.value,
        image_size=frame_size if _IMAGE_SIZE.value is None else _IMAGE_SIZE.value,
        seed=_SEED.value,
    )


def _int8_model(vision: VisionSpec, frame_size: int) -> Path:
    """Returns the directory of the quantised network; writes it unless it is there."""
    from itertools import chain
    from pathlib import Path

    from dc_keras.encoders.quantization import int8_directory, write_int8_model
    from dc_keras.encoders.quantization_samples import draw_frames
    from dc_keras.encoders.vision import build_vision_encoder
    from dc_keras.errors import DataError
    from tfrecords.feature_records import frame_manifest
    from tfrecords.reader import iter_frame_records, list_shard_paths
    from tfrecords.storage.locking import writing

    records = Path(_RECORDS.value)
    hashes = [shard["sha256"] for shard in frame_manifest(records)["shards"]]
    encoder = build_vision_encoder(vision)
    directory = int8_directory(Path(_OUTPUT.value), encoder, frame_size, hashes)
    with writing(directory):
        if directory.exists():
            return directory
        if any(directory.parent.glob("features-*.tfrecord")) and not (
            sharding.overwrites()
        ):
            raise DataError(
                f"{directory.parent} holds features of another network, or one "
                "calibrated on other frames; give another --output, or replace them "
                "with --overwrite. Received: vision_runtime=openvino_int8"
            )
        app.progress("quantising the network, once for all shards")
        posts = chain.from_iterable(map(iter_frame_records, list_shard_paths(records)))
        made = write_int8_model(directory, encoder, frame_size, draw_frames(posts))
        judged = made["calibration"]
        app.progress(
            f"cosine to float32 on {judged['num_held_out']} held-out frames: at least "
            f"{judged['smallest_cosine']}, {judged['mean_cosine']} on average"
        )
    return directory


def _text_spec() -> TextSpec | None:
    from dc_keras.encoders.text import TextSpec
    from dc_keras.errors import DataError
    from dc_keras.study.study import Study

    if _TEXT.value == "none":
        return None
    focal: list[str] = []
    if _HASHTAGS.value == "mask_focal":
        if _STUDY.value is None:
            raise DataError(
                "--hashtags=mask_focal needs --study, whose challenges' hashtags it "
                "masks; or give --hashtags=keep or drop. Received: study=None"
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
