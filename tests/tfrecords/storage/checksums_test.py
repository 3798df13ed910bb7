import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.errors import DataError
from tfrecords.storage.checksums import (
    add_to_sums,
    hash_file,
    read_sums,
    seal_directory,
    sums_beside,
    write_sealed_file,
    write_sums,
)


@pytest.fixture
def place(tmp_path):
    for name in ("a b.txt", "deep/é", "deep/c", ".hidden", "inner/SHA256SUMS"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_a_list_has_every_file_but_hidden_ones_and_other_lists(place):
    seal_directory(place)
    sums = read_sums(place / "SHA256SUMS")
    assert list(sums) == ["a b.txt", "deep/c", "deep/é"]
    assert sums["deep/c"] == hash_file(place / "deep" / "c")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is absent")
def test_the_tool_of_the_system_reads_it(place):
    seal_directory(place)
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    (place / "deep" / "c").write_text("other")
    assert subprocess.run(
        command, cwd=place, check=False, capture_output=True
    ).returncode


def test_a_file_is_added(place):
    seal_directory(place)
    before = read_sums(place / "SHA256SUMS")
    (place / "new").write_text("new")
    add_to_sums(place, ["new"])
    assert read_sums(place / "SHA256SUMS") == {
        **before,
        "new": hash_file(place / "new"),
    }


def test_a_file_of_its_own_has_its_list_beside_it(tmp_path):
    path = tmp_path / "answers.csv"
    write_sealed_file(path, lambda place: place.write_text("a,b\n"))
    assert read_sums(sums_beside(path)) == {"answers.csv": hash_file(path)}


def test_a_stopped_writer_leaves_no_checksum_of_another_file(tmp_path):
    path = tmp_path / "answers.csv"
    write_sealed_file(path, lambda place: place.write_text("a,b\n"))

    def stop(place):
        place.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sealed_file(path, stop)
    assert read_sums(sums_beside(path)) is None


def test_there_need_be_none(tmp_path):
    assert read_sums(tmp_path / "SHA256SUMS") is None


def test_a_name_with_a_line_break_is_refused(tmp_path):
    with pytest.raises(DataError, match="must have no line break"):
        write_sums(tmp_path / "SHA256SUMS", {"a\nb": "0" * 64})


@given(st.data())
def test_every_flipped_bit_of_a_list_shows(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("list") / "SHA256SUMS"
    write_sums(path, {"a": "0" * 64, "b c": "1" * 64})
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    with pytest.raises(DataError, match="SHA256SUMS: damaged: the list"):
        read_sums(path)
