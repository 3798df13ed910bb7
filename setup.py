"""A shim for tools that still call it: the metadata lives in pyproject.toml."""

from setuptools import setup

setup()
