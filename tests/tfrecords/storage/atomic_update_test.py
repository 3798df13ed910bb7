import shutil

import polars as pl
import pytest

from tfrecords.errors import DataError
from tfrecords.storage import atomic_update
from tfrecords.storage.atomic_update import (
    AtomicUpdate,
    finish_update,
    require_separate,
    write_answers,
    write_table,
    write_text,
)
from tfrecords.storage.checksums import seal_directory
from tfrecords.storage.integrity import verify_directory

_BEFORE = {"a": "old a", "b": "old b", "deep/c": "old c"}
_AFTER = {"a": "new a", "deep/d": "new d", "deep/c": "old c"}


def _read(directory):
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def place(tmp_path):
    for name, text in _BEFORE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def _change(directory):
    with AtomicUpdate(directory, seals=False) as files:
        files.path("a").write_text("new a")
        files.path("deep/d").write_text("new d")
        files.remove("b")
        files.remove("never there")
        files.commit()


def test_files_change_together(place):
    _change(place)
    assert _read(place) == _AFTER
    finish_update(place)
    assert _read(place) == _AFTER
    assert {path.name for path in place.iterdir()} == {"a", "deep"}


def test_without_a_decision_nothing_changes(place):
    with pytest.raises(KeyError), AtomicUpdate(place) as files:
        files.path("a").write_text("new a")
        raise KeyError
    assert _read(place) == _BEFORE


class _KilledError(BaseException):
    pass


def _kill_at(monkeypatch, step):
    """Makes all calls that change the disk fail from the given number on."""
    left = iter(range(step))

    def counted(function):
        def call(*arguments, **options):
            if next(left, None) is None:
                raise _KilledError
            return function(*arguments, **options)

        return call

    for name in ("rename", "replace", "unlink", "rmdir"):
        function = getattr(atomic_update.Path, name)
        monkeypatch.setattr(atomic_update.Path, name, counted(function))
    monkeypatch.setattr(atomic_update.shutil, "rmtree", lambda *_, **__: None)


def test_a_process_killed_at_any_step_leaves_the_old_or_the_new(place, monkeypatch):
    outcomes = []
    for step in range(20):
        for path in sorted(place.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for name, text in _BEFORE.items():
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_text(text)
        with monkeypatch.context() as patch:
            _kill_at(patch, step)
            try:
                _change(place)
            except _KilledError:
                pass
            else:
                break
        finish_update(place)
        left = {n: t for n, t in _read(place).items() if not n.startswith(".next")}
        assert left in (_BEFORE, _AFTER)
        outcomes.append(left == _AFTER)
    assert outcomes == [False, *[True] * (len(outcomes) - 1)]
    assert len(outcomes) > 4
    _change(place)
    assert _read(place) == _AFTER


def test_checksums_fit_wherever_a_process_is_killed(place, monkeypatch):
    seal_directory(place)
    for step in range(20):
        copy = place.parent / f"copy{step}"
        shutil.copytree(place, copy)
        with monkeypatch.context() as patch:
            _kill_at(patch, step)
            try:
                _change(copy)
                is_done = True
            except _KilledError:
                is_done = False
        verify_directory(copy, "train")
        if is_done:
            break
    assert is_done


@pytest.mark.parametrize(
    ("write", "content"), [(write_text, "new"), (write_table, pl.DataFrame({"a": [1]}))]
)
def test_an_error_leaves_no_temporary_file(tmp_path, write, content):
    write(tmp_path / "file", content)
    (tmp_path / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        write(tmp_path / "directory", content)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "directory"}


def test_answers_replace_no_file_of_an_artifact(tmp_path):
    (tmp_path / "users.parquet").touch()
    seal_directory(tmp_path)
    with pytest.raises(DataError, match="is part of the artifact"):
        write_answers(tmp_path / "users.parquet", "user_id")
    with pytest.raises(DataError, match="is part of the artifact"):
        require_separate(tmp_path / "users.parquet")
    require_separate(tmp_path / "other.json")


def test_a_file_of_an_artifact_below_another_directory_is_kept(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.json").write_text("{}")
    seal_directory(tmp_path)
    with pytest.raises(DataError, match="is part of the artifact"):
        require_separate(tmp_path / "tables" / "a.json")
