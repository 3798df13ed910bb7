"""Reads the graph of a SavedModel, and finds what a signature needs of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from dc_keras.errors import DataError

_SERVING_TAG = "serve"


def read_graph(file: Path) -> Any:
    """Returns the MetaGraphDef with the serving tag of a file saved_model.pb.

    Raises:
        DataError: the file contains no SavedModel for serving.
    """
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(file.read_bytes())
    except (OSError, DecodeError) as error:
        raise DataError(f"{file} must be a SavedModel: {error}") from None
    for graph in model.meta_graphs:
        if _SERVING_TAG in graph.meta_info_def.tags:
            return graph
    raise DataError(f"{file} must hold a graph with the tag {_SERVING_TAG!r}")


def upstream_nodes(nodes: Mapping[str, Any], tensors: Iterable[str]) -> list[Any]:
    """Returns the nodes that the tensors, "name:0" or "^name", depend on."""
    found: dict[str, Any] = {}
    waiting = list(tensors)
    while waiting:
        name = node_name(waiting.pop())
        if name in nodes and name not in found:
            found[name] = nodes[name]
            waiting += nodes[name].input
    return list(found.values())


def node_name(tensor: str) -> str:
    """Returns the name of the node of a tensor, "name:0" or "^name"."""
    return tensor.removeprefix("^").split(":")[0]


def called_names(node: Any) -> Iterator[str]:
    """Yields the names of functions that a node may call, such as loop bodies."""
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


def called_functions(nodes: Iterable[Any], functions: Mapping[str, Any]) -> list[Any]:
    """Returns those of all functions by name that nodes call, also through others."""
    found: dict[str, Any] = {}
    waiting = list(nodes)
    while waiting:
        for name in called_names(waiting.pop()):
            if name in functions and name not in found:
                found[name] = functions[name]
                waiting += functions[name].node_def
    return list(found.values())
