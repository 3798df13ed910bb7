"""Reads lists and objects in the cells of a table, in the syntax of many programs."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

MAX_LENGTH = 1_000_000

_MAX_DEPTH = 100
_EMPTY = re.compile(
    r"(?:\[\s*\]|\(\s*\)|\{\s*\}|set\(\)|list\(\)|c\(\)|character\(0\)|logical\(0\)"
    r"|integer\(0\)|NULL|NA|None|null|nan|array\(\[\][^)]*\)|-)?",
    re.IGNORECASE,
)
# The text that JavaScript writes in place of objects.
_OBJECTS = re.compile(r"\s*\[object \w+\](?:\s*[,;|]\s*\[object \w+\])*\s*")
_CALL = re.compile(r"(?:[A-Za-z_][\w.]*)?\((?P<inner>.*)\)", re.DOTALL)
_BRACKETS = re.compile(r"[A-Za-z]*\[(?P<inner>.*)\]|\{(?P<braced>.*)\}", re.DOTALL)
_ITEM = re.compile(
    r"""\s*(?:(?P<name>[\w.]+)\s*=\s*)?(?:u?"(?P<double>(?:[^"\\]|\\.|"")*)"|"""
    r"""u?'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[^\s,;|"'()\[\]{}][^,;|"'()\[\]{}]*))"""
    r"""\s*(?P<end>[,;|]|\s|$)""",
    re.DOTALL,
)
_ADJACENT_STRINGS = re.compile(r"""['"]\s+u?['"]""")
_NOT_TAGS = re.compile(r"[\\:=(){}\[\]]")  # remains of a list in an unknown syntax
_ELLIPSIS = re.compile(r"\.\.\.|…")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SEPARATORS = re.compile(r"[,;|\n、，]")


def read_object(text: str) -> dict[str, Any] | None:
    """Returns the object in a cell, in the syntax of JSON or Python, or None."""
    value = parse(text) if text.lstrip()[:1] == "{" else None
    return value if isinstance(value, dict) else None


def read_list(text: str, *, split_spaces: bool = False) -> list[Any] | None:
    """Returns the list in a cell, or None if the cell is not a valid list.

    Reads JSON, Python, numpy, R (`c("a", "b")`), DuckDB (`[a, b]`), Postgres (`{a,b}`),
    Scala (`WrappedArray(a, b)`), and texts separated by commas, semicolons, bars or
    line ends.

    Args:
        text: the cell.
        split_spaces: whether spaces separate the entries too, as for hashtags.
    """
    text = text.strip()
    if len(text) > MAX_LENGTH or _EMPTY.fullmatch(text):
        return None if len(text) > MAX_LENGTH else []
    if (
        _ADJACENT_STRINGS.search(text) is None
    ):  # Python would join strings that numpy separates
        value = parse(text)
        if isinstance(value, list | tuple | set):
            return _unwrap_single(list(value))
        if isinstance(value, dict):
            return [value]
    inner = _strip_brackets(text)
    if inner is None and len(text) > 1 and text[0] == text[-1] == '"':
        inner = text
    if inner is not None:
        return _items(inner, split_spaces=split_spaces)
    return _split_separated(text, split_spaces=split_spaces)


def _split_separated(text: str, *, split_spaces: bool) -> list[Any] | None:
    """Returns the separated texts; None if an unmatched bracket shows a truncation."""
    opens, closes = text[0] in "[({", text[-1] in "])}"
    if opens or (closes and not any(bracket in text for bracket in "[({")):
        return None
    if split_spaces:
        if _NOT_TAGS.search(text):
            return None
        parts = re.split(r"[,;|\s、，]+|(?=[#＃])", text)
    else:
        parts = _SEPARATORS.split(text)
    return [part.strip().strip("\"'") for part in parts if part.strip()]


def is_placeholder(text: str) -> bool:
    """Whether a cell has a placeholder without content: `[object Object]`."""
    return _OBJECTS.fullmatch(text) is not None


