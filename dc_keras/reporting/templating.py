"""What all pages share: the template, its filters, and plots with their legends."""

from __future__ import annotations

import html
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from dc_keras.escaping import escape_controls
from dc_keras.evaluation.result_tables import Table, cell_text
from dc_keras.version import __version__

_TEMPLATES = Path(__file__).parent / "templates"
GREY = "#868e96"
DOTTED = {"dash": "dot", "color": GREY, "width": 1.5}


@dataclass(frozen=True)
class Plot:
    """A plotly figure.

    Attributes:
        title: title above the figure.
        caption: what it shows.
        figure: the figure as JSON values.
        is_wide: whether it takes the whole width of the page.
        legend: the named traces, which the page lists below the figure: position of the
            `trace`, unescaped `name`, `colour`, CSS style of its `line`, and whether it
            `is_shown` at first.
    """

    title: str
    caption: str
    figure: Mapping[str, Any]
    is_wide: bool
    legend: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(
        cls, title: str, caption: str, figure: Figure, *, is_wide: bool = False
    ) -> Plot:
        """Moves the legend of a figure to the page, where names are not cut off."""
        entries = [
            _legend_entry(number, trace)
            for number, trace in enumerate(figure.data)
            if trace.name and trace.showlegend is not False
        ]
        if figure.layout.legend.traceorder == "reversed":
            entries.reverse()
        figure.update_layout(showlegend=False)
        plain: dict[str, Any] = json.loads(figure.to_json())
        return cls(title, caption, plain, is_wide, tuple(entries))


def _legend_entry(number: int, trace: Any) -> dict[str, Any]:
    """Returns the entry of a trace, whose name is HTML."""
    colour, dash = trace.marker.color, "solid"
    if trace.type == "scatter" and "lines" in trace.mode:
        colour, dash = trace.line.color or trace.fillcolor, trace.line.dash
    return {
        "trace": number,
        "name": html.unescape(trace.name.replace("<br>", " ")),
        "colour": colour,
        "line": {"dot": "dotted", "dash": "dashed"}.get(str(dash), "solid"),
        "is_shown": trace.visible != "legendonly",
    }


def html_label(name: str, width: int = 60) -> str:
    """Returns a name from the data as escaped HTML, which plotly shows as a text.

    Args:
        name: the name.
        width: characters of a line; longer names are wrapped.
    """
    lines = textwrap.wrap(escape_controls(name), width)
    return "<br>".join(map(html.escape, lines))


def render_template(
    name: str, *, title: str, is_synthetic: bool, has_plots: bool = True, **values: Any
) -> str:
    """Returns a self-contained HTML page.

    Args:
        name: file name of its template, which extends page.html.jinja.
        title: title of the page.
        is_synthetic: whether the data are simulated, which the page then says.
        has_plots: whether the page has plots and therefore contains plotly.
        **values: other values of the template; rows whose name begins with `ours`
            are highlighted.
    """
    page = (
        _environment()
        .get_template(name)
        .render(
            **{"ours": None, **values},
            title=title,
            is_synthetic=is_synthetic,
            version=__version__,
            plotly_script=get_plotlyjs() if has_plots else "",
        )
    )
    return page.lstrip()


def _environment() -> jinja2.Environment:
    # Captions and names are data, so everything except our own markup is escaped.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = cell_text
    environment.filters["text_columns"] = _text_columns
    return environment


def _shown(value: Any) -> Any:
    """Escapes control characters of a value; our own markup is not changed."""
    is_plain = isinstance(value, str) and not hasattr(value, "__html__")
    return escape_controls(value, keep="\n\r\t") if is_plain else value


def _text_columns(table: Table) -> set[int]:
    """Returns the columns with text, which are aligned left."""
    return {
        number
        for row in table.rows
        for number, cell in enumerate(row)
        if isinstance(cell, str) and cell[:1].isalpha()
    }
