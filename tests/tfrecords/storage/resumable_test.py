import pytest

from tfrecords.errors import DataError
from tfrecords.storage.checksums import SUMS_FILE, read_sums
from tfrecords.storage.resumable import finish_files, open_resumable

_NAMES = {"part-0", "part-1"}


@pytest.fixture
def place(tmp_path):
    """A run with two finished files."""
    place = tmp_path / "run"
    assert set(_open(place)) == {"config.json"}
    for name in _NAMES:
        (place / name).write_text(name)
    finish_files(place, [*_NAMES, "never written"])
    return place


def _open(place, **config):
    return open_resumable(place, {"seed": 0, **config}, "predict")


def test_a_missing_file_is_unfinished(place):
    assert set(_open(place)) == {"config.json", *_NAMES}
    (place / "part-1").unlink()
    assert set(_open(place)) == {"config.json", "part-0"}
    assert set(read_sums(place / SUMS_FILE)) == {"config.json", "part-0"}


def test_a_damaged_file_is_named_with_what_to_do(place):
    (place / "part-1").write_text("part-2")
    rule = "part-1: damaged: .* or delete it and run the same command again; --noverify"
    with pytest.raises(DataError, match=rule):
        _open(place)
    (place / "part-1").unlink()
    assert set(_open(place)) == {"config.json", "part-0"}


def test_files_of_an_unknown_configuration_are_refused(place):
    (place / "config.json").unlink()
    with pytest.raises(DataError, match=r"files, but no config\.json .* --output"):
        _open(place, seed=1)
    assert {path.name for path in place.iterdir()} == {SUMS_FILE, *_NAMES}


def test_a_configuration_that_is_no_json_is_one_line(place):
    (place / SUMS_FILE).unlink()
    (place / "config.json").write_text("{")
    with pytest.raises(DataError, match=r"must be the config\.json of predict"):
        _open(place)


def test_another_configuration_is_refused(place):
    with pytest.raises(DataError, match="Received: seed=1 instead of 0"):
        _open(place, seed=1)
