import sys

import polars as pl
import pytest

from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.reporting.report import write_report


def test_a_missing_extra_is_reported(saved_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in ("page", "templating"):
        monkeypatch.delitem(sys.modules, f"dc_keras.reporting.{name}", raising=False)
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


def test_the_corpus_must_have_the_posts_of_the_run(saved_run, tmp_path):
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    (tmp_path / "DATASET_CARD.md").write_text("# Dataset card\n\nfound", "utf-8")
    corpus, output = Corpus(tmp_path, {}), tmp_path / "report.html"
    rows = list(saved_run.video_users().items())
    posts = pl.DataFrame(rows, schema=["video_id", "user_id"], orient="row")
    # A post is missing, and another has the pseudonym of another key.
    user = pl.when(pl.col("video_id") == "v_0001").then(pl.lit("x"))
    corpus.videos = posts[1:].with_columns(user_id=user.otherwise("user_id"))
    with pytest.raises(DataError) as caught:
        write_report(saved_run, output, corpus)
    assert str(caught.value) == (
        f"`corpus` must be the corpus that {saved_run.directory} was evaluated on. "
        f"Received: corpus={tmp_path}, which lacks 2 of its 60 posts"
    )
    assert not output.exists()
    corpus.videos = posts
    write_report(saved_run, output, corpus)
    assert "<p>found</p>" in output.read_text("utf-8")


def test_directories_are_created_and_writes_are_atomic(saved_run, tmp_path):
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    write_report(saved_run, tmp_path / "new" / "report.html")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]
    assert (tmp_path / "new" / "report.html").stat().st_size > 1_000_000
