import json

import pytest

from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError


def test_patterns_match_any_depth_and_files_are_unique(
    tmp_path, corpus_dir, make_item, pseudonymizer
):
    for number, name in enumerate(["x/[1].json", "x/y/2.json", "x/y/3.txt"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([make_item(number)]))
    inputs = [f"{tmp_path}/x/**/*.json", f"{tmp_path}/x/[1].json"]
    summary = import_files(inputs, corpus_dir, pseudonymizer=pseudonymizer)
    assert (len(summary.files), summary.num_videos) == (2, 2)


@pytest.mark.parametrize("pattern", ["none.json", "*.none", "none/**/*.json"])
def test_a_pattern_without_files_is_an_error(
    tmp_path, corpus_dir, pseudonymizer, pattern
):
    with pytest.raises(
        DataError, match=r"`input` must match a file. Received: input=.*none"
    ):
        import_files([f"{tmp_path}/{pattern}"], corpus_dir, pseudonymizer=pseudonymizer)
    assert not corpus_dir.exists()


def test_a_directory_stands_for_the_files_below_it(
    tmp_path, corpus_dir, make_item, pseudonymizer
):
    exports = tmp_path / "exports"
    for number, name in enumerate(["1.json", "x/y/2.txt", ".git/3.json", "x/4.mp4"]):
        path = exports / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make_item(number)))
    summary = import_files([str(exports)], corpus_dir, pseudonymizer=pseudonymizer)
    assert [file.name for file in summary.files] == ["1.json", "2.txt"]


def test_a_corpus_below_the_inputs_is_not_imported(tmp_path, make_item, pseudonymizer):
    (tmp_path / "1.json").write_text(json.dumps(make_item()))
    corpus = tmp_path / "made" / "corpus"
    for pattern in (tmp_path, f"{tmp_path}/**/*"):
        summary = import_files([str(pattern)], corpus, pseudonymizer=pseudonymizer)
        assert [file.name for file in summary.files] == ["1.json"]
        assert (summary.num_videos, summary.num_users) == (1, 1)
    with pytest.raises(DataError, match="must be an export, and not a corpus"):
        import_files([f"{corpus}/videos.parquet"], corpus, pseudonymizer=pseudonymizer)


def test_a_directory_without_exports_is_an_error(tmp_path, corpus_dir, pseudonymizer):
    (tmp_path / "1.mp4").touch()
    with pytest.raises(DataError, match="not an image or a video"):
        import_files([str(tmp_path)], corpus_dir, pseudonymizer=pseudonymizer)


def test_no_input_is_an_error(corpus_dir, pseudonymizer):
    with pytest.raises(DataError, match="`input` must have at least one value"):
        import_files([], corpus_dir, pseudonymizer=pseudonymizer)


def test_a_corpus_of_a_simulated_world_is_known_as_such(
    tmp_path, corpus_dir, make_item, pseudonymizer
):
    def give(name, number, truth=None):
        path = tmp_path / name / "items.json"
        path.parent.mkdir()
        path.write_text(json.dumps([make_item(number)]))
        if truth is not None:
            path.with_name("truth.json").write_text(truth)
        import_files([str(path)], corpus_dir, pseudonymizer=pseudonymizer)
        return Corpus.open(corpus_dir).is_synthetic

    assert not give("collected", 1)
    # Another file of this name, and one that is not JSON.
    assert not give("votes", 2, '["true"]')
    assert not give("notes", 3, "true")
    assert not give("damaged", 4, '{"synthetic": tr')
    assert give("world", 5, '{"synthetic": true}')
    # A corpus keeps it, wherever the world is now and whatever is added.
    (tmp_path / "world" / "truth.json").unlink()
    assert give("later", 6)
