"""Decodes media in a separate process, so that a crashing decoder does not end a run.

Media files are untrusted input, and their decoders are written in C. A crash, or a kill
by the kernel when memory runs out, ends a small process without TensorFlow. The file is
then reported as unreadable, and a new process is started. The processes exchange JSON
and JPEG files, and no pickled objects.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import cv2

from tfrecords.errors import MediaError
from tfrecords.frame_sampling import SampledFrames, SamplingConfig, sample_media

# A single crash may have another cause, such as a lack of memory.
_MAX_CRASHES = 2
_SERVER = __name__  # the module of `serve`
_START = "import sys; sys.path[:] = {path}; from {module} import serve; serve({file})"


class DecodingProcess:
    """Runs `sample_media` in another process, which starts with the first call.

    It is not thread-safe.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sample(
        self, files: Sequence[Path], config: SamplingConfig, *, is_slideshow: bool
    ) -> SampledFrames:
        """See `sample_media`.

        Raises:
            MediaError: As `sample_media`, or the files crash the decoder.
            RuntimeError: The other process failed with a programming error.
        """
        request = {
            "files": [str(file) for file in files],
            "config": asdict(config),
            "is_slideshow": is_slideshow,
        }
        for _ in range(_MAX_CRASHES):
            try:
                return self._send(request)
            except (EOFError, ConnectionError):
                self.close()
        raise MediaError(files[0].name, "crashes the decoder")

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()  # it writes no files
            self._process.wait()
            self._process = None

    def _send(self, request: dict[str, Any]) -> SampledFrames:
        connection = self._connection or self._start()
        _send_json(connection, request)
        reply = json.loads(connection.recv_bytes())
        if "failure" in reply:
            raise RuntimeError(f"decoding failed:\n{reply['failure']}")
        if "reason" in reply:
            raise MediaError(reply["name"], reply["reason"])
        jpegs = [connection.recv_bytes() for _ in range(reply.pop("num_jpegs"))]
        times = tuple(reply.pop("timestamps_us"))
        bad = tuple(MediaError(*slide) for slide in reply.pop("bad_slides"))
        return SampledFrames(timestamps_us=times, jpegs=jpegs, bad_slides=bad, **reply)

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            code = _START.format(path=sys.path, module=_SERVER, file=theirs.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._connection = Connection(ours.detach())
        return self._connection


def serve(file: int) -> None:
    """Main function of the process: answers requests until the connection closes.

    Args:
        file: File descriptor of the connection.
    """
    # Ctrl-C reaches all processes of the terminal; only the main process handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    with Connection(file) as connection:
        try:
            while True:
                _answer(connection)
        except (EOFError, ConnectionError):
            os._exit(0)  # without waiting for the libraries' threads


def _answer(connection: Connection) -> None:
    request = json.loads(connection.recv_bytes())
    try:
        sampled = sample_media(
            [Path(file) for file in request["files"]],
            SamplingConfig(**request["config"]),
            is_slideshow=request["is_slideshow"],
        )
    except MediaError as error:
        _send_json(connection, {"name": error.name, "reason": error.reason})
        return
    except Exception:
        import traceback

        _send_json(connection, {"failure": traceback.format_exc()})
        return
    _send_json(
        connection,
        {
            "timestamps_us": sampled.timestamps_us,
            "num_jpegs": len(sampled.jpegs),
            "duration_us": sampled.duration_us,
            "source_num_frames": sampled.source_num_frames,
            "bad_slides": [(bad.name, bad.reason) for bad in sampled.bad_slides],
        },
    )
    for jpeg in sampled.jpegs:
        connection.send_bytes(jpeg)


def _send_json(connection: Connection, content: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(content).encode("ascii"))
