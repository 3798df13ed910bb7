import hashlib
import json

import pytest

from dc_keras.corpus.importing.quarantine import Rejected, append_rejected
from dc_keras.errors import DataError
from tfrecords.storage.atomic_update import Switch


def _rejected(content, position="line 1", keep_raw=False):
    return Rejected.of(
        content, file="a.json", position=position, reason="why", keep_raw=keep_raw
    )


def _line(content, **changes):
    return _rejected(content, **changes).to_json()


def test_a_line_names_the_place_and_nothing_of_the_content():
    entry = json.loads(_rejected({"id": "7", "author": "ann"}).to_json())
    canonical = b'{"author":"ann","id":"7"}'
    assert entry == {
        "file": "a.json",
        "position": "line 1",
        "reason": "why",
        "sha256": hashlib.sha256(canonical).hexdigest(),
        "keys": ["author", "id"],
    }


def test_the_keys_of_a_table_are_not_told_because_they_may_be_handles():
    assert _rejected({"ann": {}, "bob": {}}).keys == ()


def test_raw_content_is_kept_on_request():
    assert json.loads(_rejected(b"ann\xff", keep_raw=True).to_json())["raw"] == "ann�"


def test_what_is_nested_too_deep_to_write_is_still_named():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    entry = json.loads(_line({"id": "7", "x": deep}))
    assert entry["keys"] == ["id", "x"]


def _code(name):
    return f"u_{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def _append(directory, lines, **options):
    with Switch(directory) as files:
        number = append_rejected(directory, files, lines, code=_code, **options)
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


def test_what_is_to_be_left_out_goes_be_it_old_or_new(tmp_path):
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
def test_no_name_of_a_file_or_a_key_is_kept(tmp_path, name):
    rejected = Rejected.of(
        {name: [1], "author": 2},
        file=f"{name}.ndjson.gz",
        position=f"line 3 {name}.ItemModule.6871947673600000001[4]",
        reason="why",
        keep_raw=False,
    )
    _append(tmp_path, [rejected.to_json()])
    path = tmp_path / "quarantine.jsonl"
    entry = json.loads(path.read_text())
    assert "ann" not in path.read_text().lower()
    assert entry["file"] == f"{_code('ann.kx')}.ndjson.gz"
    assert sorted(entry["keys"]) == sorted(["author", _code("ann.kx")])
    parts = f"{_code('ann')}.{_code('kx')}"
    assert entry["position"] == f"line 3 {parts}.ItemModule.6871947673600000001[4]"
    before = path.read_bytes()
    assert _append(tmp_path, [rejected.to_json()]) == 1
    assert path.read_bytes() == before


def test_names_of_files_are_kept_with_the_content(tmp_path):
    line = _line({"ann": 1}, keep_raw=True)
    _append(tmp_path, [line])
    assert (tmp_path / "quarantine.jsonl").read_text() == line + "\n"


def test_no_file_without_a_line(tmp_path):
    assert _append(tmp_path, []) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["{", "[]", "{}", "3"])
def test_a_foreign_file_is_told(tmp_path, line):
    (tmp_path / "quarantine.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match="every line must be a quarantine entry"):
        _append(tmp_path, [])
