"""A model server over REST, as tensorflow/serving's g3doc/api_rest.md describes it.

Bytes travel as `{"b64": "…"}`, texts as JSON strings. A signature's inputs go column by
column ("inputs"), or row by row ("instances") where all share dimension 0.
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
from dc_keras.serving.client import Client, without_credentials
from dc_keras.serving.tensor_specs import Arrays, Signature, TensorSpec, make_spec

# Too many requests; not there, or not ready.
_TRY_AGAIN = (429, 503)
_NOT_FOUND = 404
_TIMED_OUT = 504


class RestClient(Client):
    """See `Client`; `address` is "http://host:8501".

    Args:
        address: of the server. "http://user:password@host:8501" sends both in the
            header of HTTP basic authentication; no message has them.
        model: name of the model.
        is_row_format: sends rows instead of columns.
        options: those of `Client`.
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

    def _ask(
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
                decode_content=False,  # none was asked for: it may be a bomb
            )
        except HTTPError as error:
            if time.monotonic() >= end:
                raise self._too_late() from None
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
            raise self._too_late()
        raise (self._not_found if response.status == _NOT_FOUND else self._refusal)(
            text
        )

    def _explain(self, error: HTTPError) -> DataError:
        reason = error.reason if isinstance(error, MaxRetryError) else error
        # A refused connection counts as a timeout to urllib3.
        if isinstance(reason, TimeoutError) and not isinstance(
            reason, NewConnectionError
        ):
            return self._too_late()
        return self._unavailable(type(reason).__name__)


class _RetryUntil(urllib3.Retry):
    """Retries while there is time left: urllib3's own counts attempts alone."""

    end = 0.0

    @classmethod
    def make(cls, end: float, retries: int) -> Self:
        retry = cls(
            total=retries,
            read=0,  # the answer may be under way
            redirect=0,
            status_forcelist=_TRY_AGAIN,
            allowed_methods={"GET", "POST"},
            respect_retry_after_header=False,  # it knows nothing of the deadline
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
            reason = kwargs.get("error") or ResponseError("too late to try again")
            raise MaxRetryError(kwargs["_pool"], "", reason)
        return retry


def _read_error(response: urllib3.BaseHTTPResponse) -> str:
    try:
        error = _parse(response.data)["error"]
    except (LookupError, TypeError, ValueError):
        error = None
    # Anything else than a text is of a proxy before the server.
    return error if isinstance(error, str) else f"HTTP {response.status}"


def _parse(data: bytes) -> Any:
    """Parses JSON, with NaN and Infinity, which the server writes.

    Raises:
        ValueError: it is none, or nested too deep.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _split_credentials(address: str) -> tuple[str, dict[str, str]]:
    """Splits an address into one without credentials, and the header that has them.

    Raises:
        DataError: it cannot be read.
    """
    try:
        url = parse_url(address)
    except LocationParseError:
        url = parse_url("")
    place = str(url._replace(auth=None))
    if not url.host or "@" in place:
        raise DataError(
            "a server's address must be http://host:port or http://user:password@host:"
            "port, with %XX for what is none of A-Z a-z 0-9 - . _ ~ in a password. "
            f"Received: address={without_credentials(address)!r}"
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
    """Turns columns to rows; those of a single input are bare values."""
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
    """Reads an answer; a single output comes without its name."""
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
    flat = array.reshape(-1)  # a view; `flat` and its like know 32 dimensions at most
    for place, value in enumerate(flat):
        flat[place] = _from_json_string(value)
    return array


def _from_json_string(value: str | Mapping[str, str]) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return base64.b64decode(value["b64"], validate=True)
