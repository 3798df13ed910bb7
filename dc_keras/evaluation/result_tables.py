"""Tables of results, printed to the console or as Markdown, JSON and LaTeX."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import polars as pl

from dc_keras.escaping import escape_controls, format_markdown
from dc_keras.study.audit.feasibility import broken_identities

Cell = str | float | None

DEEP_CHALLENGER = "deepChallenger"
CONTEXT_ONLY = "context only"
VIDEOS_ONLY = "videos only"
WITHOUT_FRAMES = f"{DEEP_CHALLENGER} without frames"
BAYES = "Bayes-optimal (known truth)"

# Macro precision, recall and F1 in the paper's Tables I and II.
PAPER_TABLE_I: dict[tuple[str, str], tuple[float, float, float]] = {
    ("challenge", "VGG16"): (0.248, 0.186, 0.153),
    ("challenge", "VGG16+BERT"): (0.660, 0.563, 0.494),
    ("challenge", "ResNet50"): (0.257, 0.174, 0.125),
    ("challenge", "ResNet50+BERT"): (0.583, 0.486, 0.385),
    ("user", "VGG16"): (0.163, 0.558, 0.163),
    ("user", "VGG16+BERT"): (0.186, 0.749, 0.188),
    ("user", "ResNet50"): (0.194, 0.725, 0.195),
    ("user", "ResNet50+BERT"): (0.197, 0.733, 0.197),
}
PAPER_TABLE_II: dict[str, tuple[float, float, float]] = {
    "VGG16": (0.017, 0.200, 0.083),
    "VGG16+BERT": (0.188, 0.750, 0.188),
    "ResNet50": (0.050, 0.059, 0.050),
    "ResNet50+BERT": (0.187, 0.750, 0.188),
    DEEP_CHALLENGER: (0.494, 0.933, 0.494),
}

# Special characters of LaTeX, and characters that its fonts lack.
_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "[": "{[}",  # after `\\`, LaTeX would read it as an option
        "–": "--",
        "−": "$-$",
        "×": r"$\times$",
        "±": r"$\pm$",
        "Δ": r"$\Delta$",
        "→": r"$\to$",
        "…": r"\ldots{}",
    }
)


@dataclass(frozen=True, repr=False)
class Table:
    """A table of results.

    Attributes:
        title: description of the metrics and the data.
        columns: column headers.
        rows: cells; a float is printed with three decimals, None as a dash.
        notes: definitions, seeds and intervals, printed below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return self.to_console()

    def _repr_markdown_(self) -> str:
        """Returns the table as Markdown, for notebooks."""
        return self.to_markdown()

    def to_polars(self) -> pl.DataFrame:
        """Returns the rows as a data frame with the columns of the table."""
        return pl.DataFrame(self.rows, schema=list(self.columns), orient="row")

    def to_console(self) -> str:
        """Returns the table as text in aligned columns."""
        grid = [list(self.columns), *[[cell_text(c) for c in row] for row in self.rows]]
        widths = [max(len(row[i]) for row in grid) for i in range(len(self.columns))]
        lines = [_aligned(row, widths) for row in grid]
        lines.insert(1, "─" * len(lines[0]))
        return "\n".join([self.title, *lines, *(f"  {note}" for note in self.notes)])

    def to_markdown(self) -> str:
        """Returns the table as GitHub Markdown."""
        table = format_markdown(self.columns, [map(cell_text, r) for r in self.rows])
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"### {self.title}", "", table, "", *notes, ""])

    def to_latex(self) -> str:
        """Returns the table as LaTeX, which needs the package booktabs."""
        head = " & ".join(map(_latex, self.columns))
        body = [
            " & ".join(_latex(cell_text(cell)) for cell in row) for row in self.rows
        ]
        columns = "l" + "r" * (len(self.columns) - 1)
        return "\n".join(
            [
                r"\begin{table}",
                rf"\caption{{{_latex(self.title)}}}",
                r"\centering",
                rf"\begin{{tabular}}{{{columns}}}",
                r"\toprule",
                rf"{head} \\",
                r"\midrule",
                *(rf"{row} \\" for row in body),
                r"\bottomrule",
                r"\end{tabular}",
                *(rf"\par\footnotesize {_latex(note)}" for note in self.notes),
                r"\end{table}",
                "",
            ]
        )

    def to_json(self) -> str:
        """Returns the table as JSON, floats unrounded."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def paper_cells(
    published: tuple[float, float, float] | None, is_binary: bool
) -> list[Cell]:
    """Returns the paper's values of a row and the identities that they violate.

    Args:
        published: macro precision, recall and F1; None if the paper has no such row.
        is_binary: whether the classes are {no, yes}.
    """
    if published is None:
        return [None, None]
    broken = broken_identities(*published, is_binary=is_binary)
    values = " / ".join(f"{value:.3f}" for value in published)
    return [values, "; ".join(broken) if broken else "none"]


def cell_text(cell: Cell) -> str:
    """Returns a cell as one line of text: three decimals, a dash for None."""
    if cell is None:
        return "–"
    return f"{cell:.3f}" if isinstance(cell, float) else escape_controls(str(cell))


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    cells += [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
    return "  ".join(cells)


def _latex(text: str) -> str:
    return text.translate(_LATEX)
