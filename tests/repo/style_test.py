import ast
import re
from collections import Counter

import pytest

_PACKAGES = ("dc_keras", "tfrecords", "pipelines")
_TREES = (*_PACKAGES, "tests", "benchmarks")
_TOP_LEVEL = {
    *_TREES,
    *(".ci", "docs", "presets", "studies"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "CITATION.cff"),
    *("BUILD", "MODULE.bazel", "Makefile", "pyproject.toml", "setup.py", "mkdocs.yml"),
    *("REPO.bazel", ".bazelignore", "requirements_lock.txt", ".gitignore"),
}
_VAGUE = {"utils", "util", "helpers", "helper", "misc", "common"}
_MOST_LINES = 400
# Its unpickler builds nothing but dictionaries and tensors; its tests write such files.
_OF_PYTORCH = {
    "dc_keras/encoders/torch_file.py",
    "tests/dc_keras/encoders/conftest.py",
    "tests/dc_keras/encoders/torch_file_test.py",
}
_UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def _modules(root, trees=_TREES):
    return sorted(path for tree in trees for path in (root / tree).rglob("*.py"))


def _ignored(root):
    """Returns the patterns of .gitignore, as regular expressions of a top-level name."""
    lines = (root / ".gitignore").read_text("utf-8").split()
    return [re.escape(line.strip("/")).replace(r"\*", ".*") for line in lines]


def test_top_level_is_the_layout(root):
    ignored = [*_ignored(root), r"\.git"]
    names = {
        path.name
        for path in root.iterdir()
        if not any(re.fullmatch(pattern, path.name) for pattern in ignored)
    }
    assert names == _TOP_LEVEL


def test_no_file_has_a_vague_name(root):
    assert not [path for path in _modules(root) if path.stem.strip("_") in _VAGUE]


def test_a_module_name_stands_for_one_thing(root):
    names = Counter(
        path.stem
        for path in _modules(root, ("dc_keras", "tfrecords"))
        if path.name != "__init__.py"
    )
    # The library offers the errors of the records under its own name.
    assert {name for name, count in names.items() if count > 1} == {"errors"}


@pytest.mark.parametrize("package", _PACKAGES)
def test_modules_can_be_read_at_a_sitting(root, package):
    lengths = {
        str(path.relative_to(root)): len(path.read_text("utf-8").splitlines())
        for path in _modules(root, (package,))
    }
    assert {n: lines for n, lines in lengths.items() if lines > _MOST_LINES} == {}


def test_tests_are_no_packages(root):
    # A distribution that installs a top-level `tests` would shadow or be shadowed.
    assert not list((root / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("tree", _TREES)
def test_nothing_is_unpickled(root, tree):
    for path in _modules(root, (tree,)):
        if str(path.relative_to(root)) in _OF_PYTORCH:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            assert not _imports(node) & _UNSAFE, f"{path}:{node.lineno}"
            assert not _allows_pickle(node), f"{path}:{node.value.lineno}"


def _imports(node):
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module is not None:
        return {node.module.split(".")[0]}
    return set()


def _allows_pickle(node):
    return (
        isinstance(node, ast.keyword)
        and node.arg == "allow_pickle"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    )


@pytest.mark.parametrize(
    ("written", "home"),
    [
        # Elsewhere they would print characters that a terminal obeys.
        (r"\bsys\.std(?:out|err)\.write\(", {"pipelines/_cli/app.py"}),
        (r"\.write_csv\(|\bcsv\.writer\(", {"dc_keras/escaping.py"}),
    ],
)
def test_text_from_data_leaves_by_one_door(root, written, home):
    found = {
        str(path.relative_to(root))
        for path in _modules(root, _PACKAGES)
        if re.search(written, path.read_text("utf-8"))
    }
    assert found == home
