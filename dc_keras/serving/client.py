"""Asking a model server: what its clients have in common, over REST or gRPC.

    model = connect("http://localhost:8501", "dc")  # of `serving.connect`
    model.wait_until_ready(60)
    answer = model.predict("score", {"user": users, "challenge": challenges})

A client's `signatures` are called as those of a bundle that is loaded in process.
Errors are one line and never hold what was asked: that is people's data.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from dc_keras.errors import DataError
from dc_keras.escaping import escape_controls
from dc_keras.serving.bounded_http import seconds_until
from dc_keras.serving.tensor_specs import Arrays, Signature, as_array, fits
from dc_keras.serving.unknown_facts import fill_unknown

_AVAILABLE = "AVAILABLE"
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_LONGEST_TEXT = 300
_LONGEST_READ = 10_000  # of what a server says: a pattern takes its time
# json_tensor.cc of the server quotes the value that it cannot read, in whole; what it
# says behind it is kept where it is known.
_TAIL = (
    " Type: \\w+ is not of expected type: \\w+| not formatted correctly for base64 data"
)
_QUOTED = re.compile(rf"JSON [Vv]alue: .*?({_TAIL})?$")
# Of reading an answer that is something else than the documented.
_UNDOCUMENTED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_CREDENTIALS = re.compile(r"\A([A-Za-z][\w+.-]*://)?.*@", re.DOTALL)
_NODES = re.compile(r"\{\{\w+ [^}]*\}\} ?")


class NoAnswerError(DataError):
    """The server is not there, or does not serve the model (yet)."""


class Client(ABC):
    """A model on a server, over one of its protocols.

    Args:
        address: where the server listens.
        model: name under which it serves the model.
        version: of the model; None takes the highest that is served.
        label: of a version, "stable"; instead of `version`.
        timeout_s: seconds within which a call must be answered, retries included.
        retries: how often a call is repeated, after pauses that double, where the
            server is not there or too busy. Asking twice changes nothing.

    Raises:
        DataError: a value outside its range.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 3,
    ) -> None:
        rules = {
            "model": (re.fullmatch(r"[\w.-]+", model), model, "letters, digits, . _ -"),
            "label": (
                label is None or (re.fullmatch(r"[\w.-]+", label) and version is None),
                label,
                "letters, digits, . _ -, and stand without a version",
            ),
            "version": (version is None or version >= 0, version, "at least 0"),
            "timeout_s": (timeout_s > 0, timeout_s, "above 0"),
            "retries": (0 <= retries <= 4, retries, "0 to 4"),
        }
        for name, (holds, value, rule) in rules.items():
            if not holds:
                raise DataError(f"`{name}` must be {rule}. Received: {name}={value!r}")
        self.address = address
        self.model = model
        self.version = version
        self.label = label
        self.timeout_s = timeout_s
        self.retries = retries
        self._signatures: dict[str, Signature] = {}

    @property
    def signatures(self) -> dict[str, ServedFunction]:
        """The model's functions by name, as a SavedModel that is loaded has them."""
        if not self._signatures:
            self._signatures = self.metadata()
        return {name: ServedFunction(self, name) for name in self._signatures}

    @abstractmethod
    def metadata(self, timeout_s: float | None = None) -> dict[str, Signature]:
        """Asks which signatures the model has.

        Args:
            timeout_s: seconds for this call; those of the client if None.

        Raises:
            DataError: the server does not say.
        """

    @abstractmethod
    def status(self, timeout_s: float | None = None) -> dict[int, str]:
        """Asks for the state of each version, "LOADING" or "AVAILABLE" for example.

        Args:
            timeout_s: seconds for this call; those of the client if None.

        Raises:
            DataError: the server does not say.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends the connections."""

    @abstractmethod
    def _ask(
        self, name: str, signature: Signature, inputs: Arrays, timeout_s: float
    ) -> Arrays:
        """Sends what `predict` has checked, and returns what was answered."""

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> Arrays:
        """Asks a signature.

        Args:
            signature: its name.
            inputs: an array for each input; texts as str, anything else that is a
                string as bytes. Facts that are missing are unknown.

        Returns:
            An array for each output; strings are bytes in arrays of objects.

        Raises:
            DataError: the model has no such signature, an input is none of its own or
                has another shape, or the server does not answer in time or refuses.
        """
        try:
            return self._ask_checked(signature, inputs)
        except DataError:
            # A newer version may take something else: its metadata are asked for anew.
            self._signatures = {}
            raise

    def wait_until_ready(self, timeout_s: float) -> int:
        """Waits for the server, and for the model to be loaded.

        Returns:
            The highest version that is available, or `version` once it is.

        Raises:
            DataError: that took longer than `timeout_s` seconds.
        """
        end = time.monotonic() + timeout_s
        pauses = _pauses()
        while True:
            reason: object = f"no version is {_AVAILABLE}"
            try:
                left_s = max(_FIRST_PAUSE_S, end - time.monotonic())
                states = self.status(min(left_s, self.timeout_s))
            except NoAnswerError as error:
                states, reason = {}, error
            ready = [version for version in states if states[version] == _AVAILABLE]
            if ready and self.version in (None, *ready):
                return max(ready) if self.version is None else self.version
            pause = next(pauses)
            if time.monotonic() + pause > end:
                raise NoAnswerError(
                    f"{self.model} must be ready within {timeout_s} s: {reason}"
                ) from None
            time.sleep(pause)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask_checked(self, name: str, inputs: Mapping[str, Any]) -> Arrays:
        end = time.monotonic() + self.timeout_s
        signature = self._find(name, end)
        filled = fill_unknown(inputs, signature.inputs)
        if filled.keys() != signature.inputs.keys():
            raise DataError(
                f"the signature {name!r} takes "
                f"{shorten(', '.join(sorted(signature.inputs)))}. "
                f"Received: inputs={sorted(inputs)}"
            )
        arrays = {
            key: as_array(filled[key], key, signature.inputs[key])
            for key in sorted(signature.inputs)
        }
        answer = self._ask(name, signature, arrays, seconds_until(end))
        self._require_outputs(answer, signature)
        return answer

    def _require_outputs(self, answer: Arrays, signature: Signature) -> None:
        for key, spec in signature.outputs.items():
            array = answer.get(key)
            if array is None or array.dtype != spec.dtype or not fits(array, spec):
                what = "nothing" if array is None else f"{array.dtype}{array.shape}"
                raise DataError(
                    f"the server must answer {key!r} as {spec.dtype}{spec.shape}, -1 "
                    f"for any size. Received: {what}"
                )

    def _find(self, name: str, end: float) -> Signature:
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
        """Tells in one line that something else than the documented was answered."""
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
            f"the server must be able to answer; it says: {shorten(text)}. "
            f"Received: {self._named()}"
        )

    def _not_found(self, text: str) -> NoAnswerError:
        return NoAnswerError(
            f"the server must have the model; it says: {shorten(text)}. "
            f"Received: {self._named()}"
        )

    def _unavailable(self, text: str) -> NoAnswerError:
        return NoAnswerError(
            f"a model server must listen and be ready: {shorten(text)}. "
            f"Received: address={self.address!r}"
        )

    def _too_late(self) -> NoAnswerError:
        return NoAnswerError(
            f"the server at {self.address} must answer in time. "
            f"Received: timeout_s={self.timeout_s:.3g}"
        )

    def _named(self) -> str:
        values = {"model": self.model, "version": self.version, "label": self.label}
        return ", ".join(f"{k}={v!r}" for k, v in values.items() if v is not None)


@dataclass(frozen=True)
class ServedFunction:
    """A signature on a server, called as one of a loaded bundle is."""

    client: Client
    name: str

    def __call__(self, **inputs: Any) -> Arrays:
        """Asks it; see `Client.predict`."""
        return self.client.predict(self.name, inputs)


def without_credentials(address: str) -> str:
    """Returns an address as it may be shown: with no user and no password."""
    return _CREDENTIALS.sub(r"\1", address)


def shorten(text: str) -> str:
    """Returns the first line of a server's words, without what was asked."""
    lines = text[:_LONGEST_READ].strip().splitlines() or ["nothing"]
    line = _NODES.sub("", _QUOTED.sub(r"a JSON value\1", lines[0])).rstrip(".")
    line = line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"
    return escape_controls(line)


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE_S)
