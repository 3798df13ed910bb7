"""In what two sets of settings differ, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_NUM_NAMED = 3


def tell_difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Returns both values of what differs, in one line; None for equal settings.

    Args:
        before: plain values of any depth.
        after: alike; tuples count as lists, as they do in JSON.
    """
    old, new = (dict(_flat(json.loads(json.dumps(v)), "")) for v in (before, after))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if not names:
        return None
    told = [f"{n}={new.get(n)} instead of {old.get(n)}" for n in names[:_NUM_NAMED]]
    rest = len(names) - _NUM_NAMED
    return ", ".join(told) + (f" and {rest} more" if rest > 0 else "")


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value
