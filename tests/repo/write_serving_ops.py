"""Writes dc_keras/serving/serving_ops.json, the ops of stock tensorflow/serving:

    python tests/repo/write_serving_ops.py

For a new release of the server, add a line to _RELEASES and run it. It downloads each
wheel with pip (about 250 MB, one at a time, into a temporary directory), reads it
without installing it, and deletes it.

An op of the core counts if a generated wrapper under tensorflow/python calls it; those
of gen_script_ops.py do not: they call back into the Python that made the graph. The
attributes of an op come from the same wrappers; only those that a later release added
to an older op are kept. An op of TF-Text counts if its whole name stands in a library
of the wheel; candidates are the ops of the installed TF-Text and all names `TFText>…`.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar
from zipfile import ZipFile

_TARGET = Path(__file__).parents[2] / "dc_keras/serving/serving_ops.json"
# Release of the server, its TensorFlow, and the TF-Text that its image links. There is
# no image of the last one whose TF-Text was checked: it gives attributes alone.
_RELEASES = (
    ("2.13", "2.13.0", "2.12.1"),
    ("2.14", "2.14.0", "2.12.1"),
    ("2.15", "2.15.0", "2.12.1"),
    ("2.16", "2.16.1", "2.12.1"),
    ("2.17", "2.17.0", "2.12.1"),
    ("2.18", "2.18.0", "2.12.1"),
    ("2.19", "2.19.0", "2.12.1"),
    ("2.20", "2.20.0", "2.20.0"),
    ("2.21", "2.21.0", None),
)
_WRAPPERS = re.compile(r"tensorflow/python/.*\bgen_(?!script_ops)\w+\.py")
_VERSION = re.compile(r"#define TF_GRAPH_DEF_VERSION (\d+)")
_WORD = re.compile(rb"[\w>]+(?=\0)")

Ops = dict[str, set[str]]
Found = TypeVar("Found")


def read_wrappers(text: str) -> Ops:
    """Returns the ops that a generated module calls, and the attributes of each."""
    found: Ops = defaultdict(set)
    for function in ast.parse(text).body:
        if isinstance(function, ast.FunctionDef):
            for name in _called_ops(function):
                found[name] |= _attributes(function)
    return found


def _called_ops(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.args[0].value if _starts_with_text(node) else None
            if node.func.attr == "_apply_op_helper" and isinstance(name, str):
                yield name
            elif node.func.attr == "execute" and isinstance(name, bytes):
                yield name.decode()


def _starts_with_text(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant)


def _attributes(function: ast.FunctionDef) -> set[str]:
    """Returns the names in `_attrs = ("T", …, "N", …)`."""
    return {
        key.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "_attrs"
        and isinstance(node.value, ast.Tuple)
        for key in node.value.elts[::2]
    }


def _read_core(wheel: ZipFile) -> tuple[Ops, int]:
    """Returns the ops of a TensorFlow and the version of its graphs."""
    ops: Ops = defaultdict(set)
    version = 0
    for name in wheel.namelist():
        if _WRAPPERS.fullmatch(name):
            for op, attributes in read_wrappers(wheel.read(name).decode()).items():
                ops[op] |= attributes
        elif name == "tensorflow/include/tensorflow/core/public/version.h":
            version = int(_VERSION.search(wheel.read(name).decode())[1])
    return ops, version


def _read_text(wheel: ZipFile) -> list[str]:
    words: set[str] = set()
    for name in wheel.namelist():
        if name.endswith(".so"):
            words |= {word.decode() for word in _WORD.findall(wheel.read(name))}
    of_text = {word for word in words if word.startswith("TFText>")}
    return sorted(of_text | (words & _installed_text_ops()))


@cache
def _installed_text_ops() -> set[str]:
    core = _registered_ops()
    import tensorflow_text  # noqa: F401  registers its ops

    return _registered_ops() - core


def _registered_ops() -> set[str]:
    import tensorflow as tf  # noqa: F401
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    ops = op_def_pb2.OpList()
    ops.ParseFromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    return {op.name for op in ops.op}


def _download(requirement: str, directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version=3.11", "--dest", directory]
    subprocess.run([*command, requirement], check=True)
    (wheel,) = directory.glob("*.whl")
    return wheel


def _read(
    requirement: str, reader: Callable[[ZipFile], Found], wheels: list[str]
) -> Found:
    with tempfile.TemporaryDirectory() as directory:
        wheel = _download(requirement, Path(directory))
        wheels.append(wheel.name)
        with ZipFile(wheel) as content:
            return reader(content)


def build() -> dict[str, object]:
    """Returns what the file should hold: each release over the one before it."""
    wheels: list[str] = []
    texts = sorted({text for _, _, text in _RELEASES if text})
    text_ops = {
        text: _read(f"tensorflow-text=={text}", _read_text, wheels) for text in texts
    }
    releases, before = {}, None
    for release, core, text in _RELEASES:
        ops, version = _read(f"tensorflow-cpu=={core}", _read_core, wheels)
        releases[release] = {
            "tensorflow": core,
            "tensorflow_text": text,
            "graph_def_version": version,
            **_compare(ops, ops if before is None else before, before is None),
        }
        before = ops
    return {
        "written_by": "tests/repo/write_serving_ops.py",
        "wheels": wheels,
        "releases": releases,
        "text_ops": text_ops,
    }


def _compare(ops: Ops, before: Ops, is_first: bool) -> dict[str, object]:
    attributes = {
        op: sorted(ops[op] - before[op]) for op in sorted(ops.keys() & before.keys())
    }
    return {
        "added": sorted(ops if is_first else ops.keys() - before.keys()),
        "removed": sorted(before.keys() - ops.keys()),
        "added_attributes": {op: names for op, names in attributes.items() if names},
    }


def render(content: dict[str, object]) -> str:
    """Returns the text of the file, with each list on a line."""
    text = json.dumps(content, indent=1)
    return (
        re.sub(r"\[[^][{}]*\]", lambda found: " ".join(found[0].split()), text) + "\n"
    )


if __name__ == "__main__":
    _TARGET.write_text(render(build()), "utf-8")
