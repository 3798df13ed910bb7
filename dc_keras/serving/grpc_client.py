"""Client of a model server over gRPC, with the messages of `tensorflow-serving-api`.

This client needs the extra `serving`, and TensorFlow to encode tensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from dc_keras.errors import DataError
from dc_keras.serving.client import Client, strip_credentials
from dc_keras.serving.tensor_specs import Arrays, Signature, TensorSpec, make_spec

try:
    import grpc  # type: ignore[import-untyped]
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )
except ImportError as error:
    raise DataError(
        "a grpc:// address needs gRPC: pip install 'dc_keras[serving]'"
    ) from error
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2

_LARGEST_MESSAGE = 2**31 - 1  # bytes; the limit of the server
# Larger requests, in bytes, are not retried. The default is below the size of a post.
_RETRY_BUFFER = 2**30


class GrpcClient(Client):
    """A `Client` over gRPC. The connection is not encrypted.

    Args:
        address: address of the server, "host:8500".
        model: name of the model.
        options: options of `Client`.
    """

    def __init__(self, address: str, model: str, **options: Any) -> None:
        if "@" in address:
            raise DataError(
                "a grpc:// address must have no user and no password: the connection "
                "is not encrypted. Received: "
                f"address={strip_credentials(address)!r}"
            )
        super().__init__(address, model, **options)
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
                ("grpc.max_send_message_length", _LARGEST_MESSAGE),
                ("grpc.per_rpc_retry_buffer_size", _RETRY_BUFFER),
                # At most the pause between retries, so that each retry reconnects.
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.min_reconnect_backoff_ms", 100),
                ("grpc.service_config", json.dumps(_service_config(self.retries))),
            ],
        )
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def metadata(self, timeout_s: float | None = None) -> dict[str, Signature]:
        """See `Client`."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        )
        response = self._call(self._predictions.GetModelMetadata, request, timeout_s)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        with self._as_documented():
            try:
                response.metadata["signature_def"].Unpack(signatures)
            except DecodeError as error:
                raise ValueError("the response contains no signatures") from error
            return {
                name: Signature(_read_specs(entry.inputs), _read_specs(entry.outputs))
                for name, entry in signatures.signature_def.items()
                if not name.startswith("__")
            }

    def status(self, timeout_s: float | None = None) -> dict[int, str]:
        """See `Client`."""
        request = get_model_status_pb2.GetModelStatusRequest()
        response = self._call(self._models.GetModelStatus, request, timeout_s)
        states = get_model_status_pb2.ModelVersionStatus.State
        with self._as_documented():
            return {
                entry.version: states.Name(entry.state)
                for entry in response.model_version_status
            }

    def close(self) -> None:
        """See `Client`."""
        self._channel.close()

    def _predict(
        self, name: str, signature: Signature, inputs: Arrays, timeout_s: float
    ) -> Arrays:
        request = predict_pb2.PredictRequest()
        request.model_spec.signature_name = name
        for key, values in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
        response = self._call(self._predictions.Predict, request, timeout_s)
        with self._as_documented():
            return {
                name: _read_tensor(response.outputs[name]) for name in response.outputs
            }

    def _call(
        self, method: Callable[..., Any], request: Any, timeout_s: float | None = None
    ) -> Any:
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        spec = request.model_spec
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version
        try:
            return method(request, timeout=timeout_s)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self._timed_out() from None
            raise self._explain(error.code(), error.details() or "") from None

    def _explain(self, code: grpc.StatusCode, text: str) -> DataError:
        if code == grpc.StatusCode.NOT_FOUND:
            return self._not_found(text)
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
            return self._unavailable(text)
        return self._refusal(text)


def _service_config(retries: int) -> dict[str, Any]:
    if not retries:
        return {}
    policy = {
        "maxAttempts": retries + 1,
        "initialBackoff": "0.2s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}


def _read_tensor(tensor: Any) -> np.ndarray:
    """Returns the array of a tensor message; `ValueError` if bytes are missing."""
    sizes = [dim.size for dim in tensor.tensor_shape.dim]
    # A message may encode repeated values once, and so expand to any size.
    if math.prod(sizes) > tensor.ByteSize():
        raise ValueError("the shape has more values than the message")
    array: np.ndarray = tf.make_ndarray(tensor)
    return array


def _read_specs(content: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {
        name: make_spec(
            types_pb2.DataType.Name(info.dtype),
            [dim.size for dim in info.tensor_shape.dim],
        )
        for name, info in content.items()
    }
