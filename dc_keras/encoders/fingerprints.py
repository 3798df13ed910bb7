"""Hashes that identify an encoder; they are stored with its features."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def fingerprint(identity: Mapping[str, Any], weights: Iterable[Any]) -> str:
    """Returns the SHA-256, in hex, of an encoder's identity and weights.

    Args:
        identity: JSON values that determine the output besides the weights, without
            paths, so that a copy of the encoder has the same fingerprint.
        weights: variables in a fixed order; their names are not hashed.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for weight in weights:
        array = np.ascontiguousarray(weight.numpy())
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
