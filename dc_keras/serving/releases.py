"""Which ops each stock tensorflow/serving release can run.

The lists are in serving_ops.json, which tests/repo/write_serving_ops.py reads out of
wheels: the ops of the TensorFlow of the same version, and those of the TF-Text that the
image links.
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
        name: its minor version, "2.19"; patches have the same ops.
        tensorflow_text: version of TF-Text in it.
        graph_def_version: TF_GRAPH_DEF_VERSION of its TensorFlow.
        ops: what it can run.
        later_attributes: op to attributes that the op got after this release. A node
            that has one is refused at loading.
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
        # TensorFlow is there before an image whose TF-Text is known.
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
        DataError: it is not known.
    """
    releases = {release.name: release for release in load_releases()}
    name = ".".join(target.split(".")[:2])
    if name not in releases:
        raise DataError(
            f"a serving release must be one of {', '.join(releases)}. "
            f"Received: target={target!r}"
        )
    return releases[name]
