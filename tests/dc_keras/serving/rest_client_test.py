import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dc_keras.errors import DataError
from dc_keras.serving.client import NoAnswerError
from dc_keras.serving.connect import connect

_SPEC = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}]}}
_TEXTS = {**_SPEC, "dtype": "DT_STRING"}
_SIGNATURES = {
    "twice": {"inputs": {"x": _SPEC}, "outputs": {"y": _SPEC}},
    "texts": {
        "inputs": {"text": _TEXTS, "x": _SPEC},
        "outputs": {"text": _TEXTS, "raw_bytes": _TEXTS},
    },
}
_METADATA = {"metadata": {"signature_def": {"signature_def": _SIGNATURES}}}


@pytest.fixture
def stub():
    """A server with given responses, which records the requests."""
    answers, requests = [], []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self._reply(200, _METADATA)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, json.loads(body)))
            self._reply(*answers.pop(0))

        def log_message(self, *_):
            pass

        def _reply(self, status, content):
            data = (
                content if isinstance(content, bytes) else json.dumps(content).encode()
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # Seconds between looks at whether it is to stop.
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    server.answers, server.requests = answers, requests
    server.address = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(stub):
    with connect(stub.address, "dc") as made:
        yield made


def _twice(client):
    return client.predict("twice", {"x": [1.0, 2.0]})["y"].tolist()


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(stub, client, status):
    busy = (status, {"error": "busy"})
    stub.answers += [busy, busy, (200, {"outputs": [2.0, 4.0]})]
    assert _twice(client) == [2.0, 4.0]
    assert len(stub.requests) == 3


def test_a_server_that_stays_busy_is_one_line(stub):
    stub.answers += [(503, {"error": "no memory\nstack"})] * 5
    with (
        connect(stub.address, "dc", retries=1) as client,
        pytest.raises(
            NoAnswerError, match=r"and ready: no memory\. Received: address="
        ),
    ):
        _twice(client)
    assert len(stub.requests) == 2


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_refusal_is_not_asked_again(stub, client, status):
    stub.answers.append((status, {"error": "no"}))
    with pytest.raises(
        DataError, match=r"(refused the request|the model): no\. Received: model='dc'$"
    ):
        _twice(client)
    assert len(stub.requests) == 1


@pytest.mark.parametrize("content", [b"<html>", b"3", b"[]", {"message": "no"}])
def test_an_error_of_a_proxy_is_reported_by_its_status(stub, client, content):
    stub.answers.append((502, content))
    with pytest.raises(DataError, match=r"request: HTTP 502\. Received: model='dc'$"):
        _twice(client)


def test_a_newer_version_may_take_something_else(stub, client, monkeypatch):
    stub.answers += [(200, {"outputs": [2.0]}), (200, {"outputs": {}})]
    client.predict("twice", {"x": [1.0]})
    newer = {"inputs": {"z": _SPEC}, "outputs": {"y": _SPEC}}
    monkeypatch.setitem(_SIGNATURES, "twice", newer)
    with pytest.raises(DataError):
        client.predict("twice", {"x": [1.0]})
    stub.answers[:] = [(200, {"outputs": [2.0]})]
    assert client.predict("twice", {"z": [1.0]})["y"].tolist() == [2.0]


@pytest.mark.parametrize(
    "content", [b"<html>", b"[]", b"{}", {"outputs": "y"}, {"outputs": [[1], []]}]
)
def test_an_answer_of_another_kind_is_one_line(stub, client, content):
    stub.answers.append((200, content))
    with pytest.raises(DataError, match="must answer as tensorflow/serving does"):
        _twice(client)


def test_bytes_travel_as_base64_and_texts_as_texts(stub, client):
    stub.answers.append(
        (200, {"outputs": {"text": ["é", ""], "raw_bytes": [{"b64": "/+8="}] * 2}})
    )
    answer = client.predict("texts", {"text": ["é", b"\xff\xef"], "x": [1, 2]})
    assert stub.requests == [
        (
            "/v1/models/dc:predict",
            {
                "signature_name": "texts",
                "inputs": {"text": ["é", {"b64": "/+8="}], "x": [1.0, 2.0]},
            },
        )
    ]
    assert answer["text"].tolist() == ["é".encode(), b""]
    assert answer["raw_bytes"].tolist() == [b"\xff\xef"] * 2


def test_a_version_is_part_of_the_path(stub):
    stub.answers.append((200, {"outputs": [2.0, 4.0]}))
    with connect(stub.address, "dc", version=3) as client:
        _twice(client)
    [path] = [path for path, _ in stub.requests]
    assert path == "/v1/models/dc/versions/3:predict"


def test_a_silent_server_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(
            NoAnswerError, match=r"within the time limit.*timeout_s=0\.3"
        ):
            connect(address, "dc", timeout_s=0.3).metadata()
        assert 0.25 < time.monotonic() - start < 2


def test_no_server_is_one_line_and_no_retry_outlasts_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    start = time.monotonic()
    with pytest.raises(
        NoAnswerError, match=r"reachable and ready: ConnectionRefusedError\..*='http"
    ):
        connect(address, "dc", timeout_s=0.2, retries=4).metadata()
    assert time.monotonic() - start < 1
    with pytest.raises(
        NoAnswerError, match=r"dc must be ready within 0\.3 s: a model se"
    ):
        connect(address, "dc", retries=0).wait_until_ready(0.3)


def test_a_server_that_starts_late_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    states = {"model_version_status": [{"version": "4", "state": "AVAILABLE"}]}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(states).encode())

        def log_message(self, *_):
            pass

    def listen():
        time.sleep(0.5)
        with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
            server.handle_request()

    thread = threading.Thread(target=listen)
    thread.start()
    assert connect(f"http://127.0.0.1:{port}", "dc").wait_until_ready(20) == 4
    thread.join()


def test_rest_needs_no_tensorflow(root_of_tests):
    code = (
        "import sys; from dc_keras.serving.rest_client import RestClient;"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root_of_tests)


@pytest.fixture
def root_of_tests(request):
    return request.config.rootpath
