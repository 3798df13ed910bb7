"""Hostile records are sanitised or quarantined with a reason."""

import gzip
import json

import pytest

from dc_keras.corpus.importing.sources import reading
from dc_keras.corpus.store import Corpus


def _videos(directory):
    return list(Corpus.open(directory).iter_videos())


_HOSTILE = {
    "an id that is a path": {"id": "../../x"},
    "an id of NUL": {"id": "1\0"},
    "a long caption": {"desc": "#a " * 3_000_000},
    "absurd counts": {"stats": {"playCount": 10**30, "diggCount": -5}},
    "an absurd date": {"createTime": 10**18},
    "half a pair": {"desc": "\ud83d", "music": {"title": "\udc00"}},
    "a handle of NUL": {"author": {"uniqueId": "a\0b"}},
}


@pytest.mark.parametrize("case", _HOSTILE)
def test_hostile_records_are_sanitised_or_quarantined(
    give, corpus_dir, make_item, case
):
    summary = give(a=[make_item(**_HOSTILE[case]), make_item(5)])
    total = summary.total
    assert (total.given, total.imported + total.quarantined) == (2, 2)
    assert total.imported >= 1
    videos = _videos(corpus_dir)
    assert all(video.video_id.isdecimal() for video in videos)
    assert all(video.create_time is not None for video in videos)
    assert {path.name for path in corpus_dir.parent.iterdir()} == {"a.json", "corpus"}


@pytest.mark.parametrize(
    "nested",
    [
        b'{"data":' * 600 + b"1" + b"}" * 600,
        b'{"id":"1","desc":' + b"[" * 900 + b"]" * 900 + b',"author":3}',
        b"[" * 100_000,
    ],
)
def test_deep_nesting_is_quarantined(give, nested):
    total = give(a=nested + b"\n").total
    assert (total.given, total.quarantined) == (1, 1)


def test_a_bomb_in_gzip_is_quarantined_and_the_rest_is_read(
    give, monkeypatch, make_item
):
    monkeypatch.setattr(reading, "MAX_BYTES", 2**20)
    line = json.dumps(make_item()).encode()
    bomb = gzip.compress(line + b"\n" + bytes(2**24) + b"\n" + line + b"\n")
    assert len(bomb) < 2**16
    total = give(a=bomb).total
    assert (total.given, total.quarantined) == (3, 1)
    whole = give(b=gzip.compress(b"{" + bytes(2**24))).total
    assert (whole.given, whole.quarantined) == (1, 1)