def parse(text: str) -> Any:
    """Returns the value of a text in the syntax of JSON or Python; None if invalid."""
    if len(text) > MAX_LENGTH:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, 0)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _value(node: ast.expr, depth: int) -> Any:
    """Returns the value of a literal, or of a call that libraries print for a value."""
    if depth > _MAX_DEPTH:
        raise ValueError
    read = _READERS.get(type(node))
    return _fail() if read is None else read(node, depth)


def _read_constant(node: ast.Constant, depth: int) -> Any:
    del depth
    value = node.value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    # numpy writes ... in place of omitted values.
    return _fail() if value is ... or isinstance(value, complex) else value


def _read_elements(node: ast.List | ast.Tuple | ast.Set, depth: int) -> list[Any]:
    return [_value(entry, depth + 1) for entry in node.elts]


def _read_dict(node: ast.Dict, depth: int) -> dict[str, Any]:
    return dict(_pairs(node, depth))


def _read_name(node: ast.Name, depth: int) -> Any:
    del depth
    name = node.id.casefold()
    return _NAMES[name] if name in _NAMES else _fail()


def _read_negation(node: ast.UnaryOp, depth: int) -> Any:
    value = _value(node.operand, depth + 1)
    is_minus = isinstance(node.op, ast.USub) and isinstance(value, int | float)
    return -value if is_minus else _fail()


def _read_call(node: ast.Call, depth: int) -> Any:
    """Returns the value in `ObjectId('5f')`, `array([1])` or `Timestamp('2024')`."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    name = node.func.id if isinstance(node.func, ast.Name) else name
    if name == "datetime":
        return None  # the time is taken from the id
    if name == "c" or len(node.args) != 1:
        return _fail()
    return _value(node.args[0], depth + 1)


def _pairs(node: ast.Dict, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            raise ValueError
        yield str(_value(key, depth + 1)), _value(value, depth + 1)


_NAMES = {
    **dict.fromkeys(("nan", "inf", "none", "null", "nat", "undefined", "na")),
    "true": True,
    "false": False,
}


def _fail() -> Any:
    raise ValueError


_READERS: dict[type, Callable[[Any, int], Any]] = {
    ast.Constant: _read_constant,
    ast.List: _read_elements,
    ast.Tuple: _read_elements,
    ast.Set: _read_elements,
    ast.Dict: _read_dict,
    ast.Name: _read_name,
    ast.UnaryOp: _read_negation,
    ast.Call: _read_call,
}


def _unwrap_single(values: list[Any]) -> list[Any] | None:
    """Unwraps a list that contains one list; None if lists are nested deeper."""
    if len(values) == 1 and isinstance(values[0], list):
        return _unwrap_single(values[0])
    return None if any(isinstance(value, list) for value in values) else values


def _strip_brackets(text: str) -> str | None:
    """Returns the text between the outer brackets, None if there are none."""
    call = _CALL.fullmatch(text)
    if call is not None and "(" in text:
        inner = call["inner"].strip()
        array = re.match(r"(\[.*\])\s*(?:,\s*dtype=.*)?$", inner, re.DOTALL)
        return _strip_brackets(array[1]) if array else inner
    brackets = _BRACKETS.fullmatch(text)
    if brackets is None:
        return None
    return brackets["inner"] if brackets["inner"] is not None else brackets["braced"]


def _items(text: str, *, split_spaces: bool) -> list[Any] | None:
    """Returns the items of a list, quoted or bare; None if it is truncated."""
    values: list[Any] = []
    end, text = 0, text.strip()
    while end < len(text):
        item = _ITEM.match(text, end)
        if item is None or item.end() == end:
            return None
        end = item.end()
        quoted = item["double"] if item["double"] is not None else item["single"]
        if quoted is not None:
            values.append(_ESCAPE.sub(r"\1", quoted).replace('""', '"'))
            continue
        bare = item["bare"].strip()
        if _ELLIPSIS.fullmatch(bare):
            return None
        parts = bare.split() if split_spaces else [bare]
        values += [part for part in parts if not _EMPTY.fullmatch(part)]
    return values
