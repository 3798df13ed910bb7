"""Checks which stock tensorflow/serving releases can load a SavedModel.

A server supports the ops that are compiled into it. It loads a graph of a newer
TensorFlow if the graph uses no other op and no attribute that was added to an op later
("NodeDef mentions attr …", tensorflow/serving #1757). Saving strips attributes with
default values, so a later attribute in the graph is an error. The `min_consumer` of the
GraphDef is checked too. The element types of kernels are not checked.

The ops of each release are in serving_ops.json, which tests/repo/write_serving_ops.py
writes from wheels: the ops of TensorFlow of the same version, and those of the TF-Text
version that the image links.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from dc_keras.errors import DataError
from dc_keras.serving.saved_graph import called_names, read_graph, upstream_nodes

# The part of the graph that restores variables and fills tables at loading.
LOADING = "(loading)"
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


@dataclass(frozen=True)
class Release:
    """A stock image of tensorflow/serving.

    Attributes:
        name: the minor version, "2.19"; patch versions have the same ops.
        tensorflow_text: version of its TF-Text.
        graph_def_version: TF_GRAPH_DEF_VERSION of its TensorFlow.
        ops: names of the supported ops.
        later_attributes: for each op, the attributes that were added after this
            release, which does not load a node with such an attribute.
    """

    name: str
    tensorflow_text: str
    graph_def_version: int
    ops: frozenset[str]
    later_attributes: Mapping[str, frozenset[str]]


@cache
def load_releases() -> tuple[Release, ...]:
    """Returns the known releases, oldest first."""
    file = resources.files("dc_keras.serving") / "serving_ops.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    core: set[str] = set()
    releases = []
    for name, row in content["releases"].items():
        core = (core | set(row["added"])) - set(row["removed"])
        # The list has TensorFlow versions without an image with a known TF-Text.
        if row["tensorflow_text"] is not None:
            release = Release(
                name=name,
                tensorflow_text=row["tensorflow_text"],
                graph_def_version=row["graph_def_version"],
                ops=frozenset(core | set(content["text_ops"][row["tensorflow_text"]])),
                later_attributes=_later_attributes(content["releases"], name),
            )
            releases.append(release)
    return tuple(releases)


def _later_attributes(
    rows: Mapping[str, Mapping[str, Mapping[str, list[str]]]], name: str
) -> dict[str, frozenset[str]]:
    later: dict[str, frozenset[str]] = {}
    names = list(rows)
    for after in names[names.index(name) + 1 :]:
        for op, attributes in rows[after]["added_attributes"].items():
            later[op] = later.get(op, frozenset()) | frozenset(attributes)
    return later


def find_release(target: str) -> Release:
    """Returns the release of a version such as "2.19" or "2.19.1".

    Raises:
        DataError: the release is unknown.
    """
    releases = {release.name: release for release in load_releases()}
    name = ".".join(str(target).split(".")[:2])
    if name not in releases:
        raise DataError(
            f"a serving release must be one of {', '.join(releases)}. "
            f"Received: target={target!r}"
        )
    return releases[name]


@dataclass(frozen=True)
class Use:
    """The first use of an op or attribute in a signature.

    Attributes:
        what: an op, "TFText>RoundRobinTrim", or an attribute, "MatMul.grad_a".
        signature: name of the signature, or `LOADING`.
        layer: names of the nodes from the signature inwards, joined by " > " at
            function calls; Keras includes the names of layers in them.
    """

    what: str
    signature: str
    layer: str


@dataclass(frozen=True)
class OpAudit:
    """The ops of a SavedModel, and those that each release lacks.

    Attributes:
        trained_with: version of the TensorFlow that made the graph.
        signatures: the sorted ops of each signature.
        missing: the uses that each release does not support; empty if the release can
            load the model.
        warnings: limits of the audit, one line each.
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
    """Checks every op of a SavedModel against all known releases.

    The audit has a warning if the `target` is older than the TensorFlow of the graph.

    Raises:
        DataError: `place` contains no SavedModel for serving, or `target` is unknown.
    """
    graph = read_graph(place / "saved_model.pb")
    functions = {f.signature.name: f for f in graph.graph_def.library.function}
    uses = {name: _collect(nodes, functions) for name, nodes in _parts(graph).items()}
    trained_with = graph.meta_info_def.tensorflow_version
    return OpAudit(
        trained_with=trained_with,
        signatures={
            name: tuple(sorted({op for op, _ in pairs})) for name, pairs in uses.items()
        },
        missing={
            release.name: tuple(_find_missing(release, graph.graph_def.versions, uses))
            for release in load_releases()
        },
        warnings=() if target is None else _warn(trained_with, find_release(target)),
    )


def require_target(audit: OpAudit, target: str) -> None:
    """Raises an error if a release, for example "2.19", cannot load an audited model.

    Raises:
        DataError: the release cannot load the model, or is unknown.
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
            f"{rule}; supported by: {', '.join(audit.supported_by) or 'no release'}. "
            f"Received: op={first.what} in layer={first.layer!r} of "
            f"signature={first.signature!r}" + (f" and {more} more" * (more > 0))
        )


def _parts(graph: Any) -> dict[str, list[Any]]:
    """Returns the nodes of the outer graph by signature; the others are `LOADING`."""
    nodes = {node.name: node for node in graph.graph_def.node}
    parts = {
        name: upstream_nodes(nodes, (info.name for info in signature.outputs.values()))
        for name, signature in sorted(graph.signature_def.items())
    }
    reached = {node.name for part in parts.values() for node in part}
    parts[LOADING] = [node for node in nodes.values() if node.name not in reached]
    return parts


def _collect(
    nodes: Iterable[Any], functions: Mapping[str, Any]
) -> dict[tuple[str, str], str]:
    """Returns the layer of the first use of each (op, "") and (op, attribute)."""
    first: dict[tuple[str, str], str] = {}
    for node, layer in _walk(nodes, functions):
        for attribute in ("", *node.attr):
            first.setdefault((node.op, attribute), layer)
    return first


def _walk(
    nodes: Iterable[Any], functions: Mapping[str, Any]
) -> Iterator[tuple[Any, str]]:
    """Yields the nodes and those of the functions they call, each function once."""
    entered: set[str] = set()
    waiting = deque([("", nodes)])
    while waiting:
        outside, inside = waiting.popleft()
        for node in inside:
            layer = _join(outside, node.name)
            if node.op not in functions:
                yield node, layer
            for name in called_names(node):
                if name in functions and name not in entered:
                    entered.add(name)
                    waiting.append((layer, functions[name].node_def))


def _join(outside: str, name: str) -> str:
    callers, _, last = outside.rpartition(" > ")
    scope, _, call = last.rpartition("/")
    if call.startswith(_CALLS):
        last = scope
    # The nodes of a loop's body repeat the name of the loop.
    if name.startswith(f"{last}/"):
        last = ""
    return " > ".join(part for part in (callers, last, name) if part)


def _find_missing(
    release: Release, versions: Any, uses: Mapping[str, Mapping[tuple[str, str], str]]
) -> Iterator[Use]:
    """Yields the uses that a release does not support, for each signature."""
    if versions.min_consumer > release.graph_def_version:
        yield Use(f"GraphDef version {versions.min_consumer}", LOADING, "")
    for signature, pairs in uses.items():
        for (op, attribute), layer in pairs.items():
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
        "kernels were not; test the bundle on the server before use",
    )


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
