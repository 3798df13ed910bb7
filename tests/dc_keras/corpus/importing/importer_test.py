import json

import pytest
from corpus_files import hash_files, read_videos

from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from tfrecords.storage.locking import writing


def test_a_post_becomes_a_pseudonymous_record(
    give, corpus_dir, make_item, pseudonymizer
):
    give(a={"extra": {"now": 1_700_000_000_000}, "itemList": [make_item()]})
    [video] = read_videos(corpus_dir)
    someone = pseudonymizer.mention("some.one")
    assert video.user_id == pseudonymizer.user("6655162062744181174")
    assert video.caption == f"hello @{someone} #Fun"
    assert video.mentions == (someone,)
    assert video.hashtags == ("fun",)
    assert video.username is None
    assert (video.collected_at, video.first_collected_at) == (1_700_000_000,) * 2
    [user] = Corpus.open(corpus_dir).iter_users()
    assert user.aliases == (pseudonymizer.handle("ann"),)
    assert user.sec_uids == (pseudonymizer.sec_uid("MS4x"),)
    assert (user.first_seen, user.last_seen) == (1_600_000_000,) * 2


def test_every_record_is_accounted_for_once(give, corpus_dir, make_item, pseudonymizer):
    summary = give(
        a={"data": [make_item(), make_item(), make_item(author=None), {"user": 1}]},
        b=b'{"itemInfos":{"id":"6871947673600000077"},"authorInfos":{"userId":"5"}}\n{"x\n',
    )
    counts = {
        name: (count.given, count.imported, count.merged, count.quarantined)
        for name, count in summary.sources.items()
    }
    # The share item of b has the id of the web item of a: it merges.
    assert counts == {
        "share_item": (1, 0, 1, 0),
        "unknown": (2, 0, 0, 2),
        "web_item": (3, 1, 1, 1),
    }
    total = summary.total
    assert total.given == total.imported + total.merged + total.quarantined == 6
    lines = (corpus_dir / "quarantine.jsonl").read_text().splitlines()
    places = [(e["file"], e["position"], e["reason"]) for e in map(json.loads, lines)]
    a, b = (f"{pseudonymizer.mention(name)}.json" for name in "ab")
    assert places == [
        (a, "line 1 data[2]", "a post without an author"),
        (a, "line 1 data[3]", "unknown shape"),
        (b, "line 2", "not JSON"),
    ]


def test_importing_again_changes_no_byte(give, corpus_dir, make_item, tmp_path):
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / f"{make_item()['id']}.mp4").touch()
    documents = {
        "a": {"extra": {"now": 5000}, "items": [make_item(), {"bad": 1}]},
        "b": [make_item(desc="no stamp", stats={"playCount": 5}), make_item(1)],
    }
    give(**documents, media_root=tmp_path / "media")
    before = hash_files(corpus_dir)
    summary = give(**documents, media_root=tmp_path / "media")
    assert summary.total.imported == 0
    assert hash_files(corpus_dir) == before
    give(**documents)  # the corpus knows its media root
    assert hash_files(corpus_dir) == before


def test_a_second_file_merges_into_the_first(give, corpus_dir, make_item):
    give(
        a={"extra": {"now": 9000}, "items": [make_item(desc="late #b", textExtra=None)]}
    )
    give(b={"extra": {"now": 4000}, "items": [make_item(stats={"playCount": 1})]})
    [video] = read_videos(corpus_dir)
    assert (video.caption[:5], video.views) == ("hello", 100)
    assert (video.first_collected_at, video.collected_at) == (4, 9)


def test_a_missing_time_comes_from_the_id_and_is_counted(give, corpus_dir, make_item):
    summary = give(
        a=[
            make_item(0, createTime=None),
            make_item(1, createTime=1_600_000_060 + 2 * 86_400),
            make_item(2, id="123", createTime=None),
        ]
    )
    notes = summary.sources["web_item"].notes
    assert notes["create_time_from_id"] == 1
    assert notes["id_time_mismatch"] == 1
    assert notes["unknown.create_time"] == 1
    times = {video.video_id: video.create_time for video in read_videos(corpus_dir)}
    assert times[make_item(0)["id"]] == 1_600_000_000
    assert times["123"] is None


def test_a_rounded_sound_id_is_dropped_and_counted(give, corpus_dir, make_item):
    summary = give(a=[make_item(music={"id": 7123453673090321000, "title": "x"})])
    assert summary.sources["web_item"].notes["rounded.music_id"] == 1
    assert read_videos(corpus_dir)[0].music_id is None


def test_conflicting_authors_of_a_post_are_counted(give, make_item):
    summary = give(a=[make_item(), make_item(author={"id": "5"})])
    assert summary.sources["web_item"].notes["conflicting.user_id"] == 1


def test_an_empty_list_is_an_empty_file(give):
    summary = give(a={"itemList": []})
    [file] = summary.files
    assert (file.sources, file.reasons, summary.total.given) == ({}, {}, 0)
    assert summary.is_empty


def test_another_key_is_refused(give, corpus_dir, make_item, tmp_path):
    give(a=[make_item()])
    before = hash_files(corpus_dir)
    with pytest.raises(DataError, match="made with another pseudonym key"):
        import_files(
            [str(tmp_path / "a.json")],
            corpus_dir,
            pseudonymizer=Pseudonymizer(b"j" * 32),
        )
    assert hash_files(corpus_dir) == before


def test_edges_are_stored_once_under_the_best_known_ids(
    give, corpus_dir, make_item, pseudonymizer
):
    comment = {"cid": "1", "aweme_id": make_item()["id"], "user": {"unique_id": "ann"}}
    first = give(a={"comments": [comment, comment]})
    counts = first.sources["comment"]
    assert (counts.given, counts.imported, counts.merged) == (2, 1, 1)
    assert (first.num_edges, first.num_users) == (1, 1)
    give(b=[make_item()])  # ann is somebody with an id
    [edge] = Corpus.open(corpus_dir).iter_edges()
    ann = pseudonymizer.user("6655162062744181174")
    assert (edge.kind, edge.user_id, edge.target_id) == (
        "reply",
        ann,
        make_item()["id"],
    )
    before = hash_files(corpus_dir)
    again = give(a={"comments": [comment]})
    assert again.sources["comment"].merged == 1
    assert hash_files(corpus_dir) == before


def test_import_in_several_parts_gives_the_same_corpus(
    give, corpus_dir, make_item, monkeypatch
):
    from dc_keras.corpus.importing import external_sort

    items = [
        make_item(number % 30, stats={"playCount": number}) for number in range(90)
    ]
    give(a={"items": items})
    before = hash_files(corpus_dir)
    for path in corpus_dir.iterdir():
        path.unlink()
    for name, value in (("_BYTES_A_PART", 700), ("_POSTS_A_RANGE", 4), ("_PREFIX", 11)):
        monkeypatch.setattr(external_sort, name, value)
    summary = give(a={"items": items})
    assert (summary.total.imported, summary.total.merged) == (30, 60)
    assert hash_files(corpus_dir) == before


def test_leftovers_of_a_killed_import_are_removed(give, corpus_dir, make_item):
    left = corpus_dir.with_name(f".{corpus_dir.name}-import-0a_b1c2d")
    left.mkdir()
    (left / "part-00000.parquet").write_bytes(b"captions")
    give(a=[make_item()])
    assert not left.exists()


def test_two_imports_exclude_each_other(give, corpus_dir, make_item):
    with writing(corpus_dir), pytest.raises(DataError, match="is writing there; wait"):
        give(a=[make_item()])
    assert not corpus_dir.exists()
