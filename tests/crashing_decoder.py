"""A decoder that ends its process at some files; such a process imports this."""

import os
import signal

from tfrecords import frame_sampling as frames

from tfrecords import decoding_process

_sample_frames = frames.sample_frames


def write_elsewhere(versions, job):
    """Writes a shard on a cluster with such a decoder."""
    # TensorFlow would cost each process that decodes seconds.
    from tfrecords import frame_runner as runner

    decoding_process._SERVER = "crashing_decoder"
    return runner._write_elsewhere(versions, job)


def serve(file):
    """Decodes, and dies of files whose names say so."""
    frames.sample_frames = _sample_or_crash
    decoding_process.serve(file)


def _sample_or_crash(path, config):
    if path.name.startswith("crash"):
        os.abort()
    if path.name.startswith("large"):  # what the kernel does when memory runs out
        os.kill(os.getpid(), signal.SIGKILL)
    if (
        path.name.startswith("once")
        and not (mark := path.with_suffix(".mark")).exists()
    ):
        mark.touch()
        os.abort()
    if path.name.startswith("mistake"):
        raise KeyError("a mistake of ours")
    return _sample_frames(path, config)
