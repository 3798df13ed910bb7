"""Writes BUILD from the tree. Run it after adding a file or an import:

    python tests/repo/write_build.py

Each package gets a py_library (the packages inside a part of dc_keras belong to that
part: they import each other), each script a py_binary, each test file a py_test, each
package from PyPI a stand-in. Nothing is imported: what a file needs is read from its
syntax tree, and, in tests, from strings such as "pipelines.train", which are run.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

_ROOT = Path(__file__).parents[2]
_TREES = ("dc_keras", "tfrecords", "pipelines", "benchmarks", "tests")
_RUN_PYTEST = "tests/repo/run_pytest.py"
_DATA = ("presets", "studies")
# Distributions whose name is not that of the module.
_DISTRIBUTIONS = {
    "absl": "absl-py",
    "cv2": "opencv-python-headless",
    "google": "protobuf",
    "markdown_it": "markdown-it-py",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
_HEADER = '''\
"""Targets of dc_keras, written by tests/repo/write_build.py."""

load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

package(default_visibility = ["//visibility:private"])
'''
_REPOSITORY = """
# What the tests of the repository itself read.
filegroup(
    name = "repository",
    srcs = glob(
        ["**"],
        exclude = [
            ".git/**",
            ".venv/**",
            "build/**",
            "demo/**",
        ],
    ),
)
"""


@dataclass
class Target:
    """A rule of BUILD; `srcs` are paths relative to the root, `deps` target names."""

    rule: str
    name: str
    srcs: list[str]
    args: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    main: str | None = None
    visibility: list[str] = field(default_factory=list)
    deps: set[str] = field(default_factory=set)

    def render(self) -> str:
        """Returns the rule as buildifier would write it."""
        attributes = [
            ("name", f'"{self.name}"'),
            ("srcs", _render_list(_sorted(self.srcs))),
            ("args", _render_list(self.args)),
            ("data", _render_list(_sorted(self.data))),
            ("main", "" if self.main is None else f'"{self.main}"'),
            ("visibility", _render_list(self.visibility)),
            ("deps", _render_list(_sorted([f":{name}" for name in self.deps]))),
        ]
        lines = [f"    {name} = {value},\n" for name, value in attributes if value]
        return f"\n{self.rule}(\n{''.join(lines)})\n"


def _sorted(values: list[str]) -> list[str]:
    """Returns labels in buildifier's order: targets last, dots before letters."""
    return sorted(values, key=lambda v: (v[0] == ":", v.replace(":", ".").split(".")))


def _render_list(values: list[str]) -> str:
    if len(values) < 2:
        return f'["{values[0]}"]' if values else ""
    return "[\n" + "".join(f'        "{value}",\n' for value in values) + "    ]"


@cache
def _files(pattern: str) -> tuple[str, ...]:
    """Returns the files that fit, relative to the root, sorted."""
    paths = (path for path in _ROOT.glob(pattern) if path.is_file())
    return tuple(sorted(path.relative_to(_ROOT).as_posix() for path in paths))


@cache
def _tree(path: str) -> ast.Module:
    return ast.parse((_ROOT / path).read_text("utf-8"))


def _is_script(path: str) -> bool:
    return any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        for node in _tree(path).body
    )


def _names_a_script(node: ast.AST) -> bool:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_text and bool(re.fullmatch(r"pipelines\.\w+", node.value))


def _imports(path: str) -> Iterator[str]:
    """Yields the dotted names that a file imports, or runs from a test by name."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif path.startswith("tests/") and _names_a_script(node):
            yield node.value


def _modules(name: str) -> Iterator[str]:
    """Yields the files of ours that importing a dotted name runs."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        stem = "/".join(parts[:length])
        for path in (f"{stem}/__init__.py", f"{stem}.py"):
            if (_ROOT / path).is_file():
                yield path


def _owner(path: str) -> str:
    """Returns the target that a module of ours belongs to."""
    if _is_script(path):
        stem = PurePosixPath(path).stem
        return f"benchmarks_{stem}" if path.startswith("benchmarks/") else stem
    return "_".join(PurePosixPath(path).parent.parts[:2])


