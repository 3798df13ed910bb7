"""Client of a model server: the common base of the REST and gRPC clients.

    model = connect("http://localhost:8501", "dc")  # from `serving.connect`
    model.wait_until_ready(60)
    answer = model.predict("score", {"user": users, "challenge": challenges})

Error messages have one line and never contain the request, because a request contains
people's data.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from dc_keras.errors import DataError
from dc_keras.escaping import escape_controls
from dc_keras.serving.raw_requests import FACTS, fill_unknown
from dc_keras.serving.tensor_specs import Arrays, Signature, as_array, fits

_AVAILABLE = "AVAILABLE"
_LEAST_S = 1e-3
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_LONGEST_TEXT = 300
_LONGEST_READ = 10_000  # characters of a server's message that patterns are applied to
# The server's json_tensor.cc quotes the whole value that it cannot parse. The quotation
# is removed, and a known text after it is kept.
_TAIL = (
    " Type: \\w+ is not of expected type: \\w+| not formatted correctly for base64 data"
)
_QUOTED = re.compile(rf"JSON [Vv]alue: .*?({_TAIL})?$")
# Errors of parsing a response that does not have the documented form.
_UNDOCUMENTED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_CREDENTIALS = re.compile(r"\A([A-Za-z][\w+.-]*://)?.*@", re.DOTALL)
_NODES = re.compile(r"\{\{\w+ [^}]*\}\} ?")


class NoAnswerError(DataError):
    """The server cannot be reached, or does not serve the model (yet)."""


class Client(ABC):
    """A model on a server, over one of its protocols.

    Args:
        address: address of the server.
        model: name under which the server serves the model.
        version: version of the model; None selects the highest one that is served.
        timeout_s: time limit of a call in seconds, retries included.
        retries: number of retries, with exponential backoff, if the server cannot be
            reached or is overloaded. Calls are idempotent.

    Raises:
        DataError: a value outside its range.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        timeout_s: float = 30.0,
        retries: int = 3,
    ) -> None:
        rules = {
            "model": (re.fullmatch(r"[\w.-]+", model), model, "letters, digits, . _ -"),
            "version": (version is None or version >= 0, version, "at least 0"),
            "timeout_s": (timeout_s > 0, timeout_s, "above 0"),
            "retries": (0 <= retries <= 4, retries, "0 to 4"),
        }
        for name, (is_valid, value, rule) in rules.items():
            if not is_valid:
                raise DataError(f"`{name}` must be {rule}. Received: {name}={value!r}")
        self.address = address
        self.model = model
        self.version = version
        self.timeout_s = timeout_s
        self.retries = retries
        self._signatures: dict[str, Signature] = {}

    @abstractmethod
    def metadata(self, timeout_s: float | None = None) -> dict[str, Signature]:
        """Returns the signatures of the model, within `timeout_s` or the client's.

        Raises:
            DataError: the server does not return them.
        """

    @abstractmethod
    def status(self, timeout_s: float | None = None) -> dict[int, str]:
        """Returns the state of each version, for example "LOADING" or "AVAILABLE".

        Raises:
            DataError: the server does not return it within `timeout_s` or the client's
                limit.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes the connections."""

    @abstractmethod
    def _predict(
        self, name: str, signature: Signature, inputs: Arrays, timeout_s: float
    ) -> Arrays:
        """Sends the checked inputs, and returns the outputs."""

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> Arrays:
        """Calls a signature.

        Args:
            signature: name of the signature.
            inputs: an array for each input; texts as str, other strings as bytes.
                Missing facts are filled in as unknown.

        Returns:
            An array for each output; strings are bytes in arrays of objects.

        Raises:
            DataError: the model has no such signature, an input is unknown or has a
                wrong shape, or the server refuses the request or exceeds the time
                limit.
        """
        try:
            return self._predict_checked(signature, inputs)
        except DataError:
            # A newer version may take other inputs, so the metadata are read again.
            self._signatures = {}
            raise

    def wait_until_ready(self, timeout_s: float) -> int:
        """Waits until the server has loaded the model, at most `timeout_s` seconds.

        Returns:
            The highest available version, or the client's `version`.

        Raises:
            DataError: the time limit was exceeded.
        """
        end = time.monotonic() + timeout_s
        waits = pauses()
        while True:
            reason: object = f"no version is {_AVAILABLE}"
            try:
                remaining_s = max(_FIRST_PAUSE_S, end - time.monotonic())
                states = self.status(min(remaining_s, self.timeout_s))
            except NoAnswerError as error:
                states, reason = {}, error
            ready = [version for version in states if states[version] == _AVAILABLE]
            if ready and self.version in (None, *ready):
                return max(ready) if self.version is None else self.version
            pause = next(waits)
            if time.monotonic() + pause > end:
                raise NoAnswerError(
                    f"{self.model} must be ready within {timeout_s} s: {reason}"
                ) from None
            time.sleep(pause)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _predict_checked(self, name: str, inputs: Mapping[str, Any]) -> Arrays:
        end = time.monotonic() + self.timeout_s
        signature = self._find_signature(name, end)
        given, wanted = inputs.keys(), signature.inputs.keys()
        if not (given <= wanted and wanted - given <= FACTS.keys()):
            raise DataError(
                f"the signature {name!r} takes "
                f"{shorten(', '.join(sorted(signature.inputs)))}. "
                f"Received: inputs={sorted(inputs)}"
            )
        arrays = {
            key: as_array(inputs[key], key, signature.inputs[key])
            for key in sorted(inputs)
        }
        filled = fill_unknown(arrays, signature.inputs)
        answer = self._predict(name, signature, filled, seconds_until(end))
        self._require_outputs(answer, signature)
        return answer

    def _require_outputs(self, answer: Arrays, signature: Signature) -> None:
        for key, spec in signature.outputs.items():
            array = answer.get(key)
            if array is None or array.dtype != spec.dtype or not fits(array, spec):
                received = "nothing" if array is None else f"{array.dtype}{array.shape}"
                raise DataError(
                    f"the server must return {key!r} as {spec.dtype}{spec.shape}, -1 "
                    f"for any size. Received: {received}"
                )

    def _find_signature(self, name: str, end: float) -> Signature:
        if name not in self._signatures:
            self._signatures = self.metadata(seconds_until(end))
        if name not in self._signatures:
            known = shorten(", ".join(sorted(self._signatures)))
            raise DataError(
                f"a signature must be one of {known}. Received: signature={name!r}"
            )
        return self._signatures[name]

    @contextmanager
    def _as_documented(self) -> Iterator[None]:
        """Turns errors of parsing an undocumented response into a DataError."""
        try:
            yield
        except DataError:
            raise
        except _UNDOCUMENTED as error:
            raise DataError(
                f"{self.address} must answer as tensorflow/serving does. "
                f"Received: error={type(error).__name__}"
            ) from None

    def _refusal(self, text: str) -> DataError:
        return DataError(
            f"the server refused the request: {shorten(text)}. "
            f"Received: {self._named()}"
        )

    def _not_found(self, text: str) -> NoAnswerError:
        return NoAnswerError(
            f"the server must serve the model: {shorten(text)}. "
            f"Received: {self._named()}"
        )

    def _unavailable(self, text: str) -> NoAnswerError:
        return NoAnswerError(
            f"a model server must be reachable and ready: {shorten(text)}. "
            f"Received: address={self.address!r}"
        )

    def _timed_out(self) -> NoAnswerError:
        return NoAnswerError(
            f"the server at {self.address} must respond within the time limit. "
            f"Received: timeout_s={self.timeout_s:.3g}"
        )

    def _named(self) -> str:
        version = "" if self.version is None else f", version={self.version}"
        return f"model={self.model!r}{version}"


def seconds_until(end: float) -> float:
    """Returns the seconds to a time of `time.monotonic`; sockets refuse 0."""
    return max(_LEAST_S, end - time.monotonic())


def strip_credentials(address: str) -> str:
    """Returns an address without user and password, for messages."""
    return _CREDENTIALS.sub(r"\1", address)


def shorten(text: str) -> str:
    """Returns the first line of a server's message, without values of the request."""
    lines = text[:_LONGEST_READ].strip().splitlines() or ["no message"]
    line = _NODES.sub("", _QUOTED.sub(r"a JSON value\1", lines[0])).rstrip(".")
    line = line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"
    return escape_controls(line)


def pauses() -> Iterator[float]:
    """Yields the seconds before each retry, which grow exponentially."""
    pause = _FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE_S)
