"""A process that is killed where it changes names on disk, in the process of a test."""

import os


class KilledError(BaseException):
    """Where a process would be killed."""


def kill_at(monkeypatch, step):
    """Raises `KilledError` in place of the step-th rename or removal, and all later."""
    left = iter(range(step))

    def counted(function):
        def call(*arguments, **options):
            if next(left, None) is None:
                raise KilledError
            return function(*arguments, **options)

        return call

    for name in ("rename", "replace", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
