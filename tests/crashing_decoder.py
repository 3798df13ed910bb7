"""A decoder that ends its process at some files; such a process imports this."""

import os
import signal

from tfrecords import decoding_process, frame_sampling

_sample_frames = frame_sampling.sample_frames


def write_elsewhere(versions, job):
    """Writes a shard on a cluster with such a decoder."""
    from tfrecords import frame_runner  # TensorFlow, which takes seconds

    decoding_process._SERVER = "crashing_decoder"
    return frame_runner._write_elsewhere(versions, job)


def serve(file):
    """Decodes, and dies of files whose names say so."""
    frame_sampling.sample_frames = _sample_or_crash
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
