"""Client of a model server over REST (tensorflow/serving, g3doc/api_rest.md).

Bytes are sent as `{"b64": "…"}`, texts as JSON strings. The inputs of a signature are
sent as columns ("inputs"), or as rows ("instances") if they share dimension 0.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import unquote

import numpy as np
import urllib3
from urllib3.exceptions import (
    HTTPError,
    LocationParseError,
    MaxRetryError,
    NewConnectionError,
    ResponseError,
    TimeoutError,
)
from urllib3.util import parse_url

from dc_keras.errors import DataError
from dc_keras.serving.bounded_http import TimeoutAt, make_pool
from dc_keras.serving.client import Client, strip_credentials
from dc_keras.serving.tensor_specs import Arrays, Signature, TensorSpec, make_spec

# Too many requests; unavailable.
_TRY_AGAIN = (429, 503)
_NOT_FOUND = 404
_TIMED_OUT = 504


class RestClient(Client):
    """A `Client` over REST.

    Args:
        address: address of the server, "http://host:8501". User and password of
            "http://user:password@host:8501" are sent by HTTP basic authentication and
            never appear in a message.
        model: name of the model.
        is_row_format: whether inputs are sent as rows instead of columns.
        options: options of `Client`.
    """

    def __init__(
        self, address: str, model: str, *, is_row_format: bool = False, **options: Any
    ) -> None:
        place, credentials = _split_credentials(address)
        super().__init__(place.rstrip("/"), model, **options)
        self.is_row_format = is_row_format
        self._pool = make_pool()
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
        """See `Client`."""
        self._pool.clear()

    def _predict(
        self, name: str, signature: Signature, inputs: Arrays, timeout_s: float
    ) -> Arrays:
        columns = {key: _as_json(values) for key, values in inputs.items()}
        body: dict[str, Any] = {"signature_name": name}
        if self.is_row_format:
            body["instances"] = _rows(columns)
            key = "predictions"
        else:
            body["inputs"] = columns
            key = "outputs"
        content = self._send("POST", f"{self._path()}:predict", body, timeout_s)
        with self._as_documented():
            return _read_outputs(content[key], signature.outputs, self.is_row_format)

    def _path(self) -> str:
        path = f"/v1/models/{self.model}"
        if self.version is not None:
            return f"{path}/versions/{self.version}"
        return path if self.label is None else f"{path}/labels/{self.label}"

    def _send(
        self,
        method: str,
        path: str,
        body: object = None,
        timeout_s: float | None = None,
    ) -> Any:
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        end = time.monotonic() + timeout_s
        try:
            response = self._pool.request(
                method,
                self.address + path,
                body=json.dumps(body).encode() if method == "POST" else None,
                headers=self._headers,
                retries=_RetryUntil.make(end, self.retries),
                timeout=TimeoutAt(end),
                decode_content=False,  # not requested; may be a decompression bomb
            )
        except HTTPError as error:
            if time.monotonic() >= end:
                raise self._timed_out() from None
            raise self._explain(error) from None
        return self._read(response)

    def _read(self, response: urllib3.BaseHTTPResponse) -> Any:
        if response.status == 200:
            with self._as_documented():
                return _parse(response.data)
        text = _read_error(response)
        if response.status in _TRY_AGAIN:
            raise self._unavailable(text)
        if response.status == _TIMED_OUT:
            raise self._timed_out()
        raise (self._not_found if response.status == _NOT_FOUND else self._refusal)(
            text
        )

    def _explain(self, error: HTTPError) -> DataError:
        reason = error.reason if isinstance(error, MaxRetryError) else error
        # In urllib3, NewConnectionError is a subclass of TimeoutError.
        if isinstance(reason, TimeoutError) and not isinstance(
            reason, NewConnectionError
        ):
            return self._timed_out()
        return self._unavailable(type(reason).__name__)


class _RetryUntil(urllib3.Retry):
    """Retries until a deadline; urllib3's own class only counts attempts."""

    end = 0.0

    @classmethod
    def make(cls, end: float, retries: int) -> Self:
        retry = cls(
            total=retries,
            read=0,  # the server may be working on the request
            redirect=0,
            status_forcelist=_TRY_AGAIN,
            allowed_methods={"GET", "POST"},
            respect_retry_after_header=False,  # could exceed the deadline
            backoff_factor=0.1,
            backoff_max=2.0,
            raise_on_status=False,
        )
        retry.end = end
        return retry

    def new(self, **changes: Any) -> Self:
        copy = super().new(**changes)
        copy.end = self.end
        return copy

    def increment(self, *args: Any, **kwargs: Any) -> Self:
        retry = super().increment(*args, **kwargs)
        if time.monotonic() + retry.get_backoff_time() >= self.end:
            reason = kwargs.get("error") or ResponseError("no time left for a retry")
            raise MaxRetryError(kwargs["_pool"], "", reason)
        return retry


def _read_error(response: urllib3.BaseHTTPResponse) -> str:
    try:
        error = _parse(response.data)["error"]
    except (LookupError, TypeError, ValueError):
        error = None
    # Without a text, the response is that of a proxy.
    return error if isinstance(error, str) else f"HTTP {response.status}"


def _parse(data: bytes) -> Any:
    """Parses JSON, including NaN and Infinity, which the server writes.

    Raises:
        ValueError: the data is not JSON, or nested too deeply.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _split_credentials(address: str) -> tuple[str, dict[str, str]]:
    """Returns the address without credentials, and the HTTP header with them.

    Raises:
        DataError: the address is invalid.
    """
    try:
        url = parse_url(address)
    except LocationParseError:
        url = parse_url("")
    place = str(url._replace(auth=None))
    if not url.host or "@" in place:
        raise DataError(
            "a server's address must be http://host:port or http://user:password@host:"
            "port, with characters other than A-Z a-z 0-9 - . _ ~ of a password "
            "encoded as %XX. "
            f"Received: address={strip_credentials(address)!r}"
        )
    if url.auth is None:
        return address, {}
    user, _, password = url.auth.partition(":")
    code = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode())
    header = {"Authorization": f"Basic {code.decode('ascii')}"}
    return place, header


def _as_json(values: np.ndarray) -> Any:
    if values.dtype != object:
        return values.tolist()
    items = np.empty(values.size, object)
    items[:] = [_as_json_string(value) for value in values.flat]
    return items.reshape(values.shape).tolist()


def _as_json_string(value: str | bytes) -> str | dict[str, str]:
    if isinstance(value, str):
        return value
    return {"b64": base64.b64encode(value).decode("ascii")}


def _rows(columns: Mapping[str, Any]) -> list[Any]:
    """Turns columns into rows; rows of a single input are bare values."""
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise DataError(
            "rows need inputs that share dimension 0, at least 1. "
            f"Received: sizes={sorted(lengths)}"
        )
    if len(columns) == 1:
        return list(next(iter(columns.values())))
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def _read_specs(content: Mapping[str, Any]) -> dict[str, TensorSpec]:
    specs = {}
    for name, info in content.items():
        shape = info["tensor_shape"]
        dims = [int(dim["size"]) for dim in shape["dim"]]
        specs[name] = make_spec(info["dtype"], dims, bool(shape.get("unknown_rank")))
    return specs


def _read_outputs(
    content: Any, specs: Mapping[str, TensorSpec], is_row_format: bool
) -> Arrays:
    """Returns the outputs by name; a single output is sent without its name."""
    if len(specs) == 1:
        columns = {next(iter(specs)): content}
    elif is_row_format:
        columns = {name: [row[name] for row in content] for name in specs}
    else:
        columns = content
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
