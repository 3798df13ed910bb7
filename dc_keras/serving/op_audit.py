"""Which stock tensorflow/serving releases can load a SavedModel, and what stops others.

A server knows the ops that are compiled into it. A graph of a newer TensorFlow loads if
it uses no other op, and no attribute that an op got later ("NodeDef mentions attr …",
tensorflow/serving #1757): saving strips attributes at their defaults for this reason,
so one that is left is one too many. GraphDef's own `min_consumer` says the rest. What
is not seen here: a kernel that lacks an element type which the newer one has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from dc_keras.errors import DataError
from dc_keras.serving.releases import Release, find_release, load_releases

# What restores variables and fills tables. No signature, but it runs at loading.
LOADING = "(loading)"
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_SERVING_TAG = "serve"


@dataclass(frozen=True)
class Use:
    """Where something first stands in a signature.

    Attributes:
        what: an op, "TFText>RoundRobinTrim"; or an attribute, "MatMul.grad_a".
        signature: name of the signature, or `LOADING`.
        layer: names of the nodes from the signature inwards, " > " where one calls a
            function; Keras puts the names of layers into them.
    """

    what: str
    signature: str
    layer: str


@dataclass(frozen=True)
class OpAudit:
    """What a SavedModel uses, and what each release lacks of it.

    Attributes:
        trained_with: version of the TensorFlow that made the graph.
        signatures: signature to the names of all ops that it reaches, sorted.
        missing: release to what it lacks; empty where it can load the model.
        warnings: what should be known beside, a line each.
    """

    trained_with: str
    signatures: Mapping[str, tuple[str, ...]]
    missing: Mapping[str, tuple[Use, ...]]
    warnings: tuple[str, ...] = ()

    @property
    def supported_by(self) -> tuple[str, ...]:
        """The releases that can load the model, oldest first."""
        return tuple(name for name, uses in self.missing.items() if not uses)

    def to_dict(self) -> dict[str, Any]:
        """Returns the content of op_audit.json."""
        return {
            "trained_with": self.trained_with,
            "supported_by": list(self.supported_by),
            "warnings": list(self.warnings),
            "missing": {
                name: [asdict(use) for use in uses]
                for name, uses in self.missing.items()
            },
            "signatures": {name: list(ops) for name, ops in self.signatures.items()},
        }


def audit_ops(place: Path, target: str | None = None) -> OpAudit:
    """Audits every op of a SavedModel against all known releases.

    Args:
        place: directory of saved_model.pb.
        target: release that the model is for; warns where it is older than the
            TensorFlow that made the graph.

    Raises:
        DataError: `place` holds no SavedModel for serving, or `target` is not known.
    """
    graph = _read_graph(place / "saved_model.pb")
    functions = {f.signature.name: f for f in graph.graph_def.library.function}
    uses = {name: _collect(nodes, functions) for name, nodes in _parts(graph).items()}
    trained_with = graph.meta_info_def.tensorflow_version
    return OpAudit(
        trained_with=trained_with,
        signatures={
            name: tuple(sorted({op for op, _ in found})) for name, found in uses.items()
        },
        missing={
            release.name: tuple(_lacks(release, graph.graph_def.versions, uses))
            for release in load_releases()
        },
        warnings=() if target is None else _warn(trained_with, find_release(target)),
    )


def require_target(audit: OpAudit, target: str) -> None:
    """Refuses a model that a release cannot load.

    Args:
        audit: what `audit_ops` found.
        target: the release, "2.19".

    Raises:
        DataError: the release lacks something, or is not known.
    """
    release = find_release(target)
    missing = audit.missing[release.name]
    if missing:
        first = missing[0]
        rule = (
            f"tensorflow/serving {release.name} (TF-Text {release.tensorflow_text}) "
            "must know every op and attribute of the bundle"
        )
        more = len({use.what for use in missing}) - 1
        raise DataError(
            f"{rule}; {', '.join(audit.supported_by) or 'no release'} would do. "
            f"Received: op={first.what} in layer={first.layer!r} of "
            f"signature={first.signature!r}" + (f" and {more} more" * (more > 0))
        )


def _read_graph(file: Path) -> Any:
    """Returns the MetaGraphDef that a server loads."""
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(file.read_bytes())
    except (OSError, DecodeError) as error:
        raise DataError(f"{file} must be a SavedModel: {error}") from None
    for graph in model.meta_graphs:
        if _SERVING_TAG in graph.meta_info_def.tags:
            return graph
    raise DataError(f"{file} must hold a graph with the tag {_SERVING_TAG!r}")


def _parts(graph: Any) -> dict[str, list[Any]]:
    """Returns the nodes of the outer graph, by the signature that reaches them."""
    nodes = {node.name: node for node in graph.graph_def.node}
    parts = {
        name: _upstream(nodes, (info.name for info in signature.outputs.values()))
        for name, signature in sorted(graph.signature_def.items())
    }
    reached = {node.name for found in parts.values() for node in found}
    parts[LOADING] = [node for node in nodes.values() if node.name not in reached]
    return parts


def _upstream(nodes: Mapping[str, Any], tensors: Iterable[str]) -> list[Any]:
    """Returns the nodes that some tensors, "name:0" or "^name", depend on."""
    found: dict[str, Any] = {}
    waiting = list(tensors)
    while waiting:
        name = waiting.pop().removeprefix("^").split(":")[0]
        if name in nodes and name not in found:
            found[name] = nodes[name]
            waiting += nodes[name].input
    return list(found.values())


def _collect(
    nodes: Iterable[Any], functions: Mapping[str, Any]
) -> dict[tuple[str, str], str]:
    """Returns (op, "") and (op, attribute) of nodes, and where each first stands."""
    found: dict[tuple[str, str], str] = {}
    for node, layer in _walk(nodes, functions):
        for attribute in ("", *node.attr):
            found.setdefault((node.op, attribute), layer)
    return found


def _walk(
    nodes: Iterable[Any], functions: Mapping[str, Any]
) -> Iterator[tuple[Any, str]]:
    """Yields nodes and those of all functions that they call, each function once."""
    entered: set[str] = set()
    waiting = deque([("", nodes)])
    while waiting:
        outside, inside = waiting.popleft()
        for node in inside:
            layer = _join(outside, node.name)
            if node.op not in functions:
                yield node, layer
            for name in _called(node):
                if name in functions and name not in entered:
                    entered.add(name)
                    waiting.append((layer, functions[name].node_def))


def _called(node: Any) -> Iterator[str]:
    """Yields the functions that a node may call: bodies, branches, those of a map."""
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)


def _join(outside: str, name: str) -> str:
    callers, _, last = outside.rpartition(" > ")
    scope, _, call = last.rpartition("/")
    if call.startswith(_CALLS):
        last = scope
    # Bodies of loops repeat the name of the loop.
    if name.startswith(f"{last}/"):
        last = ""
    return " > ".join(part for part in (callers, last, name) if part)


def _lacks(
    release: Release, versions: Any, uses: Mapping[str, Mapping[tuple[str, str], str]]
) -> Iterator[Use]:
    """Yields what a release lacks, an entry a signature."""
    if versions.min_consumer > release.graph_def_version:
        yield Use(f"GraphDef version {versions.min_consumer}", LOADING, "")
    for signature, found in uses.items():
        for (op, attribute), layer in found.items():
            if not attribute and op not in release.ops:
                yield Use(op, signature, layer)
            elif attribute in release.later_attributes.get(op, ()):
                yield Use(f"{op}.{attribute}", signature, layer)


def _warn(trained_with: str, release: Release) -> tuple[str, ...]:
    if _minor(trained_with) <= _minor(release.name):
        return ()
    return (
        f"made by TensorFlow {trained_with} for serving {release.name}: ops, their "
        "attributes and the graph's version were compared, the element types of "
        "kernels were not; try it on the server before use",
    )


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
