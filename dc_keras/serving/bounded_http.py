"""HTTP whose deadline and size hold against any server.

urllib3 counts a timeout anew for every read, so that a server that sends a byte now and
then keeps a call for ever. Here a connection's timeout is a moment, and no answer is
longer than `LARGEST_ANSWER`. Only looking up the server's name is outside of it.
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
    """Returns a pool of such connections, without proxies of the environment."""
    pool = urllib3.PoolManager()
    pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return pool


class TimeoutAt(urllib3.Timeout):
    """A moment, not a duration: each attempt gets what the ones before it left.

    Args:
        end: of `time.monotonic`.
    """

    def __init__(self, end: float) -> None:
        super().__init__(total=seconds_until(end))
        self.end = end

    def clone(self) -> TimeoutAt:
        """Returns the timeout of the next attempt."""
        return TimeoutAt(self.end)


def seconds_until(end: float) -> float:
    """Returns the seconds that are left, above 0 as sockets want it."""
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
    """What a server sends, up to a moment and a number of bytes.

    Args:
        file: of the socket, unbuffered.
        sock: whose timeout is the time that is left.
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
    """Reads until its deadline: `timeout` is what is left whenever urllib3 asks."""

    response_class = _Answer
    _end = 0.0

    @property
    def timeout(self) -> float:
        return seconds_until(self._end)

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._end = time.monotonic() + (seconds or 0)

    def send(self, data: Any) -> None:
        # In pieces: TLS counts its timeout anew for each record.
        for start in range(0, len(data), _PIECE):
            if self.sock is not None:
                self.sock.settimeout(self.timeout)
            super().send(data[start : start + _PIECE])


class _TlsConnection(_Connection, HTTPSConnection):
    """The same with TLS."""


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
