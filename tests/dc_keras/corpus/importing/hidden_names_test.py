"""What an import stores about people: pseudonyms, aliases, account counts."""

import json
import os
import re

import pytest
from corpus_files import hash_files, read_videos

from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.store import Corpus


def test_no_identity_is_stored(give, corpus_dir, make_item):
    broken = make_item(1, id="no id", author={"id": "5", "uniqueId": "Ann"})
    give(a={"itemList": [make_item(), broken]})
    table = Corpus.open(corpus_dir).videos.write_json()
    users = Corpus.open(corpus_dir).users.write_json()
    quarantine = (corpus_dir / "quarantine.jsonl").read_text()
    for identity in ("Ann", "ann", "Some.One", "some.one", "665516206", "MS4x"):
        assert identity not in table + users + quarantine


def test_the_owner_of_a_sound_is_not_stored(give, corpus_dir, make_item):
    own = {"id": "6740249209892505602", "original": True, "title": "loop - Else Where"}
    named = {"id": "6740249209892505603", "title": "sonido original - Ann A."}
    lost = {"id": "6740249209892505604", "original": True, "title": " - Else Where"}
    give(
        a=[make_item(number, music=m) for number, m in enumerate((own, named, lost))],
        keep_handles=True,
    )
    titles = [video.music_title for video in read_videos(corpus_dir)]
    assert titles == ["loop", "sonido original", None]


def test_handles_and_raw_content_are_kept_on_request(give, corpus_dir, make_item):
    give(a=[make_item(), make_item(1, id="no id")], keep_handles=True, keep_raw=True)
    [video] = read_videos(corpus_dir)
    [user] = Corpus.open(corpus_dir).iter_users()
    assert (video.username, user.usernames) == ("Ann", ("Ann",))
    assert "Some.One" in (corpus_dir / "quarantine.jsonl").read_text()


@pytest.mark.parametrize("order", ["handle first", "id first"])
def test_an_author_known_by_handle_is_merged_with_the_user(
    give, corpus_dir, make_item, pseudonymizer, order
):
    files = {"a": [make_item(0, author="ANN")], "b": [make_item(1)]}
    for name in sorted(files, reverse=order == "id first"):
        give(**{name: files[name]})
    user_id = pseudonymizer.user("6655162062744181174")
    assert {video.user_id for video in read_videos(corpus_dir)} == {user_id}
    assert Corpus.open(corpus_dir).users.height == 1
    before = hash_files(corpus_dir)
    give(a=files["a"])
    assert hash_files(corpus_dir) == before


def test_account_counts_are_those_of_the_newest_export(give, corpus_dir, make_item):
    def line(followers, seen, **stats):
        item = make_item(authorStats={"followerCount": followers, **stats})
        return {"data": item, "timestamp_collected": 1000 * seen}

    give(a=[line(7, 2000, videoCount=3), line(5, 1000, heart=9)])
    [user] = Corpus.open(corpus_dir).iter_users()
    counts = (user.followers, user.total_likes, user.total_posts, user.account_seen)
    assert counts == (7, 9, 3, 2000)
    before = hash_files(corpus_dir)
    give(b=[line(6, 1500)])
    assert hash_files(corpus_dir)["users.parquet"] == before["users.parquet"]


def test_names_with_lone_surrogates_end_no_import(tmp_path, corpus_dir, pseudonymizer):
    path = tmp_path / os.fsdecode(b"ann\xff.ndjson")
    path.write_text('{"\\ud800nn": 1}\n')
    import_files([str(path)], corpus_dir, pseudonymizer=pseudonymizer)
    entry = json.loads((corpus_dir / "quarantine.jsonl").read_text("utf-8"))
    assert re.fullmatch(r"u_[0-9a-f]{10}\.ndjson", entry["file"])
    assert re.fullmatch(r"u_[0-9a-f]{10}", entry["keys"][0])
