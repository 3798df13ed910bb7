"""The directory of a version: a SavedModel, and all that is needed to run it.

    OUTPUT/VERSION/saved_model.pb, variables/, assets/     what tf-serving loads
    OUTPUT/VERSION/assets.extra/tf_serving_warmup_requests a request a signature
    OUTPUT/VERSION/batching_params.pbtxt                   for --enable_batching
    OUTPUT/VERSION/sample_requests/SIGNATURE.json          bodies for the REST API
    OUTPUT/VERSION/config.json                             every choice behind it
    OUTPUT/VERSION/calibration.json                        scores to probabilities
    OUTPUT/VERSION/op_audit.json                           which servers load it
    OUTPUT/VERSION/MODEL_CARD.md                           for people
    OUTPUT/VERSION/SHA256SUMS                              of all of these
    OUTPUT/models.config                                   for --model_config_file

What the signatures take and give: `endpoints`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from tfrecords.storage.checksums import seal_directory
from dc_keras.corpus.store import write_text
from dc_keras.errors import DataError
from dc_keras.serving.signatures import endpoints
from dc_keras.serving.op_audit import audit_ops, require_target
from dc_keras.serving.predictor import (
    CALIBRATION_FILE,
    read_config,
)
from dc_keras.serving.releases import find_release
from dc_keras.serving.reliability import describe_reliability
from dc_keras.serving.reproducible_export import name_by_content, order_variables
from dc_keras.serving.sample_requests import write_requests
from dc_keras.serving.serving_model import ServingModel, build_serving_model
from dc_keras.training.model_card import CARD_FILE
from dc_keras.training.model_directory import write_json

AUDIT_FILE = "op_audit.json"
CONFIG_FILE = "models.config"

# One thread a core, as the server starts without it; a request waits 5 ms at most for
# others to share its step. A request of many rows is split: the server refuses one of
# more than max_batch_size.
_BATCHING = """max_batch_size { value: 4096 }
max_execution_batch_size { value: 8 }
enable_large_batch_splitting { value: true }
batch_timeout_micros { value: 5000 }
max_enqueued_batches { value: 64 }
allowed_batch_sizes: 1
allowed_batch_sizes: 4
allowed_batch_sizes: 8
pad_variable_length_inputs: true
"""
# The two highest versions: a client can go back before the server does.
_MODELS = """model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 2 }} }}
  }}
}}
"""


def export_bundle(
    directory: Path,
    output: Path,
    version: int | None = None,
    *,
    calibration: str = "platt",
    serving_target: str | None = None,
) -> Path:
    """Writes a bundle under `output`, which tf-serving may be watching.

    Args:
        directory: a participation model directory.
        output: directory of a model's versions.
        version: number of the version; None takes the one after the highest.
        calibration: one of `calibration.METHODS`.
        serving_target: release of tensorflow/serving that must be able to load it,
            "2.20"; None writes what each can do and refuses nothing.

    Returns:
        The directory of the version. It appears under its name when it is whole.

    Raises:
        DataError: the version is there already, or the target lacks an op; see also
            `build_serving_model`.
    """
    if serving_target is not None:
        find_release(serving_target)  # before what takes long
    model, config = build_serving_model(directory, calibration)
    config["serving_target"] = serving_target

    def fill(place: Path) -> None:
        # AutoGraph would leave files in the system's temporary directory.
        write_out = tf.autograph.experimental.do_not_convert(
            archive_of(model).write_out
        )
        write_out(str(place), verbose=False)
        write_json(place / "config.json", config)
        write_json(place / CALIBRATION_FILE, model.calibration.to_dict())
        card = directory / CARD_FILE
        if card.exists():
            reliability = describe_reliability(directory, model.calibration)
            text = f"{card.read_text('utf-8')}\n{reliability}"
            (place / CARD_FILE).write_text(text, encoding="utf-8")

    return write_version(output, version, fill)


def write_version(
    output: Path, version: int | None, fill: Callable[[Path], None]
) -> Path:
    """Writes a version, and gives it its number when it is whole.

    Args:
        output: directory of a model's versions.
        version: number of the version; None takes the one after the highest.
        fill: writes the SavedModel, its configuration and its calibration.

    Returns:
        The directory of the version.

    Raises:
        DataError: the version is there already, or a server that the configuration
            names as `serving_target` lacks an op.
    """
    output.mkdir(parents=True, exist_ok=True)
    if version is None:
        numbers = [int(p.name) for p in output.iterdir() if p.name.isdigit()]
        version = max(numbers, default=0) + 1
    place = output / str(version)
    if place.exists():
        raise DataError(f"{place} is there already; give another --version")
    temporary = output / f"tmp-{version}"
    shutil.rmtree(temporary, ignore_errors=True)
    fill(temporary)
    name_by_content(temporary)
    _audit(temporary)
    (temporary / "batching_params.pbtxt").write_text(_BATCHING, encoding="utf-8")
    write_requests(temporary, output.resolve().name)
    seal_directory(temporary)
    _write_models_config(output)
    # Last, so that an export that is stopped earlier has written no version.
    temporary.rename(place)
    return place


def _write_models_config(output: Path) -> None:
    """Writes which versions a server loads, where `output` is /models/NAME to it.

    A file that is there may pin a version, to go back: it stays as it is.
    """
    path, name = output / CONFIG_FILE, output.resolve().name
    if not path.exists():
        write_text(path, _MODELS.format(name=name))


def _audit(place: Path) -> None:
    target = read_config(place)["serving_target"]
    audit = audit_ops(place, target)
    if target is not None:
        require_target(audit, target)
    write_json(place / AUDIT_FILE, audit.to_dict())


def archive_of(model: ServingModel) -> keras.export.ExportArchive:
    """Returns all signatures of a model, to be written as a SavedModel."""
    archive = keras.export.ExportArchive()
    # Variables are found by themselves; tracked too, each would be written twice.
    tables = {
        id(layer): layer
        for videos in (model.user_videos, model.challenge_videos)
        for layer in videos.layers_with_tables()
    }
    for resource in (*tables.values(), model.challenges.lookup):
        archive.track(resource)
    for name, (function, signature) in endpoints(model).items():
        added = archive.add_endpoint(name, function, input_signature=signature)
        order_variables(added.get_concrete_function().graph)
    return archive
