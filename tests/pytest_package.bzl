"""A package of tests: one target for each file, run by pytest."""

load("@rules_python//python:defs.bzl", "py_library", "py_test")

_FRAMEWORK = ["@pypi//hypothesis", "@pypi//pytest"]

def pytest_package(deps = [], support_deps = [], support = ["*.py"], data = [], tags = []):
    """Declares the tests of a package and `:support`, the modules that they share.

    The support of a package depends on that of the package above, because pytest reads
    conftest.py in every directory from tests/ down to that of a test.

    Args:
      deps: what the tests import and their support does not.
      support_deps: what the shared modules import.
      support: patterns of the shared modules.
      data: files that the tests read.
      tags: tags of the tests.
    """
    package = native.package_name()
    above = package.rpartition("/")[0]
    py_library(
        name = "support",
        testonly = True,
        srcs = native.glob(support, exclude = ["*_test.py"], allow_empty = True),
        data = data,
        deps = support_deps + (["//" + above + ":support"] if above else _FRAMEWORK),
    )
    [
        py_test(
            name = file[:-len(".py")],
            srcs = [file],
            args = ["-p", "no:cacheprovider", package + "/" + file],
            main_module = "pytest",
            tags = tags,
            deps = deps + [":support"],
        )
        for file in native.glob(["*_test.py"], allow_empty = True)
    ]
