"""Client of a model server over REST (tensorflow/serving, g3doc/api_rest.md).

Bytes are sent as `{"b64": "…"}`, texts as JSON strings. HTTP libraries restart a
timeout for every read, so a server that sends a byte now and then can keep a call open
forever. Here a timer closes the connection at the deadline, which does not apply to the
DNS lookup.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from itertools import islice
from threading import Timer
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import numpy as np

from dc_keras.errors import DataError
from dc_keras.serving.client import (
    Client,
    NoAnswerError,
    pauses,
    seconds_until,
    strip_credentials,
)
from dc_keras.serving.tensor_specs import Arrays, Signature, TensorSpec, make_spec

LARGEST_ANSWER = 2**28  # bytes
# Too many requests; unavailable.
_TRY_AGAIN = (429, 503)
_NOT_FOUND = 404
_TIMED_OUT = 504


class _BusyError(NoAnswerError):
    """The server has not begun to work on the request, which may be sent again."""


class RestClient(Client):
    """A `Client` over REST.

    Args:
        address: address of the server, "http://host:8501". User and password of
            "http://user:password@host:8501" are sent by HTTP basic authentication and
            never appear in a message.
        model: name of the model.
        options: options of `Client`.
    """

    def __init__(self, address: str, model: str, **options: Any) -> None:
        self._url, credentials = _split_credentials(address)
        super().__init__(self._url.geturl().rstrip("/"), model, **options)
        self._headers = {"Content-Type": "application/json", **credentials}

    def metadata(self, timeout_s: float | None = None) -> dict[str, Signature]:
        """See `Client`."""
        path = f"{self._path()}/metadata"
        content = self._send("GET", path, timeout_s=timeout_s)
        with self._as_documented():
            found = content["metadata"]["signature_def"]["signature_def"]
            return {
                name: Signature(
                    _read_specs(signature["inputs"]), _read_specs(signature["outputs"])
                )
                for name, signature in found.items()
                if not name.startswith("__")
            }

    def status(self, timeout_s: float | None = None) -> dict[int, str]:
        """See `Client`."""
        content = self._send("GET", self._path(), timeout_s=timeout_s)
        with self._as_documented():
            states = content["model_version_status"]
            return {int(state["version"]): str(state["state"]) for state in states}

    def close(self) -> None:
        """See `Client`; each call has a connection of its own."""

    def _predict(
        self, name: str, signature: Signature, inputs: Arrays, timeout_s: float
    ) -> Arrays:
        columns = {key: as_json(values) for key, values in inputs.items()}
        body = {"signature_name": name, "inputs": columns}
        content = self._send("POST", f"{self._path()}:predict", body, timeout_s)
        with self._as_documented():
            return _read_outputs(content["outputs"], signature.outputs)

    def _path(self) -> str:
        path = f"/v1/models/{self.model}"
        return path if self.version is None else f"{path}/versions/{self.version}"

    def _send(
        self,
        method: str,
        path: str,
        body: object = None,
        timeout_s: float | None = None,
    ) -> Any:
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        end = time.monotonic() + timeout_s
        data = json.dumps(body).encode() if method == "POST" else None
        waits = islice(pauses(), self.retries)
        while True:
            try:
                return self._attempt(method, path, data, end)
            except _BusyError:
                pause = next(waits, None)
                if pause is None or time.monotonic() + pause >= end:
                    raise
                time.sleep(pause)

    def _attempt(self, method: str, path: str, body: bytes | None, end: float) -> Any:
        url = self._url
        make = HTTPSConnection if url.scheme == "https" else HTTPConnection
        connection = make(url.hostname or "", url.port, timeout=seconds_until(end))
        try:
            connection.connect()
        except (OSError, HTTPException, UnicodeError) as error:
            raise _BusyError(str(self._explain(error, end))) from None
        try:
            status, answer = self._exchange(
                connection, method, url.path.rstrip("/") + path, body, end
            )
        except (OSError, HTTPException) as error:
            # Not sent again: the server may be working on the request.
            raise self._explain(error, end) from None
        return self._read(status, answer)

    def _exchange(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        end: float,
    ) -> tuple[int, bytes]:
        """Sends a request, closes the connection, and returns status and body."""
        timer = Timer(seconds_until(end), _shut_down, [connection.sock])
        timer.daemon = True
        timer.start()
        try:
            # A server may refuse a large request, and answer, before it has read it.
            with suppress(BrokenPipeError):
                connection.request(method, path, body, self._headers)
            response = connection.getresponse()
            _require_size(response.length or 0)
            data = response.read(LARGEST_ANSWER + 1)
        finally:
            timer.cancel()
            connection.close()
        _require_size(len(data))
        if time.monotonic() >= end:
            raise TimeoutError("timed out")
        if response.length:
            raise IncompleteRead(data, response.length)
        return response.status, data

    def _explain(self, error: Exception, end: float) -> DataError:
        if time.monotonic() >= end:
            return self._timed_out()
        return self._unavailable(type(error).__name__)

    def _read(self, status: int, answer: bytes) -> Any:
        if status == 200:
            with self._as_documented():
                return _parse(answer)
        text = _read_error(status, answer)
        if status in _TRY_AGAIN:
            raise _BusyError(str(self._unavailable(text)))
        if status == _TIMED_OUT:
            raise self._timed_out()
        raise (self._not_found if status == _NOT_FOUND else self._refusal)(text)


def _shut_down(sock: socket.socket) -> None:
    # Not the method of a TLS socket, whose state another thread is using.
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _require_size(num_bytes: int) -> None:
    if num_bytes > LARGEST_ANSWER:
        raise DataError(
            f"a server's answer must have at most {LARGEST_ANSWER} bytes. "
            f"Received: {num_bytes} or more"
        )


def _read_error(status: int, answer: bytes) -> str:
    with suppress(LookupError, TypeError, ValueError):
        if isinstance(error := _parse(answer)["error"], str):
            return error
    return f"HTTP {status}"  # the response is that of a proxy


def _parse(data: bytes) -> Any:
    """Parses JSON with NaN and Infinity, which the server writes; `ValueError` else."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _split_credentials(address: str) -> tuple[SplitResult, dict[str, str]]:
    """Returns the address without credentials, and the HTTP header with them."""
    try:
        url = urlsplit(address)
        is_valid = bool(url.hostname and url.port != 0)
    except ValueError:
        url, is_valid = urlsplit(""), False
    auth, _, netloc = url.netloc.rpartition("@")
    place = url._replace(netloc=netloc)
    if not is_valid or "@" in place.geturl():
        raise DataError(
            "a server's address must be http://host:port or http://user:password@host:"
            "port, with characters other than A-Z a-z 0-9 - . _ ~ of a password "
            "encoded as %XX. "
            f"Received: address={strip_credentials(address)!r}"
        )
    if "@" not in url.netloc:
        return place, {}
    user, _, password = auth.partition(":")
    code = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode())
    return place, {"Authorization": f"Basic {code.decode('ascii')}"}


