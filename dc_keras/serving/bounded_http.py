"""HTTP requests with a deadline and a maximum response size.

HTTP libraries restart a timeout for every read, so a server that sends a byte now and
then can keep a call open forever. Here a timer closes the connection at the deadline.
The deadline does not apply to the DNS lookup.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection, IncompleteRead
from threading import Timer
from urllib.parse import SplitResult

from dc_keras.errors import DataError

LARGEST_ANSWER = 2**28  # bytes
_LEAST_S = 1e-3


def seconds_until(end: float) -> float:
    """Returns the remaining seconds, at least `_LEAST_S`: sockets refuse 0.

    Args:
        end: the deadline, on the clock of `time.monotonic`, in seconds.
    """
    return max(_LEAST_S, end - time.monotonic())


def connect(url: SplitResult, end: float) -> HTTPConnection:
    """Connects to a server.

    Args:
        url: address with host and port; its scheme is "http" or "https".
        end: the deadline, as for `seconds_until`.

    Raises:
        OSError: the server cannot be reached.
        UnicodeError: the host cannot be the name of a server.
    """
    make = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = make(url.hostname or "", url.port, timeout=seconds_until(end))
    connection.connect()
    return connection


def exchange(
    connection: HTTPConnection,
    method: str,
    path: str,
    body: bytes | None,
    headers: Mapping[str, str],
    end: float,
) -> tuple[int, bytes]:
    """Sends a request, and closes the connection.

    Returns:
        The status and the body of the response, not decoded.

    Raises:
        OSError: the connection was closed, or the deadline has passed.
        HTTPException: the response is not HTTP, or incomplete.
        DataError: the response has more than `LARGEST_ANSWER` bytes.
    """
    timer = Timer(seconds_until(end), _shut_down, [connection.sock])
    timer.daemon = True
    timer.start()
    try:
        # A server may refuse a large request, and answer, before it has read it.
        with suppress(BrokenPipeError):
            connection.request(method, path, body, dict(headers))
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
