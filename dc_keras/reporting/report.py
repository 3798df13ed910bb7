"""Writes the report of a run."""

from __future__ import annotations

from pathlib import Path

from dc_keras.corpus.importing.dataset_card import CARD_FILE
from dc_keras.corpus.store import Corpus, write_sealed
from dc_keras.errors import DataError
from dc_keras.evaluation.saved_run import SavedRun


def write_report(run: SavedRun, output: Path, corpus: Corpus | None = None) -> None:
    """Writes one HTML page that needs no network, readable by anyone with a browser.

    Args:
        run: a finished run.
        output: the page.
        corpus: whose dataset card is shown.

    Raises:
        DataError: the extra `report` is not installed, or the corpus has no card.
    """
    try:
        from dc_keras.reporting.page import render_page
    except ImportError as error:
        raise DataError(
            "the report needs the extra `report`: pip install 'dc_keras[report]'. "
            f"Received: {error}"
        ) from error
    card = None if corpus is None else _read_card(corpus)
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
