"""Writes, reads and verifies frames and features as TFRecords.

Example:
    dataset = tfrecords.frames_dataset("run/frames")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrecords.reader import frames_dataset

__all__ = ["frames_dataset"]


def __getattr__(name: str) -> Any:
    if name != "frames_dataset":
        raise AttributeError(f"module 'tfrecords' has no attribute {name!r}")
    return import_module("tfrecords.reader").frames_dataset


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
