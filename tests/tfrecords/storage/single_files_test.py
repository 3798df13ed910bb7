import polars as pl
import pytest

from tfrecords.errors import DataError
from tfrecords.storage.atomic_update import write_answers, write_table, write_text
from tfrecords.storage.checksums import seal_directory


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
