import hashlib
import json

import pytest

from dc_keras.corpus.importing.quarantine import (
    append_entries,
    make_entry,
    without_names,
)
from dc_keras.errors import DataError
from tfrecords.storage.atomic_update import AtomicUpdate


def _entry(content, position="line 1", **options):
    return make_entry(
        content, file="a.json", position=position, reason="why", **options
    )


def _line(content, **options):
    return json.dumps(_entry(content, **options))


def test_a_line_has_the_position_but_no_content():
    entry = _entry({"id": "7", "author": "ann"})
    canonical = b'{"author":"ann","id":"7"}'
    assert entry == {
        "file": "a.json",
        "position": "line 1",
        "reason": "why",
        "sha256": hashlib.sha256(canonical).hexdigest(),
        "keys": ["author", "id"],
    }


def test_the_keys_of_a_table_are_omitted_because_they_may_be_handles():
    assert _entry({"ann": {}, "bob": {}})["keys"] == []


def test_raw_content_is_kept_on_request():
    assert _entry(b"ann\xff", keep_raw=True)["raw"] == "ann�"


def test_too_deeply_nested_records_are_still_listed():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert _entry({"id": "7", "x": deep})["keys"] == ["id", "x"]


def _code(name):
    return f"u_{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def _append(directory, lines, **options):
    with AtomicUpdate(directory) as files:
        number = append_entries(directory, files, lines, **options)
        files.commit()
    return number


def test_a_line_is_appended_once(tmp_path):
    first, second = _line({"a": 1}), _line({"a": 1}, position="line 2")
    assert _append(tmp_path, [first]) == 1
    before = (tmp_path / "quarantine.jsonl").read_bytes()
    assert _append(tmp_path, [first]) == 1
    assert (tmp_path / "quarantine.jsonl").read_bytes() == before
    assert _append(tmp_path, [second, first]) == 2
    assert (tmp_path / "quarantine.jsonl").read_bytes().startswith(before)


def test_left_out_entries_are_dropped_both_old_and_new(tmp_path):
    old, new, other = (_line({name: 1}) for name in ("id", "desc", "title"))
    _append(tmp_path, [old])

    def is_another(entry):
        return entry["keys"] != ["title"]

    assert _append(tmp_path, [new, other], leave_out=is_another) == 1
    [line] = (tmp_path / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["keys"] == ["title"]
    _append(tmp_path, [], leave_out=lambda _: True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ann.kx", "@Ann.kx"])
def test_names_in_file_names_and_keys_are_replaced(name):
    given = make_entry(
        {name: [1], "author": 2},
        file=f"{name}.ndjson.gz",
        position=f"line 3 {name}.ItemModule.6871947673600000001[4]",
        reason="why",
    )
    entry = without_names(given, _code)
    assert "ann" not in json.dumps(entry).lower()
    assert entry["file"] == f"{_code('ann.kx')}.ndjson.gz"
    assert sorted(entry["keys"]) == sorted(["author", _code("ann.kx")])
    parts = f"{_code('ann')}.{_code('kx')}"
    assert entry["position"] == f"line 3 {parts}.ItemModule.6871947673600000001[4]"
    assert without_names(entry, _code) == entry


def test_names_of_files_are_kept_with_the_content():
    entry = _entry({"ann": 1}, keep_raw=True)
    assert without_names(entry, _code) == entry


def test_without_lines_there_is_no_file(tmp_path):
    assert _append(tmp_path, []) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["{", "[]", "{}", "3"])
def test_an_invalid_file_is_refused(tmp_path, line):
    (tmp_path / "quarantine.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match="every line must be a quarantine entry"):
        _append(tmp_path, [])
