"""The end of the demo: a table, a verdict, some answers, and an index page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dc_keras.escaping import escape_controls

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

_BAR_WIDTH = 24
_PAGES = {
    "evaluation/report.html": "The report: how well each model predicts who joins.",
    "explanation/explanation.html": "Why the model gave one of its answers.",
    "survey/survey.html": "The social graph and its communities.",
    "reach/reach.html": "How challenges spread, and how far a new one would go.",
    "predictions.csv": "Probabilities that the exported model gave for some users.",
    "seeds.csv": "The users to ask first about a challenge that does not exist yet.",
    "audit.json": "Checks for leaks between training and test data.",
    "evaluation/tables": "Every table as Markdown, JSON and LaTeX.",
    "model": "The trained model; its curves: tensorboard --logdir=model.",
    "export": "The SavedModel, which tf-serving loads as it is.",
    "corpus": "The posts as Parquet tables, with DATASET_CARD.md.",
    "frames": "Frames and captions as TFRecords.",
    "features": "Features of EfficientNet-Lite0 and of BERT as TFRecords.",
    "world": "The synthetic posts and videos, and the truth behind them.",
    "logs": "What each command printed.",
}


def show_results(console: Console, run: Path, answers: pl.DataFrame) -> None:
    """Prints a short table of models, the verdict, and some answers beside the truth.

    Args:
        console: where to print.
        run: directory of a run of `evaluate`.
        answers: columns `user_id`, `challenge`, `probability`, `truth`, `joined`.
    """
    from rich.table import Table

    from dc_keras.evaluation.result_tables import DEEP_CHALLENGER
    from dc_keras.evaluation.saved_run import SavedRun
    from dc_keras.evaluation.verdict import SPLIT_NAMES, short_list, verdict

    for split, result in SavedRun.open(run).judgements.items():
        table = Table(box=None, title_justify="left", padding=(0, 2, 0, 0))
        table.title = f"\nAverage precision for {SPLIT_NAMES[split]}, 95 % interval"
        for name, justify in (("model", "left"), ("AP", "right"), ("interval", "left")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        table.add_column("")
        for model in short_list(result):
            low, high = result.interval(model)
            value = result.average_precision(model)
            bar = "█" * round(_BAR_WIDTH * value)
            style = "bold" if model == DEEP_CHALLENGER else None
            table.add_row(
                model, f"{value:.3f}", f"{low:.3f} to {high:.3f}", bar, style=style
            )
        console.print(table)
        console.print(f"\n{verdict(result) or ''}")
    console.print("\nAnswers of the exported model, beside the truth")
    for user, challenge, served, truth, joined in answers.select(
        "user_id", "challenge", "probability", "truth", "joined"
    ).iter_rows():
        name = escape_controls(challenge)
        outcome = "joined" if joined else "did not join"
        console.print(
            f"  {user[:8]}  {name:24}  served {served:.3f}  "
            f"true {truth:.3f}  {outcome}",
            markup=False,
        )


def write_index(work: Path, world: str) -> Path:
    """Writes a page that links everything that a demo made, a line each."""
    from dc_keras.reporting.templating import render_template
    from tfrecords.storage.atomic_update import write_text

    made = {path: what for path, what in _PAGES.items() if (work / path).exists()}
    page = work / "index.html"
    text = render_template(
        "index.html.jinja",
        title="dc_keras demo",
        is_synthetic=True,
        has_plots=False,
        world=world,
        pages={path: what for path, what in made.items() if path.endswith(".html")},
        files={path: what for path, what in made.items() if path[-5:] != ".html"},
    )
    write_text(page, text)
    return page
