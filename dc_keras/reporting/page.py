"""Renders the report's page: tables, plots, rankings, configuration, dataset card."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from dc_keras.escaping import escape_controls
from dc_keras.evaluation.predictions import answers
from dc_keras.evaluation.result_tables import DEEP_CHALLENGER, Cell, Table, cell_text
from dc_keras.evaluation.results import SplitResult
from dc_keras.evaluation.saved_run import SavedRun
from dc_keras.evaluation.verdict import SPLIT_NAMES, verdict
from dc_keras.reporting import figures
from dc_keras.reporting.curves import Candidate, seeding_lists
from dc_keras.version import __version__

LIST_LENGTH = 10
_TEMPLATES = Path(__file__).parent / "templates"
# Columns of Table II that quote the paper, for studies of the paper's challenges.
_PAPER_STUDY = "paper"
_PAPER_COLUMNS = ("paper P / R / F1", "breaks")


@dataclass(frozen=True)
class LegendEntry:
    """A trace in the legend, which shows and hides it.

    Attributes:
        trace: position of the trace.
        name: its name, unescaped.
        colour: its colour.
        line: CSS style of its line: "solid", "dashed" or "dotted".
        is_shown: whether it is visible at first.
    """

    trace: int
    name: str
    colour: str
    line: str
    is_shown: bool

    @classmethod
    def of(cls, number: int, trace: Any) -> LegendEntry:
        """Reads the entry of a trace, whose name is HTML."""
        colour, dash = trace.marker.color, "solid"
        if trace.type == "scatter" and "lines" in trace.mode:
            colour, dash = trace.line.color or trace.fillcolor, trace.line.dash
        return cls(
            number,
            html.unescape(trace.name.replace("<br>", " ")),
            colour,
            {"dot": "dotted", "dash": "dashed"}.get(str(dash), "solid"),
            trace.visible != "legendonly",
        )


@dataclass(frozen=True)
class Plot:
    """A plotly figure.

    Attributes:
        title: title above the figure.
        caption: what it shows.
        figure: the figure as JSON values.
        is_wide: whether it takes the whole width of the page.
        legend: the named traces, which the page lists below the figure.
    """

    title: str
    caption: str
    figure: Mapping[str, Any]
    is_wide: bool
    legend: tuple[LegendEntry, ...]

    @classmethod
    def of(
        cls, title: str, caption: str, figure: Figure, *, is_wide: bool = False
    ) -> Plot:
        """Moves the legend of a figure to the page, where names are not cut off."""
        entries = [
            LegendEntry.of(number, trace)
            for number, trace in enumerate(figure.data)
            if trace.name and trace.showlegend is not False
        ]
        if figure.layout.legend.traceorder == "reversed":
            entries.reverse()
        figure.update_layout(showlegend=False)
        plain: dict[str, Any] = json.loads(figure.to_json())
        return cls(title, caption, plain, is_wide, tuple(entries))


@dataclass(frozen=True)
class Section:
    """The section of the page on one split.

    Attributes:
        split: name of the split.
        title: what it tests, in words.
        verdict: which model is best, in a sentence; empty where that is not known.
        tables: tables by kind: `table_2`, `metrics`, `rankings`, `variants`,
            `challenges`; the last two are optional.
        plots: plots in the order of the page.
        seeding_model: model of the rankings.
        seeding: the first users of each challenge.
    """

    split: str
    title: str
    verdict: str
    tables: Mapping[str, Table]
    plots: tuple[Plot, ...]
    seeding_model: str
    seeding: Mapping[str, list[Candidate]]


def render_page(run: SavedRun, card: str | None = None) -> str:
    """Returns the report as one self-contained HTML page.

    Args:
        run: a finished run.
        card: the text of the corpus's DATASET_CARD.md.
    """
    return render_template(
        "report.html.jinja",
        title=f"Who joins? {run.dataset}",
        is_synthetic=run.is_synthetic,
        ours=DEEP_CHALLENGER,
        summary=_summary(run),
        table_one=run.table_one and _without_paper(run, run.table_one),
        sections=[_section(run, split) for split in run.splits],
        configuration=list(_flatten(run.config)),
        card=None if card is None else _render_card(card),
    )


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


def _section(run: SavedRun, split: str) -> Section:
    result = run.judgements[split]
    kinds = ("table_2", "metrics", "rankings", "variants", "challenges")
    names = {kind: f"{kind}_{split}" for kind in kinds}
    model = figures.main_models(result)[0]
    return Section(
        split=split,
        title=SPLIT_NAMES.get(split, split),
        verdict=verdict(result) or "",
        tables={
            kind: _without_paper(run, run.tables[name])
            for kind, name in names.items()
            if name in run.tables
        },
        plots=tuple(_plots(result)),
        seeding_model=model,
        seeding=seeding_lists(result.predictions, model, LIST_LENGTH),
    )


def _without_paper(run: SavedRun, table: Table) -> Table:
    """Returns a table without the paper's values, unless the study is the paper's."""
    if run.study == _PAPER_STUDY:
        return table
    kept = [i for i, name in enumerate(table.columns) if name not in _PAPER_COLUMNS]
    return replace(
        table,
        columns=tuple(table.columns[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in table.rows),
        notes=tuple(note for note in table.notes if not note.startswith("paper:")),
    )


def _plots(result: SplitResult) -> Iterator[Plot]:
    yield Plot.of(
        "Average precision",
        "How well each model predicts who joins, mean of the folds; the bar is the "
        "95 % interval over users.",
        figures.interval_figure(result),
        is_wide=True,
    )
    yield Plot.of(
        "Precision and recall",
        "Mean of the folds at each recall; the dotted line is the prevalence.",
        figures.precision_recall_figure(result),
    )
    yield Plot.of(
        "Gain",
        "Share of joiners among the best-scored users of a challenge, mean over "
        "challenges; dotted: by chance.",
        figures.gain_figure(result),
    )
    yield Plot.of(
        "Reliability",
        "Share that joined among pairs of similar predicted probability, in 15 bins of "
        "equal mass; dotted: perfectly calibrated probabilities.",
        figures.reliability_figure(result),
    )
    yield Plot.of(
        "Challenges",
        "Average precision divided by the share that joined; 1, dotted, is chance.",
        figures.challenge_figure(result),
        is_wide=True,
    )


def _summary(run: SavedRun) -> Table | None:
    """Compares deepChallenger with the strongest simple baseline, one row per split."""
    rows = [row for row in map(_summary_row, run.judgements.values()) if row]
    if not rows:
        return None
    return Table(
        f"deepChallenger and the strongest simple baseline, {run.dataset}",
        (
            *("split", "pairs", "prevalence", "AP of deepChallenger", "AP of simple"),
            *("Δ AP", "Δ 95 %", "strongest simple baseline", "verdict"),
        ),
        tuple(rows),
        (
            "AP: average precision, mean of the folds. Δ 95 %: bootstrap over users, "
            "paired. verdict: whether the whole interval lies above 0.",
        ),
    )


def _summary_row(result: SplitResult) -> tuple[Cell, ...] | None:
    best = result.strongest
    if best is None or DEEP_CHALLENGER not in result.models:
        return None
    folds = result.predictions.folds
    num_pairs = sum(len(answers(f, best, "test").labels) for f in folds)
    difference = result.difference(DEEP_CHALLENGER, best)
    split = result.predictions.split
    return (
        SPLIT_NAMES.get(split, split),
        str(num_pairs),
        result.metrics[best]["prevalence"],
        result.average_precision(DEEP_CHALLENGER),
        result.average_precision(best),
        *difference.cells(),
        best,
        "beats it" if difference.low > 0 else "does not beat it",
    )


def _flatten(values: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yields dotted names and values as text, sorted by name."""
    if isinstance(values, Mapping) and values:
        for key in sorted(values):
            yield from _flatten(values[key], f"{name}.{key}" if name else key)
    else:
        text = values if isinstance(values, str) else json.dumps(values)
        yield name, text


def _render_card(card: str) -> str:
    """Renders Markdown without raw HTML and images, so that nothing is downloaded.

    The title is removed, because the page has a heading for the card, and the other
    headings are moved down by one level.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.disable("image")
    tokens = markdown.parse(escape_controls(card, keep="\n\t"))
    if tokens and tokens[0].tag == "h1":
        del tokens[:3]  # the start, text and end of the title
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    rendered: str = markdown.renderer.render(tokens, markdown.options, {})
    return rendered
