"""HTTP connections with a fixed deadline and a maximum response size.

urllib3 restarts a timeout for every read, so a server that sends a byte now and then
can keep a call open forever. Here a timeout is a point in time, and a response has at
most `LARGEST_ANSWER` bytes. The deadline does not apply to the DNS lookup.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from dc_keras.errors import DataError

LARGEST_ANSWER = 2**28  # bytes
_LEAST_S = 1e-3
_PIECE = 2**14  # bytes of a TLS record


def make_pool() -> urllib3.PoolManager:
    """Returns a pool of such connections that ignores the environment's proxies."""
    pool = urllib3.PoolManager()
    pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return pool


class TimeoutAt(urllib3.Timeout):
    """A timeout that ends at a fixed time, over all attempts together.

    Args:
        end: the deadline, on the clock of `time.monotonic`, in seconds.
    """

    def __init__(self, end: float) -> None:
        super().__init__(total=seconds_until(end))
        self.end = end

    def clone(self) -> TimeoutAt:
        """Returns the timeout of the next attempt."""
        return TimeoutAt(self.end)


def seconds_until(end: float) -> float:
    """Returns the remaining seconds, at least `_LEAST_S`: sockets refuse 0."""
    return max(_LEAST_S, end - time.monotonic())


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedFile(self.fp.detach(), sock))

    def begin(self) -> None:
        super().begin()
        if self.length is not None:
            _require_size(self.length)


class _BoundedFile(io.RawIOBase):
    """Reads from a socket up to a deadline and a number of bytes.

    Args:
        file: the socket's unbuffered file.
        sock: the socket; its timeout is the remaining time.
    """

    def __init__(self, file: io.RawIOBase, sock: socket.socket) -> None:
        self._file = file
        self._sock = sock
        self._end = time.monotonic() + (sock.gettimeout() or 0)
        self._num_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._end:
            raise TimeoutError("timed out")
        self._sock.settimeout(seconds_until(self._end))
        count = self._file.readinto(buffer)
        self._num_bytes += count or 0
        _require_size(self._num_bytes)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _require_size(num_bytes: int) -> None:
    if num_bytes > LARGEST_ANSWER:
        raise DataError(
            f"a server's answer must have at most {LARGEST_ANSWER} bytes. "
            f"Received: {num_bytes} or more"
        )


class _Connection(HTTPConnection):
    """A connection with a deadline; `timeout` returns the remaining seconds."""

    response_class = _Answer
    _end = 0.0

    @property
    def timeout(self) -> float:
        return seconds_until(self._end)

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._end = time.monotonic() + (seconds or 0)

    def send(self, data: Any) -> None:
        # In pieces, because TLS restarts its timeout for each record.
        for start in range(0, len(data), _PIECE):
            if self.sock is not None:
                self.sock.settimeout(self.timeout)
            super().send(data[start : start + _PIECE])


class _TlsConnection(_Connection, HTTPSConnection):
    """A `_Connection` with TLS."""


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