def as_json(values: np.ndarray) -> Any:
    """Returns an input as nested lists; str become texts, and bytes base64 objects."""
    if values.dtype != object:
        return values.tolist()
    items = np.empty(values.size, object)
    items[:] = [_as_json_string(value) for value in values.flat]
    return items.reshape(values.shape).tolist()


def _as_json_string(value: str | bytes) -> str | dict[str, str]:
    if isinstance(value, str):
        return value
    return {"b64": base64.b64encode(value).decode("ascii")}


def _read_specs(content: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {
        name: make_spec(
            info["dtype"], [int(dim["size"]) for dim in info["tensor_shape"]["dim"]]
        )
        for name, info in content.items()
    }


def _read_outputs(content: Any, specs: Mapping[str, TensorSpec]) -> Arrays:
    """Returns the outputs by name; a single output is sent without its name."""
    columns = {next(iter(specs)): content} if len(specs) == 1 else content
    return {name: _from_json(columns[name], spec) for name, spec in specs.items()}


def _from_json(values: Any, spec: TensorSpec) -> np.ndarray:
    if spec.dtype != object:
        return np.array(values, spec.dtype)
    array = np.array(values, object)
    flat = array.reshape(-1)  # a view; `array.flat` supports only 32 dimensions
    for position, value in enumerate(flat):
        flat[position] = _from_json_string(value)
    return array


def _from_json_string(value: str | Mapping[str, str]) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return base64.b64decode(value["b64"], validate=True)
