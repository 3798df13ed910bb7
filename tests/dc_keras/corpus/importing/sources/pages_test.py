import base64
import gzip
import json
import zlib

import pytest

from dc_keras.corpus.importing.sources.pages import PAYLOAD_IDS, find_payloads
from dc_keras.corpus.store import Corpus


def test_scripts_with_the_state_are_found():
    for name in PAYLOAD_IDS:
        page = f'<p>x</p><script>1 < 2</script><script id="{name}">{{"a":1}}</script>'
        assert find_payloads(page) == [(name, '{"a":1}')]


def test_an_assignment_ends_where_its_value_ends():
    page = '<script>window["SIGI_STATE"] = {"a": "};"}; window.x = 1</script>'
    assert find_payloads(page) == [("SIGI_STATE", '{"a": "};"}')]


def test_a_page_without_state_has_none():
    assert find_payloads("<html><script>var a</script>") == []


_URL = "https://www.tiktok.com/api/post/item_list/?count=35"
_OTHER = "an answer of another host than TikTok's or a service for its posts"


def _entry(text, url=_URL, **content):
    content = {"mimeType": "application/json", "text": text} | content
    started = "2020-09-14T00:00:00.123Z"
    request, response = {"url": url, "method": "GET"}, {"content": content}
    return {"request": request, "response": response, "startedDateTime": started}


def _packed(data):
    text = base64.b64encode(data).decode()
    return _entry(text, encoding="base64")


@pytest.fixture
def read(give, corpus_dir):
    def run(*entries):
        summary = give(a={"log": {"version": "1.2", "entries": list(entries)}})
        ids = [video.video_id for video in Corpus.open(corpus_dir).iter_videos()]
        return ids, dict(summary.files[0].reasons)

    return run


@pytest.fixture
def answer(make_item):
    return lambda number=0: json.dumps({"itemList": [make_item(number)]})


def test_plain_and_compressed_answers_are_read(read, answer, video_id):
    entries = [
        _entry(answer(0)),
        _packed(answer(1).encode()),
        _packed(gzip.compress(answer(2).encode())),
        _packed(zlib.compress(answer(3).encode())),
        _entry("for (;;);" + answer(4)),
        _entry(")]}'\n" + answer(5)),
        _entry(answer(6) + "\n" + answer(7)),
    ]
    assert read(*entries) == ([video_id(number) for number in range(8)], {})


def test_the_recording_has_the_collection_time(give, corpus_dir, answer):
    give(a={"log": {"entries": [_entry(answer())]}})
    [video] = Corpus.open(corpus_dir).iter_videos()
    assert video.collected_at == 1_600_041_600


@pytest.mark.parametrize(
    ("url", "is_read"),
    [
        ("https://m.tiktok.com/api/x", True),
        ("https://api16-normal-useast5.tiktokv.us/aweme/v1/feed/", True),
        ("https://www.tikwm.com/api/feed", True),
        ("http://localhost:8000/api", True),
        ("https://www.instagram.com/api/v1/feed", False),
        ("https://tiktok.com.example.com/", False),
        ("https://example.com/?u=https://www.tiktok.com", False),
    ],
)
def test_answers_of_other_hosts_are_reported_and_not_read(read, answer, url, is_read):
    ids, reasons = read(_entry(answer(), url=url))
    assert (len(ids), reasons) == ((1, {}) if is_read else (0, {_OTHER: 1}))


def test_answers_without_posts_are_ignored(read, answer):
    others = [
        *(None, 5, {}, {"response": None}, {"response": {"content": {"text": 3}}}),
        _entry("", mimeType=""),
        _entry("function(){}", mimeType="text/javascript"),
        _packed(b"\x89PNG\r\n\xff"),
        _packed(b"\x1f\x8bxx"),
        _entry("%%%", encoding="base64"),
        _entry(json.dumps({"code": "10000", "type": "verify"})),
        _entry(json.dumps({"ads": [1]}), url="https://ads.example.com"),
    ]
    ids, reasons = read(*others, _entry(answer()))
    assert (len(ids), reasons) == (1, {})
    _, reasons = read(*others)
    assert reasons == {"an HAR file without an answer that has posts": 1}


def test_a_truncated_answer_gives_its_complete_posts_and_a_reason(read, make_item):
    text = json.dumps({"itemList": [make_item(n) for n in range(3)]})
    ids, reasons = read(_entry(text[:-100]))
    assert len(ids) == 2
    assert [reason[:18] for reason in reasons] == ["cut off or damaged"]
