"""Whole exports of tools, real answers, and formats of a user's own."""

import gzip
import json
import re
from pathlib import Path

import pytest
from corpus_files import hash_files, read_videos

from dc_keras.corpus.importing.importer import import_files, register_source
from dc_keras.corpus.importing.sources import sniffing
from dc_keras.errors import DataError

_RAW = Path(__file__).parents[5] / "shared" / "data" / "raw"


def test_zeeschuimer_lines_in_gzip(give, corpus_dir, make_item):
    lines = [
        {"source_platform": "tiktok.com", "timestamp_collected": 7000, "data": item}
        for item in (make_item(0), make_item(1), make_item(2, liveRoomInfo={"a": 1}))
    ]
    data = gzip.compress("\n".join(map(json.dumps, lines)).encode())
    summary = give(a=data)
    assert (summary.total.imported, summary.total.quarantined) == (2, 1)
    assert {video.collected_at for video in read_videos(corpus_dir)} == {7}


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_saved_pages_of_both_kinds(give, corpus_dir, make_item, compress):
    page = '<!DOCTYPE html><script id="{}" type="application/json">{}</script>'
    embed = make_item(0, author="ann", authorId="5", nickname="Ann")
    module = {"ItemModule": {embed["id"]: embed}, "UserModule": {"users": {}}}
    detail = {"itemInfo": {"itemStruct": make_item(1)}, "statusCode": 0}
    scope = {"__DEFAULT_SCOPE__": {"webapp.video-detail": detail}}
    name = "__UNIVERSAL_DATA_FOR_REHYDRATION__"
    summary = give(
        a=compress(page.format("SIGI_STATE", json.dumps(module)).encode()),
        b=compress(page.format(name, json.dumps(scope)).encode()),
    )
    assert (summary.total.given, summary.total.imported) == (2, 2)
    assert len({video.user_id for video in read_videos(corpus_dir)}) == 2


def test_videos_of_whichtok_need_users_json(give, corpus_dir, make_item):
    video_id = make_item()["id"]
    table = f"id,desc,stats_playCount\n{video_id},hi,5\n".encode()
    alone = give(videos=table)
    assert alone.sources["whichtok_videos"].quarantined == 1
    assert "users.json, which contains" in (corpus_dir / "quarantine.jsonl").read_text()
    user = {"id": "5", "username": "ann", "used_hashtags": [], "videos": [video_id]}
    both = give(users={"ann": user}, videos=table)
    assert both.sources["whichtok_videos"].imported == 1
    assert [video.views for video in read_videos(corpus_dir)] == [5]


@pytest.mark.skipif(not _RAW.is_dir(), reason="shared/data/raw is absent")
@pytest.mark.parametrize(
    ("name", "source", "number"),
    [
        ("web_item_list.json", "web_item", 16),
        ("web_user_videos_2020.json", "web_item", 12),
        ("share_item_hashtag_2020.json", "share_item", 12),
        ("app_aweme_list.json", "aweme", 15),
        ("tiktok_scraper.json", "tiktok_scraper", 30),
        ("suggested_users_2020.json", "suggested", 12),
        ("suggested_hashtags_2020.json", "suggested", 14),
        ("suggested_music_2020.json", "suggested", 14),
    ],
)
def test_real_answers_are_imported_completely_and_once(
    corpus_dir, pseudonymizer, name, source, number
):
    summary = import_files([str(_RAW / name)], corpus_dir, pseudonymizer=pseudonymizer)
    assert list(summary.sources) == [source]
    total = summary.total
    assert (total.given, total.imported, total.quarantined) == (number, number, 0)
    before = hash_files(corpus_dir)
    import_files([str(_RAW / name)], corpus_dir, pseudonymizer=pseudonymizer)
    assert hash_files(corpus_dir) == before


@pytest.mark.skipif(not _RAW.is_dir(), reason="shared/data/raw is absent")
def test_rounded_sound_ids_of_the_app_are_repaired(corpus_dir, pseudonymizer):
    summary = import_files(
        [f"{_RAW}/app_aweme_list.json"], corpus_dir, pseudonymizer=pseudonymizer
    )
    notes = summary.sources["aweme"].notes
    assert (notes["rounded.music_id"], notes["repaired.music_id"]) == (15, 15)
    # The number was 7123453673090321000; the file of the sound is named by the exact id.
    sounds = {video.video_id: video.music_id for video in read_videos(corpus_dir)}
    assert sounds["7260749401829529212"] == "7123453673090321159"


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(sniffing, "_REGISTERED", [])


def test_the_documented_custom_format_works(registry, give, corpus_dir):
    page = (Path(__file__).parents[4] / "docs/sources.md").read_text("utf-8")
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], {})
    post = {"postId": "6871947673600000077", "by": "ann", "words": "hi #fun", "ups": 3}
    summary = give(a={"results": [post, {"postId": "x", "by": "ann"}]})
    assert [*summary.files[0].sources.items()] == [("my_tool", 1)]
    assert summary.total.quarantined == 1
    [video] = read_videos(corpus_dir)
    assert (video.source, video.hashtags, video.likes) == ("my_tool", ("fun",), 3)


def test_duplicate_source_names_are_refused(registry):
    with pytest.raises(
        DataError, match=r"must not be that of another source. Rec.*'web_item'"
    ):
        register_source("web_item", sniff=bool, read=bool)
