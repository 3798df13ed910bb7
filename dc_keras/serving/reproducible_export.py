"""Makes exports reproducible: two exports of one model are identical files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

_FINGERPRINT = "fingerprint.pb"


def order_variables(graph: Any) -> None:
    """Sorts the variables of a traced function by the order of their capture.

    TensorFlow lists them in the order of a set of objects, which depends on memory
    addresses, and writes the SavedModel in this order.

    Args:
        graph: the `FuncGraph` of the function.
    """
    order = {id(tensor): i for i, tensor in enumerate(graph.external_captures)}
    last = len(order)
    graph.variables = sorted(
        graph.variables, key=lambda v: (order.get(id(v.handle), last), v.name)
    )


def set_reproducible_uuid(place: Path) -> None:
    """Replaces the random UUID of a SavedModel by one derived from its content.

    Its fingerprint.pb contains a random number and checksums of the parts. The new
    number is computed from the checksums. Older TensorFlow versions write no such file.

    Args:
        place: directory of the SavedModel.
    """
    from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef

    path = place / _FINGERPRINT
    if not path.exists():
        return
    fingerprint = FingerprintDef()
    fingerprint.ParseFromString(path.read_bytes())
    checksums = (
        fingerprint.saved_model_checksum,
        fingerprint.graph_def_program_hash,
        fingerprint.signature_def_hash,
        fingerprint.saved_object_graph_hash,
        fingerprint.checkpoint_hash,
    )
    text = "-".join(map(str, checksums))
    fingerprint.uuid = str(int(hashlib.sha256(text.encode()).hexdigest()[:32], 16))
    path.write_bytes(fingerprint.SerializeToString(deterministic=True))
