"""What makes two exports of one model equal to the byte, so that they compare."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

_FINGERPRINT = "fingerprint.pb"


def order_variables(graph: Any) -> None:
    """Orders the variables of a traced function as it captures them.

    TensorFlow lists them in the order of a set of objects, by where these happen to lie
    in memory, and the SavedModel would be written in this order.

    Args:
        graph: the `FuncGraph` of the function.
    """
    order = {id(tensor): i for i, tensor in enumerate(graph.external_captures)}
    last = len(order)
    graph.variables = sorted(
        graph.variables, key=lambda v: (order.get(id(v.handle), last), v.name)
    )


def name_by_content(place: Path) -> None:
    """Gives a SavedModel the same random name whenever it has the same content.

    Its fingerprint.pb has checksums of its parts, and a number drawn at random beside
    them: this is replaced by one that follows from the checksums.

    Args:
        place: directory of the SavedModel.
    """
    from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef

    path = place / _FINGERPRINT
    if not path.exists():
        return
    found = FingerprintDef()
    found.ParseFromString(path.read_bytes())
    checksums = (
        found.saved_model_checksum,
        found.graph_def_program_hash,
        found.signature_def_hash,
        found.saved_object_graph_hash,
        found.checkpoint_hash,
    )
    text = "-".join(map(str, checksums))
    found.uuid = str(int(hashlib.sha256(text.encode()).hexdigest()[:32], 16))
    path.write_bytes(found.SerializeToString(deterministic=True))
