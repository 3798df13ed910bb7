"""Reads lists and objects in the cells of a table, in the syntax of many programs."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

MAX_LENGTH = 1_000_000

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
    # Python would join strings that numpy separates.
    if _ADJACENT_STRINGS.search(text) is None:
        value = parse(text)
        if isinstance(value, list):
            return _unwrap_single(value)
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
        node = ast.parse(text.strip(), mode="eval").body
        return ast.literal_eval(_PrintedValues().visit(node))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


class _PrintedValues(ast.NodeTransformer):
    """Replaces names and calls that libraries print for values by literals."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        value = node.value
        # numpy writes ... in place of omitted values.
        if value is ... or isinstance(value, complex):
            raise ValueError
        if isinstance(value, bytes):
            return ast.Constant(value.decode("utf-8", "replace"))
        return node

    def visit_Name(self, node: ast.Name) -> ast.Constant:
        name = node.id.casefold()
        if name not in _NAMES:
            raise ValueError
        return ast.Constant(_NAMES[name])

    def visit_Tuple(self, node: ast.Tuple) -> ast.List:
        return self._list_of(node.elts)

    def visit_Set(self, node: ast.Set) -> ast.List:
        return self._list_of(node.elts)  # a set would lose the order

    def _list_of(self, entries: list[ast.expr]) -> ast.List:
        return ast.List([self.visit(entry) for entry in entries], ast.Load())

    def visit_Dict(self, node: ast.Dict) -> ast.Dict:
        keys = [None if key is None else self.visit(key) for key in node.keys]
        texts = [key and ast.Constant(str(ast.literal_eval(key))) for key in keys]
        return ast.Dict(texts, [self.visit(value) for value in node.values])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Returns the value in `ObjectId('5f')`, `array([1])` or `Timestamp('2')`."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name == "datetime":
            return ast.Constant(None)  # the time is taken from the id
        if name == "c" or len(node.args) != 1:
            raise ValueError
        value: ast.expr = self.visit(node.args[0])
        return value


_NAMES = {
    **dict.fromkeys(("nan", "inf", "none", "null", "nat", "undefined", "na")),
    "true": True,
    "false": False,
}


def _unwrap_single(values: list[Any]) -> list[Any] | None:
    """Unwraps a list that contains one list; None if lists are nested deeper."""
    if len(values) == 1 and isinstance(values[0], list):
        return _unwrap_single(values[0])
    return None if any(isinstance(value, list) for value in values) else values


def _strip_brackets(text: str) -> str | None:
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
