import json

import pytest

from dc_keras.corpus.collecting.plan import Target
from dc_keras.corpus.collecting.raw_pages import Answer, RawPages
from dc_keras.errors import DataError

_TARGET = Target("suggested", "ann")
_ANSWERS = [
    Answer("user_detail", None, {"id": 2**70, "lone": "\ud83d"}),
    Answer("suggested", None, "<html>\n", {"user_id": "1", "handle": "ann"}),
    Answer("suggested", "30", {"✓": [1.5, None]}, {"user_id": "2", "handle": "bob"}),
]


@pytest.fixture
def raw(tmp_path):
    raw = RawPages(tmp_path, _TARGET)
    for answer in _ANSWERS:
        raw.append(answer)
    return raw


@pytest.fixture
def path(tmp_path, raw):
    [path] = (tmp_path / "raw").iterdir()
    return path


def test_saved_answers_are_read_back_unchanged(raw, tmp_path):
    assert list(raw) == list(RawPages(tmp_path, _TARGET)) == _ANSWERS


def test_line_contains_request_and_time(path):
    meta = json.loads(path.read_text("utf-8").splitlines()[1])["__collect_meta"]
    assert meta.pop("collected_at") > 1_700_000_000
    assert meta == {
        "version": 1,
        "request": "suggested",
        "target": "ann",
        "cursor": "30",
        "seed": {"user_id": "2", "handle": "bob"},
    }


@pytest.mark.parametrize("torn", [1, 30])
def test_incomplete_last_line_is_removed_and_requested_again(path, tmp_path, torn):
    path.write_bytes(path.read_bytes()[:-torn])
    healed = RawPages(tmp_path, _TARGET)
    assert list(healed) == _ANSWERS[:2]
    healed.append(_ANSWERS[2])
    assert list(healed) == _ANSWERS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 3: must be an answer saved by `collect`"),
        ('{"data": 1}', "Received: KeyError"),
        (
            '{"__collect_meta": {"version": 2, "request": "", "cursor": 0}, "data": 1}',
            "line 3: `version` must be 1. Received: version=2",
        ),
    ],
)
def test_invalid_line_is_refused(raw, path, line, message):
    with path.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(DataError, match=message):
        list(raw)
