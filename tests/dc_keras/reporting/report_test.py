import sys

import pytest

from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.reporting.report import write_report


def test_a_missing_extra_is_reported(saved_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "dc_keras.reporting.page", raising=False)
    with pytest.raises(
        DataError, match=r"extra `report`: pip install 'dc_keras\[report\]'. Received"
    ) as caught:
        write_report(saved_run, tmp_path / "report.html")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def test_a_corpus_without_a_card_is_refused(saved_run, tmp_path):
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    corpus = Corpus(tmp_path, {})
    with pytest.raises(
        DataError, match=r"must have a DATASET_CARD.md: .*import_corpus"
    ):
        write_report(saved_run, tmp_path / "report.html", corpus)


def test_directories_are_created_and_writes_are_atomic(saved_run, tmp_path):
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    write_report(saved_run, tmp_path / "new" / "report.html")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]
    assert (tmp_path / "new" / "report.html").stat().st_size > 1_000_000
