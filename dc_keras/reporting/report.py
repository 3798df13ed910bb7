"""Writes the report of an evaluation run."""

from __future__ import annotations

from pathlib import Path

from dc_keras.corpus.store import Corpus, write_sealed
from dc_keras.errors import DataError
from dc_keras.evaluation.saved_run import SavedRun
from dc_keras.study.dataset_card import CARD_FILE


def write_report(run: SavedRun, output: Path, corpus: Corpus | None = None) -> None:
    """Writes the report as one self-contained HTML page.

    Args:
        run: a finished run.
        output: path of the page.
        corpus: corpus whose dataset card is included; None for no card.

    Raises:
        DataError: the extra `report` is not installed, or the corpus has no card or
            lacks a post of the run.
    """
    try:
        from dc_keras.reporting.page import render_page
    except ImportError as error:
        raise DataError(
            "the report needs the extra `report`: pip install 'dc_keras[report]'. "
            f"Received: {error}"
        ) from error
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
