import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import find_packages

from dc_keras import __version__

_OWN = ("dc_keras", "tfrecords", "pipelines")
_EXTRAS = ("collect", "report", "cluster", "openvino", "serving", "social")


@pytest.fixture(scope="module")
def pyproject(root):
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def requirements(pyproject):
    """What the library may import: always, and with an extra."""
    project = pyproject["project"]
    extras = project["optional-dependencies"]
    used = [text for name in _EXTRAS for text in extras[name]]
    return [*project["dependencies"], *used]


def _names(requirements):
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def _imported(root, packages):
    """Returns the top-level names that some of our packages import."""
    names = set()
    for path in (
        path for package in packages for path in (root / package).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                names.add(node.module.split(".")[0])
    return names


def test_wheel_holds_our_packages_and_no_tests(root, pyproject):
    include = pyproject["tool"]["setuptools"]["packages"]["find"]["include"]
    found = set(find_packages(str(root), include=include))
    folders = {
        ".".join(path.parent.relative_to(root).parts)
        for package in _OWN
        for path in (root / package).rglob("*.py")
    }
    assert found == folders, "a folder of modules without an __init__.py is left out"
    assert {name.split(".")[0] for name in found} == set(_OWN)


def test_wheel_holds_every_file_beside_our_modules(root, pyproject):
    declared = pyproject["tool"]["setuptools"]["package-data"]
    packed = {
        path
        for package, patterns in declared.items()
        for pattern in patterns
        for path in (root / package.replace(".", "/")).glob(pattern)
    }
    beside = {
        path
        for package in _OWN
        for path in (root / package).rglob("*")
        if path.is_file()
        and path.suffix not in {".py", ".pyc"}
        and path.name != "BUILD"
    }
    assert packed == beside != set()


def test_all_is_every_extra(pyproject):
    extras = pyproject["project"]["optional-dependencies"]
    [text] = extras["all"]
    assert Requirement(text).extras == set(extras) - {"all"}


def test_version_has_one_home(root, pyproject):
    assert "version" not in pyproject["project"]
    assert pyproject["project"]["dynamic"] == ["version"]
    attribute = pyproject["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert attribute == "dc_keras.version.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("CHANGELOG.md", r"^## \[(\d+\.\d+\.\d+)\]"),
        ("CITATION.cff", r"^version: (\S+)"),
    ],
)
def test_version_is_told_right(root, file, pattern):
    told = re.search(pattern, (root / file).read_text("utf-8"), re.M)
    assert told.group(1) == __version__


def test_what_the_library_imports_is_a_declared_dependency(root, requirements):
    distributions = packages_distributions()
    declared = _names(requirements)
    undeclared = {
        name
        for name in _imported(root, _OWN) - set(_OWN) - sys.stdlib_module_names
        if not declared & {canonicalize_name(d) for d in distributions.get(name, [])}
    }
    assert undeclared == set()


def test_dependencies_have_a_lower_and_an_upper_bound(requirements):
    for text in requirements:
        operators = {specifier.operator for specifier in Requirement(text).specifier}
        assert operators == {">=", "<"}, text


def test_makefile_refuses_what_pip_would_refuse(root, pyproject):
    # Makefile: "(3, 11) <= version <= (3, 13)"; pyproject.toml: ">=3.11,<3.14".
    makefile = (root / "Makefile").read_text("utf-8")
    low, high = re.search(r"\(3, (\d+)\) <= version <= \(3, (\d+)\)", makefile).groups()
    assert pyproject["project"]["requires-python"] == f">=3.{low},<3.{int(high) + 1}"


def test_every_python_that_is_claimed_has_a_job(root, pyproject):
    project = pyproject["project"]
    low, high = re.fullmatch(
        r">=3\.(\d+),<3\.(\d+)", project["requires-python"]
    ).groups()
    supported = {f"3.{minor}" for minor in range(int(low), int(high))}
    claimed = {
        text.removeprefix("Programming Language :: Python :: ")
        for text in project["classifiers"]
        if "Python ::" in text
    }
    assert claimed == supported
    [jobs] = re.findall(r"^for python in (.*)$", (root / ".ci/run").read_text(), re.M)
    assert jobs.split() == [f"python{version}" for version in sorted(supported)]
