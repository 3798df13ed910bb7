"""Writes sample requests and warm-up records of a bundle.

The requests are generated from the input specs of the SavedModel's signatures. A server
replays the warm-up records before it accepts requests, and does not load a bundle if a
record fails.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.serving.bundle_config import read_config
from dc_keras.serving.raw_requests import FACTS
from dc_keras.serving.rest_client import as_json
from dc_keras.serving.saved_graph import read_graph
from tfrecords.tensors import without_autotune

BATCH_SIZES = (1, 4, 8)
WARM_UP_FILE = "assets.extra/tf_serving_warmup_requests"
SAMPLES = "sample_requests"

_CAPTION = "so good #fyp"
_NUM_POSTS = 1
_FRAME_SIZE = 224
_BUFFER = 2**18
_decode = np.vectorize(bytes.decode, otypes=[object])

Request = tuple[str, dict[str, np.ndarray]]


def write_requests(place: Path, name: str) -> None:
    """Writes sample requests and, with the extra `serving`, warm-up records.

    Args:
        place: directory of a version, with the SavedModel and its config.json.
        name: name of the model on a server.

    Raises:
        DataError: the records that are read back differ from those written.
    """
    requests = list(make_requests(place))
    (place / SAMPLES).mkdir()
    for signature, inputs in requests[:: len(BATCH_SIZES)]:
        _write_sample(place / SAMPLES / f"{signature}.json", signature, inputs)
    if importlib.util.find_spec("tensorflow_serving") is not None:
        _write_warm_up(place / WARM_UP_FILE, name, requests)
        _require_equal(requests, list(read_warm_up(place / WARM_UP_FILE)))


def make_requests(place: Path) -> Iterator[Request]:
    """Yields a request for each signature and batch size, by signature."""
    config = read_config(place)
    signatures = read_graph(place / "saved_model.pb").signature_def
    for name in sorted(signatures):
        if name.startswith("__"):  # an internal signature of the loader
            continue
        specs = {
            key: (tf.as_dtype(info.dtype), [dim.size for dim in info.tensor_shape.dim])
            for key, info in sorted(signatures[name].inputs.items())
        }
        for size in BATCH_SIZES:
            yield name, _inputs(specs, size, config)


def read_warm_up(path: Path) -> Iterator[Request]:
    """Yields the signature and inputs of each warm-up record.

    Needs the extra `serving`.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    records = tf.data.TFRecordDataset([str(path)], buffer_size=_BUFFER)
    for record in without_autotune(records):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        yield request.model_spec.signature_name, inputs


def _inputs(
    specs: Mapping[str, tuple[Any, list[int]]], size: int, config: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Generates inputs of a signature: posts with a caption and a grey frame."""
    frame = np.full((_FRAME_SIZE, _FRAME_SIZE, 3), 127, np.uint8)
    challenge = next(iter(config["challenges"]), "").encode()
    values: dict[str, Any] = {
        "captions": _CAPTION.encode(),
        "frames": tf.io.encode_jpeg(frame).numpy(),
        "challenge": challenge,
        "name": challenge,
        "sounds": b"",
        "sound_titles": b"original sound",
        "joined": b"",
    }
    open_dims = (size, _NUM_POSTS, 1)
    inputs = {}
    for key, (dtype, dims) in specs.items():
        shape = [open_dims[i] if dim < 0 else dim for i, dim in enumerate(dims)]
        if dtype == tf.string:
            inputs[key] = np.full(shape, values[key], object)
        elif dtype == tf.bool:
            inputs[key] = np.ones(shape, bool)
        elif key == "token_ids":
            tokens = [config["special_tokens"][name] for name in ("cls", "sep")]
            inputs[key] = np.tile(np.array(tokens, np.int32), (size, _NUM_POSTS, 1))
        elif key in FACTS:
            inputs[key] = np.full(shape, FACTS[key][0])
        else:
            inputs[key] = np.zeros(shape, np.float32)
    return inputs


def _write_sample(path: Path, signature: str, inputs: Mapping[str, np.ndarray]) -> None:
    columns = {}
    for key, values in inputs.items():
        is_text = values.dtype == object and key != "frames"
        columns[key] = as_json(_decode(values) if is_text else values)
    rows = zip(*columns.values(), strict=True)
    instances = [dict(zip(columns, row, strict=True)) for row in rows]
    body = {"signature_name": signature, "instances": instances}
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def _write_warm_up(path: Path, name: str, requests: list[Request]) -> None:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            for key, values in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(record.SerializeToString(deterministic=True))


def _require_equal(written: list[Request], read: list[Request]) -> None:
    is_equal = len(written) == len(read) and all(
        name == name_read
        and inputs.keys() == inputs_read.keys()
        and all(np.array_equal(inputs[key], inputs_read[key]) for key in inputs)
        for (name, inputs), (name_read, inputs_read) in zip(written, read, strict=True)
    )
    if not is_equal:
        raise DataError(
            f"{WARM_UP_FILE} must read back as it was written. Received: "
            f"records={len(read)} of {len(written)}"
        )
