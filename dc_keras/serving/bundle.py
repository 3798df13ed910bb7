"""Writes bundles: a directory per version with a SavedModel and its serving files.

    OUTPUT/VERSION/saved_model.pb, variables/, assets/     the SavedModel
    OUTPUT/VERSION/assets.extra/tf_serving_warmup_requests warm-up requests
    OUTPUT/VERSION/batching_params.pbtxt                   for --enable_batching
    OUTPUT/VERSION/sample_requests/SIGNATURE.json          bodies for the REST API
    OUTPUT/VERSION/config.json                             all settings
    OUTPUT/VERSION/calibration.json                        scores to probabilities
    OUTPUT/VERSION/op_audit.json                           compatible servers
    OUTPUT/VERSION/MODEL_CARD.md                           the model card
    OUTPUT/VERSION/SHA256SUMS                              checksums of these files
    OUTPUT/models.config                                   for --model_config_file

docs/serving.md documents the inputs and outputs of the signatures. Two exports of one
model are identical files.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from dc_keras.corpus.store import write_text
from dc_keras.errors import DataError
from dc_keras.serving.bundle_config import read_config
from dc_keras.serving.op_audit import audit_ops, find_release, require_target
from dc_keras.serving.predictor import CALIBRATION_FILE
from dc_keras.serving.reliability import describe_reliability
from dc_keras.serving.sample_requests import write_requests
from dc_keras.serving.serving_model import ServingModel, build_serving_model
from dc_keras.serving.signatures import Endpoint, endpoints
from dc_keras.training.model_card import CARD_FILE
from dc_keras.training.model_directory import write_json
from tfrecords.storage.checksums import seal_directory

AUDIT_FILE = "op_audit.json"
CONFIG_FILE = "models.config"

# One thread per core is the server's default. A request waits at most 5 ms for others
# to share its step. A request with many rows is split; the server refuses a request of
# more than max_batch_size rows.
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
# Serves the two highest versions, so that a client can go back to the previous one.
_MODELS = """model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 2 }} }}
  }}
}}
"""
_FINGERPRINT = "fingerprint.pb"


def export_bundle(
    directory: Path,
    output: Path,
    version: int | None = None,
    *,
    calibration: str = "platt",
    serving_target: str | None = None,
) -> Path:
    """Writes a bundle under `output`, which a running tensorflow/serving may watch.

    Args:
        directory: a participation model directory.
        output: directory of a model's versions.
        version: number of the version; None for the one after the highest.
        calibration: one of `calibration.METHODS`.
        serving_target: release of tensorflow/serving that must be able to load the
            bundle, for example "2.20"; None accepts every bundle and only writes the
            audit.

    Returns:
        The directory of the version.

    Raises:
        DataError: the version exists already, or the target lacks an op; see also
            `build_serving_model`.
    """
    if serving_target is not None:
        find_release(serving_target)  # fails early if the target is unknown
    model, config = build_serving_model(directory, calibration)
    config["serving_target"] = serving_target

    def fill(place: Path) -> None:
        write_saved_model(endpoints(model), tables_of(model), place)
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
    """Writes a version in a temporary directory and renames it when it is complete.

    Args:
        output: directory of a model's versions.
        version: number of the version; None for the one after the highest.
        fill: writes the SavedModel, its configuration and its calibration into a
            directory.

    Returns:
        The directory of the version.

    Raises:
        DataError: the version exists already or is no number from 1, or the
            `serving_target` of the configuration lacks an op.
    """
    if version is not None and (not isinstance(version, int) or version < 1):
        raise DataError(
            "`version` must be a whole number, at least 1. "
            f"Received: version={version!r}"
        )
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
    set_reproducible_uuid(temporary)
    target = read_config(temporary)["serving_target"]
    audit = audit_ops(temporary, target)
    if target is not None:
        require_target(audit, target)
    write_json(temporary / AUDIT_FILE, audit.to_dict())
    (temporary / "batching_params.pbtxt").write_text(_BATCHING, encoding="utf-8")
    name = output.resolve().name
    write_requests(temporary, name)
    seal_directory(temporary)
    # For a server that mounts `output` as /models/NAME. An existing file may pin a
    # version.
    if not (output / CONFIG_FILE).exists():
        write_text(output / CONFIG_FILE, _MODELS.format(name=name))
    # Last, so that an export that is stopped earlier has written no version.
    temporary.rename(place)
    return place


def tables_of(model: ServingModel) -> list[Any]:
    """Returns the layers and tables whose lookup tables a SavedModel must contain."""
    layers = {
        id(layer): layer
        for videos in (model.user_videos, model.challenge_videos)
        for layer in videos.layers_with_tables()
    }
    return [*layers.values(), model.challenges.lookup]


def write_saved_model(
    functions: Mapping[str, Endpoint], tracked: Sequence[Any], place: Path
) -> None:
    """Writes functions as the signatures of a SavedModel, in a reproducible order.

    `tracked` are layers and lookup tables with the tables that the functions use. An
    archive of Keras would trace and store each function a second time.
    """
    signatures = {}
    for name, (function, signature) in tqdm(
        functions.items(), "signatures", unit="signature", disable=None
    ):
        traced = tf.function(function, input_signature=signature, autograph=False)
        signatures[name] = traced.get_concrete_function()
        order_variables(signatures[name].graph)
    # The signature of requests that name none.
    signatures.setdefault("serving_default", next(iter(signatures.values())))
    root = tf.Module()
    root.weights = list(
        {id(v): v for f in signatures.values() for v in f.graph.variables}.values()
    )
    root.tables = [table for item in tracked for table in _tables_of(item)]
    save_signatures(root, signatures, place)


def save_signatures(
    root: tf.Module, signatures: Mapping[str, Any], place: Path
) -> None:
    """Writes a SavedModel.

    Args:
        root: has the variables and tables of the signatures.
        signatures: concrete functions by the name of their signature.
        place: directory of the SavedModel.
    """
    # AutoGraph would leave files in the system's temporary directory.
    save = tf.autograph.experimental.do_not_convert(tf.saved_model.save)
    save(root, str(place), signatures=signatures)


def _tables_of(item: Any) -> list[Any]:
    """Returns the lookup tables and other resources of a layer or a table."""
    resource = tf.saved_model.experimental.TrackableResource
    return [x for x in _SavedView(item).descendants() if isinstance(x, resource)]


class _SavedView(tf.train.TrackableView):
    """Finds what a SavedModel contains, where the base class finds a checkpoint's."""

    @classmethod
    def children(cls, obj: Any, save_type: str = "savedmodel", **kwargs: Any) -> Any:
        return super().children(obj, save_type, cache={}, **kwargs)


