"""Random damage: flipped bits, truncation, other encodings, other JSON values."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

_STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**63, 2**64, 1e308, float("nan"), float("inf")),
    *("", "\0", "..", "\ud800", "é" * 300, [], {}, [[]], {"a": None}),
)


def flip_bit(content: bytes, rng: random.Random) -> bytes:
    """Returns the bytes with one bit flipped; there must be at least one byte."""
    flipped = bytearray(content)
    flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Returns the bytes with damage of a random kind, which may not change them."""
    kinds = (_flips, _cut, _insert, _repeat, _other_bytes, _other_value, _as_latin)
    return rng.choice(kinds)(content, rng)


def _flips(content: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4) if content else 0):
        content = flip_bit(content, rng)
    return content


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randint(0, len(content))]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(content))
    return content[:at] + rng.randbytes(rng.randint(1, 8)) + content[at:]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randint(0, len(content)) for _ in range(2))
    return content[:end] + content[start:]


def _other_bytes(content: bytes, rng: random.Random) -> bytes:
    del content
    return rng.choice([b"", b"\0", b"\xff\xfe", b"null", b"[]", b"{}", b"\n" * 3])


def _as_latin(content: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(content))
    return content[:at] + "Müller".encode("latin-1") + content[at:]


def _other_value(content: bytes, rng: random.Random) -> bytes:
    """Replaces or deletes a value in JSON; flips a bit of other content."""
    try:
        whole = json.loads(content)
    except ValueError:
        return _flips(content, rng)
    places = list(_places(whole))
    if not places:
        return json.dumps(rng.choice(_STRANGE)).encode()
    holder, key = rng.choice(places)
    if rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = rng.choice(_STRANGE)
    return json.dumps(whole).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            yield from _places(value[key])
