"""requirements_lock.txt, which Bazel installs from, against pyproject.toml."""

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_HOW = "run the command at the top of requirements_lock.txt"


@pytest.fixture(scope="module")
def locked(root):
    """The locked versions by name: more than one where they differ between machines."""
    versions = {}
    for line in (root / "requirements_lock.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            requirement = Requirement(line)
            [pin] = requirement.specifier
            assert pin.operator == "=="
            name = canonicalize_name(requirement.name)
            versions.setdefault(name, []).append(pin.version)
    return versions


def test_every_dependency_is_locked_within_its_bounds(root, locked):
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *(text for e in extras.values() for text in e)]
    requirements = [Requirement(text) for text in texts]
    assert len(requirements) > 40
    wrong = {
        str(requirement): locked.get(canonicalize_name(requirement.name))
        for requirement in requirements
        if requirement.name != project["name"]  # the extra `all`
        and not _fits(requirement, locked)
    }
    assert wrong == {}, _HOW


def _fits(requirement, locked):
    versions = locked.get(canonicalize_name(requirement.name), [])
    return bool(versions) and all(map(requirement.specifier.contains, versions))


def test_the_lock_is_for_every_python_and_extra(root):
    command = (root / "requirements_lock.txt").read_text("utf-8").splitlines()[1]
    for flag in ("--universal", "--python-version=3.11", "--extra=all"):
        assert flag in command.split()
