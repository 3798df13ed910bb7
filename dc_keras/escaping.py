"""Escapes text from data for display in a terminal, a CSV file or a page.

Captions, titles, names and messages of a server may contain control characters. An
escape sequence can rewrite earlier output of a terminal, and an override of the writing
direction can make a text appear as a different one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

# C0 and C1 controls, line separators, directional embeddings, overrides and isolates,
# and surrogates, which cannot be encoded in a file. Joiners and directional marks are
# kept, because emoji and Arabic captions need them.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# The first character of a formula (OWASP, "CSV Injection").
_FORMULA = re.compile(r"^[=+\-@＝＋－＠]")
# The start of an HTML tag in Markdown.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def escape_controls(text: str, keep: str = "") -> str:
    r"""Returns the text with its control characters escaped, for example `\u001b`.

    The escapes are those of JSON, so an escaped JSON document keeps its meaning.

    Args:
        text: any text.
        keep: control characters that are not escaped, such as line ends.
    """
    return _CONTROLS.sub(
        lambda match: match[0] if match[0] in keep else _escape(match[0]), text
    )


def format_markdown(columns: Sequence[object], rows: Iterable[Iterable[object]]) -> str:
    """Returns a table as GitHub Markdown, without HTML and control characters.

    Whole numbers have commas.
    """
    lines = (columns, ["---"] * len(columns), *rows)
    return "\n".join(f"| {' | '.join(map(_markdown_cell, line))} |" for line in lines)


def _markdown_cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) else escape_controls(str(value))
    return _TAG.sub("&lt;", text).replace("|", r"\|")


def format_csv(table: pl.DataFrame) -> str:
    """Returns the table as CSV, with control characters escaped."""
    return _map_texts(table, escape_controls).write_csv()


def escape_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Returns the table with an apostrophe before every text that is a formula.

    This prevents spreadsheets from evaluating texts and column names as formulas. The
    changed texts no longer equal the originals, so use this only for tables that people
    read.
    """
    return _map_texts(table, lambda text: f"'{text}" if _FORMULA.match(text) else text)


def _map_texts(table: pl.DataFrame, change: Callable[[str], str]) -> pl.DataFrame:
    import polars as pl

    texts = pl.selectors.string().map_elements(change, return_dtype=pl.String)
    return table.rename(change).with_columns(texts)


def _escape(character: str) -> str:
    return _SHORT.get(character, f"\\u{ord(character):04x}")
