"""Loads the ops that each stock tensorflow/serving release supports.

The lists are in serving_ops.json, which tests/repo/write_serving_ops.py writes from
wheels: the ops of TensorFlow of the same version, and those of the TF-Text version that
the image links.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from dc_keras.errors import DataError


@dataclass(frozen=True)
class Release:
    """A stock image of tensorflow/serving.

    Attributes:
        name: the minor version, "2.19"; patch versions have the same ops.
        tensorflow_text: version of its TF-Text.
        graph_def_version: TF_GRAPH_DEF_VERSION of its TensorFlow.
        ops: names of the supported ops.
        later_attributes: for each op, the attributes that were added after this
            release. The release does not load a node with such an attribute.
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
    name = ".".join(target.split(".")[:2])
    if name not in releases:
        raise DataError(
            f"a serving release must be one of {', '.join(releases)}. "
            f"Received: target={target!r}"
        )
    return releases[name]