def _deps(target: Target) -> set[str]:
    """Returns the targets that the sources of a target import."""
    deps = set()
    for name in (name for path in target.srcs for name in _imports(path)):
        top = name.split(".")[0]
        if top in _TREES:
            deps |= {_owner(path) for path in _modules(name)}
        elif not _beside_tests(name) and top not in sys.stdlib_module_names:
            deps.add(_pip_target(_DISTRIBUTIONS.get(top, top)))
    return deps - {target.name}


def _pip_target(distribution: str) -> str:
    return "pip_" + distribution.lower().replace("-", "_")


def _libraries() -> list[Target]:
    sources = defaultdict(list)
    for path in (path for tree in _TREES[:-1] for path in _files(f"{tree}/**/*.py")):
        if not _is_script(path):
            sources[_owner(path)].append(path)
    public = ["//visibility:public"]
    return [
        Target("py_library", name, paths, data=_beside(paths), visibility=public)
        for name, paths in sorted(sources.items())
    ]


def _beside(paths: list[str]) -> list[str]:
    """Returns the templates and tables that lie beside the modules of a library."""
    folders = sorted({PurePosixPath(path).parent.as_posix() for path in paths})
    kinds = ("templates/*", "*.json")
    return [
        f for folder in folders for kind in kinds for f in _files(f"{folder}/{kind}")
    ]


def _binaries() -> list[Target]:
    scripts = [
        path
        for tree in _TREES
        for path in _files(f"{tree}/**/*.py")
        if _is_script(path) and path != _RUN_PYTEST
    ]
    return [
        Target("py_binary", _owner(path), [path, *_all_beside(path)], main=path)
        for path in scripts
    ]


def _tests() -> list[Target]:
    return [_test(path) for path in _files("tests/**/*_test.py")]


def _test(path: str) -> Target:
    parents = PurePosixPath(path).parents
    conftests = [
        f"{p}/conftest.py" for p in parents if (_ROOT / p / "conftest.py").is_file()
    ]
    return Target(
        "py_test",
        "_".join(PurePosixPath(path).with_suffix("").parts[1:]),
        [path, _RUN_PYTEST, *conftests, *_all_beside(path, *conftests)],
        args=[path],
        data=["pyproject.toml", *_test_data(path)],
        main=_RUN_PYTEST,
    )


def _all_beside(*paths: str) -> list[str]:
    """Returns the modules of tests/ that some files import, and those that these do."""
    names = [name for path in paths for name in _imports(path)]
    beside: list[str] = []
    for name in names:
        found = _beside_tests(name)
        if found and found not in (*paths, *beside):
            beside.append(found)
            names += _imports(found)
    return beside


def _beside_tests(name: str) -> str | None:
    """Returns the module of tests/ that an import names: pytest finds it by its name."""
    path = f"tests/{name.partition('.')[0]}.py"
    return path if (_ROOT / path).is_file() else None


def _test_data(path: str) -> list[str]:
    if path.startswith("tests/repo/"):
        return [":repository"]
    texts = {
        node.value.split("/")[0]
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return [f":{name}" for name in _DATA if name in texts]


def _data() -> list[Target]:
    public = ["//visibility:public"]
    return [
        Target("filegroup", name, list(_files(f"{name}/*")), visibility=public)
        for name in _DATA
    ]


def build_text() -> str:
    """Returns what BUILD should hold."""
    targets = [*_libraries(), *_binaries(), *_tests()]
    for target in targets:
        target.deps = _deps(target)
    pip = sorted({dep for t in targets for dep in t.deps if dep.startswith("pip_")})
    stand_ins = [Target("py_library", name, []) for name in pip]
    rules = "".join(target.render() for target in [*_data(), *targets, *stand_ins])
    return _HEADER + _REPOSITORY + rules


if __name__ == "__main__":
    (_ROOT / "BUILD").write_text(build_text(), "utf-8")
