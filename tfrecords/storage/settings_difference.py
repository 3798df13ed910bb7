"""Describes the differences between two sets of settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_MAX_LISTED = 3


def describe_difference(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> str | None:
    """Returns the old and new values of different settings as one line, or None."""
    old, new = (dict(_flatten(json.loads(json.dumps(v)), "")) for v in (before, after))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if not names:
        return None
    listed = [f"{n}={new.get(n)} instead of {old.get(n)}" for n in names[:_MAX_LISTED]]
    rest = len(names) - _MAX_LISTED
    return ", ".join(listed) + (f" and {rest} more" if rest > 0 else "")


def _flatten(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value
