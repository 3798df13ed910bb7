"""Runs pytest on the files that Bazel names; the exit code says how it went."""

import sys

import pytest

if __name__ == "__main__":
    # Bazel's sandbox is no place to keep a cache.
    sys.exit(pytest.main(["-p", "no:cacheprovider", *sys.argv[1:]]))
