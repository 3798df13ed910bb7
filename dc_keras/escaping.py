"""Text from data, made safe to show in a terminal, a CSV file or a page.

Captions, titles, names and the words of a server may hold characters that are obeyed
rather than shown: an escape sequence rewrites what a terminal showed before, and an
override of the writing direction makes a text read as another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

# C0 and C1 controls, separators of lines, embeddings, overrides and isolates of the
# direction, and surrogates, which no file can hold. Joiners and marks of direction
# stay: emoji and Arabic captions need them.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# How a formula begins (OWASP, "CSV Injection").
_FORMULA = re.compile(r"^[=+\-@＝＋－＠]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def escape_controls(text: str, keep: str = "") -> str:
    r"""Returns a text whose control characters are written out, as `\u001b`.

    The form is that of JSON: a JSON document that is passed through keeps its meaning.

    Args:
        text: any text.
        keep: control characters that stay as they are, such as line ends.
    """
    return _CONTROLS.sub(lambda match: _written_out(match[0], keep), text)


def csv_text(table: pl.DataFrame) -> str:
    """Returns a table as CSV, with the control characters of its texts written out."""
    return _with_texts(table, escape_controls).write_csv()


def without_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Returns a table whose texts no spreadsheet runs, names of columns among them.

    A text that would be a formula gets an apostrophe in front, so that a program that
    looks for the text no longer finds it: this is for tables that people read.
    """
    return _with_texts(table, lambda text: f"'{text}" if _FORMULA.match(text) else text)


def _with_texts(table: pl.DataFrame, change: Callable[[str], str]) -> pl.DataFrame:
    import polars as pl

    texts = pl.selectors.string().map_elements(change, return_dtype=pl.String)
    return table.rename(change).with_columns(texts)


def _written_out(character: str, keep: str) -> str:
    if character in keep:
        return character
    return _SHORT.get(character, f"\\u{ord(character):04x}")
