"""A decoder that ends its process at some files: a module that workers can import."""

import os

from tfrecords import frame_records, runner

_sample = frame_records.sample_frames


def write_in_worker(job):
    """Writes a shard where the decoder dies of every file named crash….mp4."""
    frame_records.sample_frames = _sample_or_crash
    return runner._write_in_worker(job)


def _sample_or_crash(path, config):
    if path.name.startswith("crash"):
        os.abort()
    return _sample(path, config)
