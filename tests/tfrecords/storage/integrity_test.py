import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.errors import DataError
from tfrecords.storage import integrity
from tfrecords.storage.atomic_update import AtomicUpdate
from tfrecords.storage.checksums import read_sums, seal_directory, write_sealed_file
from tfrecords.storage.integrity import verify_directory, verify_file

_FILES = {"a": "one", "deep/b": "two", "deep/c": "three"}


def _make(place):
    for name, text in _FILES.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    seal_directory(place)
    return place


@pytest.fixture
def place(tmp_path):
    return _make(tmp_path / "artifact")


@given(st.data())
def test_every_flipped_bit_of_any_file_is_reported(tmp_path_factory, data):
    place = _make(tmp_path_factory.mktemp("artifact"))
    path = place / data.draw(st.sampled_from([*_FILES, "SHA256SUMS"]))
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path}: damaged") as told:
        verify_directory(place, "train")
    assert "\n" not in str(told.value)


def test_a_missing_file_is_reported_with_the_script_that_writes_it(place):
    (place / "deep" / "b").unlink()
    rule = r"deep/b: missing; .* `python -m pipelines.build_graph`; --noverify"
    with pytest.raises(DataError, match=rule):
        verify_directory(place, "build_graph")


def test_an_additional_file_is_logged_or_refused_in_closed_directories(place, caplog):
    (place / "deep" / "d").write_text("four")
    with pytest.raises(DataError, match="deep/d: not in SHA256SUMS"):
        verify_directory(place, "evaluate", closed=["deep"])
    with caplog.at_level(logging.WARNING):
        verify_directory(place, "evaluate")
    assert caplog.messages == [f"{place}: not in its SHA256SUMS: deep/d"]


def test_an_artifact_without_checksums_is_logged(place, caplog):
    (place / "SHA256SUMS").unlink()
    with caplog.at_level(logging.WARNING):
        verify_directory(place, "train")
    assert caplog.messages == [
        f"{place} has no SHA256SUMS, so that its files cannot be verified"
    ]


def test_files_with_their_own_checksums_must_only_exist(place):
    (place / "a").unlink()
    with pytest.raises(DataError, match="a: missing"):
        verify_directory(place, "train", is_checked=lambda name: name == "a")
    (place / "a").write_text("other")
    verify_directory(place, "train", is_checked=lambda name: name == "a")


def test_an_artifact_inside_has_checksums_of_its_own(place):
    _make(place / "inner")
    (place / "inner" / "a").write_text("other")
    with pytest.raises(DataError, match=r"inner/a: damaged"):
        verify_directory(place, "train")


def test_files_are_read_once_until_they_change(place, monkeypatch):
    read = []
    hash_file = integrity.hash_file
    monkeypatch.setattr(
        integrity, "hash_file", lambda path: read.append(path) or hash_file(path)
    )
    verify_directory(place, "train")
    verify_directory(place, "train")
    assert len(read) == len(_FILES)
    with AtomicUpdate(place) as files:
        files.path("a").write_text("new")
        files.commit()
    verify_directory(place, "train")
    assert len(read) == 2 * len(_FILES)


def test_a_change_by_another_process_meanwhile_is_no_damage(place, monkeypatch):
    hash_file = integrity.hash_file
    changes = iter(["new"])

    def hash_and_change(path):
        for text in changes:
            with AtomicUpdate(place) as files:
                files.path("deep/c").write_text(text)
                files.commit()
        return hash_file(path)

    monkeypatch.setattr(integrity, "hash_file", hash_and_change)
    verify_directory(place, "train")


def test_a_file_is_compared_with_the_list_beside_it_or_around_it(place):
    alone = place / "answers.csv"
    alone.write_text("of other origin")
    verify_file(alone, "predict")
    write_sealed_file(alone, lambda path: path.write_text("a,b\n"))
    verify_file(alone, "predict")
    for path in (alone, place / "a"):
        path.write_text("other")
        with pytest.raises(DataError, match=f"{path}: damaged"):
            verify_file(path, "predict")


def test_verification_can_be_turned_off(place):
    (place / "a").write_text("other")
    code = (
        "import sys; from pathlib import Path; from tfrecords.storage import integrity as v;"
        "v.trust_everything(); v.verify_directory(Path(sys.argv[1]), 'train');"
        "v.verify_file(Path(sys.argv[1]) / 'a', 'train')"
    )
    subprocess.run([sys.executable, "-c", code, str(place)], check=True)


def test_checksums_follow_a_change_and_damage_is_not_covered(place):
    with AtomicUpdate(place) as files:
        files.path("new").write_text("new")
        files.remove("a")
        files.commit()
    assert sorted(read_sums(place / "SHA256SUMS")) == ["deep/b", "deep/c", "new"]
    verify_directory(place, "train")