def order_variables(graph: Any) -> None:
    """Sorts the variables of a traced function by the order of their capture.

    TensorFlow lists them in the order of a set of objects, which depends on memory
    addresses, and writes the SavedModel in this order.
    """
    order = {id(tensor): i for i, tensor in enumerate(graph.external_captures)}
    last = len(order)
    graph.variables = sorted(
        graph.variables, key=lambda v: (order.get(id(v.handle), last), v.name)
    )


def set_reproducible_uuid(place: Path) -> None:
    """Replaces the random UUID of a SavedModel by one derived from its content.

    Its fingerprint.pb contains a random number and checksums of the parts, from which
    the new number is computed. Older TensorFlow versions write no such file.
    """
    from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef

    path = place / _FINGERPRINT
    if not path.exists():
        return
    fingerprint = FingerprintDef()
    fingerprint.ParseFromString(path.read_bytes())
    checksums = (
        fingerprint.saved_model_checksum,
        fingerprint.graph_def_program_hash,
        fingerprint.signature_def_hash,
        fingerprint.saved_object_graph_hash,
        fingerprint.checkpoint_hash,
    )
    text = "-".join(map(str, checksums))
    fingerprint.uuid = str(int(hashlib.sha256(text.encode()).hexdigest()[:32], 16))
    path.write_bytes(fingerprint.SerializeToString(deterministic=True))
