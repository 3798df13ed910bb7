"""Decoding in a process of its own, so that a library that crashes ends no run.

Media are other people's files, and their decoders are written in C. A crash, or a kill
by the kernel where memory runs out, ends a small process without TensorFlow; the file
is named as unreadable, and another process takes its place. JSON and JPEG files pass
between the two, never objects.
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
import numpy as np

from tfrecords.frame_sampling import SampledFrames, SamplingConfig, sample_media
from tfrecords.decoded_frames import MediaError

# Once may be the machine's fault, such as memory that ran out.
_MOST_CRASHES = 2
_SERVER = __name__  # the module of `serve`
_START = "import sys; sys.path[:] = {path}; from {module} import serve; serve({file})"


class DecodingProcess:
    """Samples media as `sample_media` does, in a process that begins with the first.

    One thread at a time may use it.
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
            MediaError: as `sample_media`, or the files crash the decoder.
            RuntimeError: the other process failed by a mistake of ours.
        """
        asked = {
            "files": [str(file) for file in files],
            "config": asdict(config),
            "is_slideshow": is_slideshow,
        }
        for _ in range(_MOST_CRASHES):
            try:
                return self._ask(asked)
            except (EOFError, ConnectionError):
                self.close()
        raise MediaError(files[0].name, "crashes the decoder")

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()  # it has nothing to lose
            self._process.wait()
            self._process = None

    def _ask(self, asked: dict[str, Any]) -> SampledFrames:
        if self._connection is None:
            self._start()
        connection = self._connection
        if connection is None:
            raise ConnectionError("no process")
        connection.send_bytes(json.dumps(asked).encode("ascii"))
        told = json.loads(connection.recv_bytes())
        if "failure" in told:
            raise RuntimeError(f"decoding failed:\n{told['failure']}")
        if "reason" in told:
            raise MediaError(told["name"], told["reason"])
        jpegs = [connection.recv_bytes() for _ in range(told.pop("num_jpegs"))]
        times = np.array(told.pop("timestamps_us"), np.int64)
        bad = tuple(MediaError(*slide) for slide in told.pop("bad_slides"))
        return SampledFrames(timestamps_us=times, jpegs=jpegs, bad_slides=bad, **told)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            code = _START.format(path=sys.path, module=_SERVER, file=theirs.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._connection = Connection(ours.detach())


def serve(file: int) -> None:
    """Answers until the other side is gone: the work of the process.

    Args:
        file: descriptor of the connection.
    """
    # Ctrl-C reaches every process of the terminal; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    with Connection(file) as connection:
        try:
            while True:
                _answer(connection)
        except (EOFError, ConnectionError):
            os._exit(0)  # without waiting for the libraries' threads


def _answer(connection: Connection) -> None:
    asked = json.loads(connection.recv_bytes())
    try:
        sampled = sample_media(
            [Path(file) for file in asked["files"]],
            SamplingConfig(**asked["config"]),
            is_slideshow=asked["is_slideshow"],
        )
    except MediaError as error:
        _tell(connection, {"name": error.name, "reason": error.reason})
        return
    except Exception:
        import traceback

        _tell(connection, {"failure": traceback.format_exc()})
        return
    _tell(
        connection,
        {
            "timestamps_us": sampled.timestamps_us.tolist(),
            "num_jpegs": len(sampled.jpegs),
            "duration_us": sampled.duration_us,
            "source_num_frames": sampled.source_num_frames,
            "height": sampled.height,
            "width": sampled.width,
            "bad_slides": [(bad.name, bad.reason) for bad in sampled.bad_slides],
        },
    )
    for jpeg in sampled.jpegs:
        connection.send_bytes(jpeg)


def _tell(connection: Connection, content: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(content).encode("ascii"))
