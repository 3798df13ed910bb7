"""Fills the report's page: tables, plots, lists, configuration, dataset card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from dc_keras.escaping import escape_controls
from dc_keras.evaluation.predictions import answers
from dc_keras.evaluation.results import Judgement
from dc_keras.evaluation.saved_run import SavedRun
from dc_keras.evaluation.result_tables import DEEP_CHALLENGER, Cell, Table, cell_text
from dc_keras.reporting import figures
from dc_keras.reporting.curves import Candidate, seeding_lists
from dc_keras.version import __version__

LIST_LENGTH = 10
_TEMPLATES = Path(__file__).parent / "templates"
_QUESTIONS = {
    "cold_user": "a new creator",
    "cold_challenge": "a new challenge",
    "temporal": "tomorrow",
    "cold_both": "a new creator and a new challenge",
    "random_pair": "known users, known challenges (the paper)",
}


@dataclass(frozen=True)
class Plot:
    """A figure of plotly as plain values, with what it shows."""

    title: str
    caption: str
    figure: Mapping[str, Any]
    is_wide: bool = False


@dataclass(frozen=True)
class Section:
    """What the page says about one split.

    Attributes:
        split: name of the split.
        question: what it asks.
        tables: by kind: `table_2`, `metrics`, `rankings`, `variants`, `challenges`; the
            last two only where there is something to compare.
        plots: in the order of the page.
        seeding_model: whose lists are shown.
        seeding: the first users of each challenge.
    """

    split: str
    question: str
    tables: Mapping[str, Table]
    plots: tuple[Plot, ...]
    seeding_model: str
    seeding: Mapping[str, list[Candidate]]


def render_page(run: SavedRun, card: str | None = None) -> str:
    """Returns the report as one HTML page that asks for nothing.

    Args:
        run: a finished run.
        card: the corpus's DATASET_CARD.md.
    """
    page = (
        page_environment()
        .get_template("report.html.jinja")
        .render(
            title=f"Who joins? {run.dataset}",
            run=run,
            ours=DEEP_CHALLENGER,
            summary=_summary(run),
            sections=[_section(run, split) for split in run.splits],
            configuration=list(_flatten(run.config)),
            card=None if card is None else _render_card(card),
            version=__version__,
            plotly_script=get_plotlyjs(),
        )
    )
    return page.lstrip()


def page_environment() -> jinja2.Environment:
    """Returns the templates of pages, with the filters that they use."""
    # Captions and names are data: everything is escaped but what we made.
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
    """Returns what a template shows of a value; markup that we made stays as it is."""
    is_plain = isinstance(value, str) and not hasattr(value, "__html__")
    return escape_controls(value, keep="\n\r\t") if is_plain else value


def _text_columns(table: Table) -> set[int]:
    """Columns of words, which are read from the left; numbers end below each other."""
    return {
        number
        for row in table.rows
        for number, cell in enumerate(row)
        if isinstance(cell, str) and cell[:1].isalpha()
    }


def _section(run: SavedRun, split: str) -> Section:
    judgement = run.judgements[split]
    kinds = ("table_2", "metrics", "rankings", "variants", "challenges")
    names = {kind: f"{kind}_{split}" for kind in kinds}
    model = figures.main_models(judgement)[0]
    return Section(
        split=split,
        question=_QUESTIONS.get(split, ""),
        tables={k: run.tables[n] for k, n in names.items() if n in run.tables},
        plots=tuple(_plots(judgement)),
        seeding_model=model,
        seeding=seeding_lists(judgement.predictions, model, LIST_LENGTH),
    )


def _plots(judgement: Judgement) -> Iterator[Plot]:
    yield Plot(
        "Average precision",
        "Mean of the folds; the bar is the 95 % interval over users.",
        _plain(figures.interval_figure(judgement)),
        is_wide=True,
    )
    yield Plot(
        "Precision and recall",
        "Mean of the folds at each recall; the dotted line is the prevalence.",
        _plain(figures.precision_recall_figure(judgement)),
    )
    yield Plot(
        "Gain",
        "Joiners reached when the best-scored users of a challenge are asked first, "
        "mean over challenges; dotted: by chance.",
        _plain(figures.gain_figure(judgement)),
    )
    yield Plot(
        "Reliability",
        "How many joined of the pairs with about the same predicted probability, in 15 "
        "bins of equal mass; dotted: probabilities that tell the truth.",
        _plain(figures.reliability_figure(judgement)),
    )
    yield Plot(
        "Challenge by challenge",
        "Average precision over the share that joined; 1, dotted, is chance.",
        _plain(figures.challenge_figure(judgement)),
        is_wide=True,
    )


def _plain(figure: Figure) -> Mapping[str, Any]:
    plain: dict[str, Any] = json.loads(figure.to_json())
    return plain


def _summary(run: SavedRun) -> Table | None:
    """Compares deepChallenger with the strongest simple baseline, a row a split."""
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


def _summary_row(judgement: Judgement) -> tuple[Cell, ...] | None:
    best = judgement.strongest
    if best is None or DEEP_CHALLENGER not in judgement.models:
        return None
    folds = judgement.predictions.folds
    num_pairs = sum(len(answers(f, best, "test").labels) for f in folds)
    difference = judgement.difference(DEEP_CHALLENGER, best)
    return (
        judgement.predictions.split,
        str(num_pairs),
        judgement.metrics[best]["prevalence"],
        judgement.average_precision(DEEP_CHALLENGER),
        judgement.average_precision(best),
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
    """Markdown as HTML without raw HTML and without images: nothing is fetched.

    The page has a heading for the card: its title is left out, and the headings of its
    parts, of level 2, go one down.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.disable("image")
    tokens = markdown.parse(escape_controls(card, keep="\n\t"))
    if tokens and tokens[0].tag == "h1":
        del tokens[:3]  # its start, text and end
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    return html
