"""Writes the report of an evaluation run: tables, plots, rankings, dataset card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from dc_keras.corpus.store import Corpus, write_sealed
from dc_keras.errors import DataError
from dc_keras.escaping import escape_controls
from dc_keras.evaluation.result_tables import DEEP_CHALLENGER, Table
from dc_keras.evaluation.results import SplitResult
from dc_keras.evaluation.saved_run import SavedRun
from dc_keras.evaluation.verdict import SPLIT_NAMES, verdict
from dc_keras.reporting import figures
from dc_keras.reporting.figures import seeding_lists
from dc_keras.reporting.templating import Plot, render_template
from dc_keras.study.dataset_card import CARD_FILE

LIST_LENGTH = 10
# Columns of Table II that quote the paper, for studies of the paper's challenges.
_PAPER_STUDY = "paper"
_PAPER_COLUMNS = ("paper P / R / F1", "breaks")


def write_report(run: SavedRun, output: Path, corpus: Corpus | None = None) -> None:
    """Writes the report as one self-contained HTML page.

    Args:
        run: a finished run.
        output: path of the page.
        corpus: corpus whose dataset card is included; None for no card.

    Raises:
        DataError: the corpus has no card or lacks a post of the run.
    """
    card = None
    if corpus is not None:
        card = _read_card(corpus)
        _require_posts(run, corpus)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_sealed(output, render_page(run, card))


def _read_card(corpus: Corpus) -> str:
    path = corpus.directory / CARD_FILE
    if not path.exists():
        raise DataError(
            f"{corpus.directory} must have a {CARD_FILE}: `python -m "
            "pipelines.import_corpus` writes it. Received: none"
        )
    return path.read_text(encoding="utf-8")


def _require_posts(run: SavedRun, corpus: Corpus) -> None:
    """Refuses a corpus that does not contain the posts of a run.

    Other posts may have been imported or removed since the evaluation.
    """
    used = run.video_users()
    owners = dict(corpus.videos.select("video_id", "user_id").iter_rows())
    num_missing = sum(owners.get(video) != user for video, user in used.items())
    if num_missing:
        raise DataError(
            f"`corpus` must be the corpus that {run.directory} was evaluated on. "
            f"Received: corpus={corpus.directory}, which lacks {num_missing:,} of its "
            f"{len(used):,} posts"
        )


def render_page(run: SavedRun, card: str | None = None) -> str:
    """Returns the report as one self-contained HTML page."""
    return render_template(
        "report.html.jinja",
        title=f"Who joins? {run.dataset}",
        is_synthetic=run.is_synthetic,
        ours=DEEP_CHALLENGER,
        table_one=run.table_one and _without_paper(run, run.table_one),
        sections=[_section(run, split) for split in run.splits],
        configuration=list(_flatten(run.config)),
        card=None if card is None else _render_card(card),
    )


def _section(run: SavedRun, split: str) -> dict[str, Any]:
    """Returns what the page shows of a split."""
    result = run.judgements[split]
    kinds = ("table_2", "metrics", "rankings", "variants", "challenges")
    names = {kind: f"{kind}_{split}" for kind in kinds}
    model = figures.main_models(result)[0]
    return {
        "split": split,
        "title": SPLIT_NAMES.get(split, split),
        "verdict": verdict(result),
        "tables": {
            kind: _without_paper(run, run.tables[name])
            for kind, name in names.items()
            if name in run.tables
        },
        "plots": list(_plots(result)),
        "seeding_model": model,
        "seeding": seeding_lists(result.predictions, model, LIST_LENGTH),
    }


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
