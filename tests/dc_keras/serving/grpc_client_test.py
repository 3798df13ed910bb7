import contextlib
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from dc_keras.errors import DataError
from dc_keras.serving.client import NoAnswerError
from dc_keras.serving.connect import connect


class _Stub(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Refuses a number of requests, then returns the inputs."""

    def __init__(self):
        self.refusals, self.requests, self.pause_s = [], [], 0
        self.answers = []

    def GetModelMetadata(self, request, context):
        found = get_model_metadata_pb2.SignatureDefMap()
        echo = found.signature_def["echo"]
        for tensors in (echo.inputs, echo.outputs):
            tensors["frames"].CopyFrom(
                meta_graph_pb2.TensorInfo(
                    dtype=tf.string.as_datatype_enum,
                    tensor_shape=tf.TensorShape([None]).as_proto(),
                )
            )
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(found)
        return response

    def Predict(self, request, context):
        self.requests.append(request)
        time.sleep(self.pause_s)
        if self.refusals:
            context.abort(self.refusals.pop(0), "no\nmore")
        if self.answers:
            return predict_pb2.PredictResponse(outputs=self.answers.pop(0))
        return predict_pb2.PredictResponse(outputs=request.inputs)


@pytest.fixture
def stub():
    server = grpc.server(
        ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)]
    )
    servicer = _Stub()
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        servicer, server
    )
    servicer.address = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield servicer
    server.stop(None).wait()


def _echo(client, frames=(b"\xff\0\0",)):
    return client.predict("echo", {"frames": list(frames)})["frames"].tolist()


def test_a_server_that_is_not_ready_is_asked_again(stub):
    stub.refusals += [grpc.StatusCode.UNAVAILABLE] * 2
    with connect(stub.address, "dc", version=3) as client:
        assert _echo(client) == [b"\xff\0\0"]
    assert len(stub.requests) == 3
    assert stub.requests[0].model_spec.version.value == 3


def test_large_requests_are_repeated_and_large_answers_received(stub):
    # gRPC's own limits: 256 KiB that it repeats, 4 MiB that it receives.
    stub.refusals.append(grpc.StatusCode.UNAVAILABLE)
    frames = [bytes(6 * 2**20), b"\xd8"]
    with connect(stub.address, "dc") as client:
        assert _echo(client, frames) == frames
    assert len(stub.requests) == 2


def test_retries_end(stub):
    stub.refusals += [grpc.StatusCode.UNAVAILABLE] * 9
    for retries in (0, 1):
        stub.requests.clear()
        with (
            connect(stub.address, "dc", retries=retries) as client,
            pytest.raises(NoAnswerError, match=r"and ready: no\. Received: address="),
        ):
            _echo(client)
        assert len(stub.requests) == 1 + retries


@pytest.mark.parametrize(
    ("code", "kind", "rule"),
    [
        (
            "NOT_FOUND",
            NoAnswerError,
            r"serve the model: no\. Received: model='d",
        ),
        ("INVALID_ARGUMENT", DataError, r"refused the request: no\. Recei"),
        ("INTERNAL", DataError, r"refused the request: no\. Received: mod"),
        ("RESOURCE_EXHAUSTED", NoAnswerError, r"and ready: no\. Received: address="),
    ],
)
def test_a_refusal_is_one_line_and_is_not_asked_again(stub, code, kind, rule):
    stub.refusals.append(grpc.StatusCode[code])
    with connect(stub.address, "dc") as client, pytest.raises(kind, match=rule):
        _echo(client)
    assert len(stub.requests) == 1


def test_a_slow_server_is_given_up_in_time(stub):
    stub.pause_s = 0.5
    with (
        connect(stub.address, "dc", timeout_s=0.2) as client,
        pytest.raises(
            NoAnswerError, match=r"within the time limit\. Received: timeout_s=0\.2"
        ),
    ):
        _echo(client)


def test_no_server_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"grpc://127.0.0.1:{closed.getsockname()[1]}"
    start = time.monotonic()
    with (
        connect(address, "dc", timeout_s=1, retries=1) as client,
        pytest.raises(
            NoAnswerError, match=r"must be reachable and ready|within the time limit"
        ),
    ):
        client.status()
    assert time.monotonic() - start < 3


def test_texts_and_bytes_arrive_as_bytes(stub):
    with connect(stub.address, "dc") as client:
        assert _echo(client, ["é", b"\0\xff"]) == ["é".encode(), b"\0\xff"]
        frames = client.predict("echo", {"frames": np.array([b"a"], object)})["frames"]
    assert frames.dtype == object


def test_without_grpc_an_address_of_its_kind_is_one_line(request):
    code = (
        "import sys; sys.modules['grpc'] = None\n"
        "from dc_keras.serving.connect import connect\n"
        "connect('grpc://localhost:1', 'dc')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        "DataError: a grpc:// address needs gRPC: pip install 'dc_keras[serving]'"
        in (done.stderr)
    )


def _tensor(dims, **values):
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in dims]
    )
    return tensor_pb2.TensorProto(tensor_shape=shape, **values)


@pytest.mark.parametrize(
    "answer",
    [
        # One value that stands for 10^12 of them.
        _tensor([10**12], dtype=tf.string.as_datatype_enum, string_val=[b"a"]),
        _tensor([-(10**6), -(10**6)], dtype=tf.string.as_datatype_enum),
        _tensor([2], dtype=tf.float32.as_datatype_enum, tensor_content=b"abc"),
        _tensor([1], dtype=99),
        _tensor([1, 1], dtype=tf.string.as_datatype_enum, string_val=[b"a"]),
        _tensor([1], dtype=tf.float32.as_datatype_enum, float_val=[1.0]),
    ],
)
def test_an_answer_that_is_no_such_tensor_is_one_line(stub, answer):
    stub.answers.append({"frames": answer})
    with (
        connect(stub.address, "dc") as client,
        pytest.raises(DataError, match=r"must (answer as|return 'frames' as)"),
    ):
        _echo(client)


def test_an_answer_without_its_outputs_is_one_line(stub):
    stub.answers.append({})
    with (
        connect(stub.address, "dc") as client,
        pytest.raises(DataError, match=r"must return 'frames' as .*Received: nothing"),
    ):
        _echo(client)


def test_a_slow_response_times_out():
    over = threading.Event()

    def drip(listener):
        with listener.accept()[0] as sock, contextlib.suppress(OSError):
            # The length of a frame of HTTP/2 and never the frame.
            while not over.wait(0.05):
                sock.sendall(b"\0")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        start = time.monotonic()
        address = f"grpc://127.0.0.1:{listener.getsockname()[1]}"
        with (
            connect(address, "dc", timeout_s=0.5, retries=0) as client,
            pytest.raises(
                NoAnswerError, match=r"within the time limit|reachable and ready"
            ),
        ):
            client.status()
        assert time.monotonic() - start < 3
        over.set()
        thread.join()
