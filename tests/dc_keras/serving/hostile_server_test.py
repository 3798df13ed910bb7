"""Tests of malicious servers, as raw local sockets."""

import contextlib
import json
import re
import socket
import threading
import time

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.serving import rest_client
from dc_keras.serving.client import NoAnswerError, shorten
from dc_keras.serving.connect import connect

# Each answer ends its connection; the client must not send the next request into it.
_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


@pytest.fixture
def serve():
    """Starts a server that reads a request and passes the socket to a function."""
    with contextlib.ExitStack() as stack:
        over = threading.Event()

        def start(answer, *, reads=True):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.settimeout(0.1)

            def accept():
                while not over.is_set():
                    try:
                        sock = listener.accept()[0]
                    except TimeoutError:
                        continue
                    with sock, contextlib.suppress(OSError):
                        sock.settimeout(5)
                        if reads:
                            _read_request(sock)
                        answer(sock)

            thread = threading.Thread(target=accept)
            thread.start()
            stack.callback(thread.join)
            stack.callback(over.set)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start


def _read_request(sock):
    """Reads head and body, because unread data would reset the connection."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += sock.recv(2**16)
    head, _, body = request.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    while found and len(body) < int(found[1]):
        body += sock.recv(2**16)


def _drip(*parts):
    """Sends the parts byte by byte, and repeats the last one."""

    def answer(sock):
        for part in parts[:-1]:
            sock.sendall(part)
        while True:
            for number in range(len(parts[-1])):
                sock.sendall(parts[-1][number : number + 1])
                time.sleep(0.02)

    return answer


def _send(data):
    return lambda sock: sock.sendall(data)


def _answer(content, head=_HEAD):
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return head + b"Content-Length: %d\r\n\r\n" % len(data) + data


@pytest.mark.parametrize(
    "answer",
    [
        _drip(b"HTTP/1.1 2"),
        _drip(_HEAD, b"X-More: nothing\r\n"),
        _drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
        _drip(_HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        _drip(_HEAD + b"\r\n", b" "),
        _drip(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        _drip(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
        _drip(b"HTTP/1.1 503 No\r\nContent-Length: 100000\r\n\r\n", b" "),
    ],
    ids=["status", "header", "continue", "body", "close", "chunks", "size", "refusal"],
)
def test_a_slow_response_times_out(serve, answer):
    client = connect(serve(answer), "dc", timeout_s=0.5)
    start = time.monotonic()
    with (
        client,
        pytest.raises(NoAnswerError, match=r"time limit\. Received: timeout_s=0\.5"),
    ):
        client.status()
    assert 0.4 < time.monotonic() - start < 2


def test_a_server_that_never_reads_times_out(serve, monkeypatch):
    address = serve(lambda _: time.sleep(1), reads=False)
    with connect(address, "dc", timeout_s=0.5, retries=0) as client:
        start = time.monotonic()
        with pytest.raises(NoAnswerError, match="within the time limit"):
            client._send("POST", "/", "x" * 50_000_000)
        assert time.monotonic() - start < 2


def test_the_retry_after_header_is_ignored(serve):
    busy = _HEAD.replace(b"200 OK", b"503 Busy")
    busy += b"Retry-After: 60\r\nContent-Length: 0\r\n\r\n"
    with connect(serve(_send(busy)), "dc", timeout_s=1, retries=1) as client:
        start = time.monotonic()
        with pytest.raises(NoAnswerError, match="HTTP 503"):
            client.status()
        assert time.monotonic() - start < 3


def test_metadata_and_answer_share_one_deadline(serve):
    spec = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}]}}
    signature = {"inputs": {"x": spec}, "outputs": {"y": spec}}
    found = {"metadata": {"signature_def": {"signature_def": {"f": signature}}}}

    def answer(sock):
        time.sleep(0.4)
        sock.sendall(_answer(found))

    with connect(serve(answer), "dc", timeout_s=0.6, retries=0) as client:
        start = time.monotonic()
        with pytest.raises(
            NoAnswerError, match=r"time limit\. Received: timeout_s=0\.6"
        ):
            client.predict("f", {"x": [1.0]})
        assert time.monotonic() - start < 0.95


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 5_000 + b"]" * 5_000,
        b'{"model_version_status":' + b'{"a":' * 900 + b"1" + b"}" * 901,
        b'{"model_version_status": [{"version": 1e999, "state": ""}]}',
        b'{"model_version_status": [{"version": "' + b"9" * 5000 + b'", "state": ""}]}',
        b'{"model_version_status": [{"version": NaN, "state": ""}]}',
        b"\xff\xfe\x00",
        b'"\\ud83d"',
    ],
)
def test_deep_and_large_responses_are_refused(serve, body):
    for status in (b"200 OK", b"500 No", b"404 No"):
        head = b"HTTP/1.1 " + status + b"\r\n"
        with connect(serve(_send(_answer(body, head))), "dc") as client:
            with pytest.raises(DataError) as error:
                client.status()
            assert "\n" not in str(error.value)
            assert len(str(error.value)) < 500


def _signature(shape=(-1,), dtype="DT_FLOAT"):
    dims = [{"size": str(size)} for size in shape]
    spec = {"dtype": dtype, "tensor_shape": {"dim": dims}}
    whole = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}]}}
    return {"inputs": {"x": whole}, "outputs": {"y": spec}}


@pytest.mark.parametrize(
    ("outputs", "signature"),
    [
        (b"[" * 200 + b"1" + b"]" * 200, _signature()),
        (b"[" * 60 + b"1" + b"]" * 60, _signature()),
        (b"[1" + b"0" * 400 + b"]", _signature()),
        (b"[[1, 2]]", _signature()),
        (b"[1, 2]", _signature((3,))),
        (b"1", _signature()),
        (b"[" * 70 + b'"a"' + b"]" * 70, _signature(dtype="DT_STRING")),
        (b'[{"b64": 3}]', _signature(dtype="DT_STRING")),
    ],
)
def test_invalid_tensors_are_refused(serve, outputs, signature):
    found = {"metadata": {"signature_def": {"signature_def": {"f": signature}}}}
    answers = [_answer(found), _answer(b'{"outputs": ' + outputs + b"}")]
    address = serve(lambda sock: sock.sendall(answers.pop(0)))
    with (
        connect(address, "dc", retries=0) as client,
        pytest.raises(DataError, match=r"must (answer as|return 'y' as)"),
    ):
        client.predict("f", {"x": [1.0]})


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 99999999999999\r\n", b"", b"Transfer-Encoding: chunked\r\n"],
)
def test_an_endless_response_is_refused(serve, head, monkeypatch):
    monkeypatch.setattr(rest_client, "LARGEST_ANSWER", 10**6)
    piece = b" " * 2**16
    body = b"%x\r\n%b\r\n" % (len(piece), piece) if b"chunked" in head else piece

    def answer(sock):
        sock.sendall(_HEAD + head + b"\r\n")
        while True:
            sock.sendall(body)

    with (
        connect(serve(answer), "dc") as client,
        pytest.raises(DataError, match="must have at most 1000000 bytes"),
    ):
        client.status()


def test_a_compressed_response_is_not_decoded(serve):
    head = _HEAD + b"Content-Encoding: gzip\r\n"
    with (
        connect(serve(_send(_answer(b"\x1f\x8b\x08", head))), "dc") as client,
        pytest.raises(DataError, match="must answer as tensorflow/serving does"),
    ):
        client.status()


_OBEYED = "\x1b]0;title\x07 \x9b2J \u202egnp.exe\u202c \r\x00"


def test_control_characters_of_a_servers_message_are_escaped(serve):
    content = {"error": f"no {_OBEYED}"}
    head = b"HTTP/1.1 500 No\r\n"
    with (
        connect(serve(_send(_answer(content, head))), "dc") as client,
        pytest.raises(
            DataError, match=r"refused the request: no \\u001b\]0;title"
        ) as error,
    ):
        client.status()
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r", "\0"} & set(str(error.value))


def test_control_characters_of_a_servers_names_are_escaped(serve):
    found = {"metadata": {"signature_def": {"signature_def": {_OBEYED: _signature()}}}}
    with (
        connect(serve(_send(_answer(found))), "dc") as client,
        pytest.raises(DataError, match="signature must be one of") as error,
    ):
        client.predict("f", {})
    assert str(error.value).isprintable()


def test_a_long_message_of_a_server_is_shortened_fast():
    # Each {{ would be followed to the end of the text.
    start = time.process_time()
    assert len(shorten("{{a " * 1_000_000)) < 400
    assert time.process_time() - start < 5


def _header_of(address_of):
    requests = []

    def answer(sock):
        sock.sendall(_answer({"model_version_status": []}))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"

        def accept():
            with listener.accept()[0] as sock:
                requests.append(sock.recv(2**16))
                answer(sock)

        thread = threading.Thread(target=accept)
        thread.start()
        with connect(address_of(place), "dc") as client:
            client.status()
        thread.join()
    lines = requests[0].split(b"\r\n")
    return [line for line in lines if line.lower().startswith(b"authorization")]


@pytest.mark.parametrize(
    ("written", "header"),
    [
        # base64 of ann:secret, of ann:pa/ss@é in UTF-8, and of ann:
        ("ann:secret@", [b"Authorization: Basic YW5uOnNlY3JldA=="]),
        ("ann:pa%2Fss%40%C3%A9@", [b"Authorization: Basic YW5uOnBhL3NzQMOp"]),
        ("ann@", [b"Authorization: Basic YW5uOg=="]),
        ("", []),
    ],
)
def test_a_password_is_sent_as_basic_authentication(written, header):
    assert _header_of(lambda place: f"http://{written}{place}") == header


@pytest.mark.parametrize("status", [b"401 No", b"404 No", b"503 No", b"302 Away"])
def test_a_password_is_in_no_message(serve, status, caplog):
    head = b"HTTP/1.1 " + status + b"\r\nLocation: http://127.0.0.1:1/\r\n"
    address = serve(_send(_answer({"error": "no"}, head)))
    given = address.replace("//", "//ann:secret@")
    with connect(given, "dc", retries=1) as client:
        assert client.address == address
        with pytest.raises(DataError) as error:
            client.status()
    assert "secret" not in str(error.value) + caplog.text
    assert "ann" not in str(error.value) + caplog.text
    with pytest.raises(NoAnswerError) as error:
        connect("http://ann:secret@127.0.0.1:1", "dc", retries=0).status()
    assert "secret" not in str(error.value) + caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "htp://ann:secret@host:8501",
        "ann:secret@host:8501",
        "ann:sec://ret@host",
        "http://ann:secret/ret@host:8501",
        "http://ann:80/secret@host:8501",
        "http://ann:secret?@host",
        "http://ann:80#secret@host",
        "grpc://ann:secret@host:8500",
        "http://ann:secret@",
        "http://ann:secret@host:port",
    ],
)
def test_invalid_addresses_do_not_reveal_the_password(address):
    with pytest.raises(DataError, match="address") as error:
        connect(address, "dc")
    assert "ret@" not in str(error.value)
    assert "secret" not in str(error.value)
    assert "ann" not in str(error.value)


def test_a_normal_response_is_read(serve):
    found = {"metadata": {"signature_def": {"signature_def": {"f": _signature()}}}}
    answers = [_answer(found), _answer(b'{"outputs": [1.5, NaN, -Infinity]}')]
    address = serve(lambda sock: sock.sendall(answers.pop(0)))
    with connect(address, "dc", retries=0) as client:
        got = client.predict("f", {"x": [1.0]})["y"]
    np.testing.assert_array_equal(got, np.array([1.5, np.nan, -np.inf], np.float32))
