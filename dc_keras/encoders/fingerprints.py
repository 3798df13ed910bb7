"""What makes two encoders the same: the hash that features carry with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def fingerprint(identity: Mapping[str, Any], weights: Iterable[Any]) -> str:
    """Returns the sha256 hex over an encoder's identity and its weights.

    Args:
        identity: JSON values; what shapes the output besides the weights. No paths:
            the same encoder from another place is the same.
        weights: variables in a fixed order; dtype, shape and bytes count, names do not.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for weight in weights:
        array = np.ascontiguousarray(weight.numpy())
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
