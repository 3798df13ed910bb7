import gzip
import hashlib
import json
import re
from pathlib import Path

import polars as pl
import pytest

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.importing import import_files, register_source
from dc_keras.corpus.privacy import Pseudonymizer
from dc_keras.corpus.sources import sniffing
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.locking import writing

_RAW = Path(__file__).parents[4] / "shared" / "data" / "raw"


def _bytes(directory):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
    }


def _videos(directory):
    return list(Corpus.open(directory).iter_videos())


def test_a_post_becomes_a_pseudonymous_record(
    give, corpus_dir, make_item, pseudonymizer
):
    give(a={"extra": {"now": 1_700_000_000_000}, "itemList": [make_item()]})
    [video] = _videos(corpus_dir)
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


def test_no_identity_is_left_on_disk(give, corpus_dir, make_item):
    broken = make_item(1, id="no id", author={"id": "5", "uniqueId": "Ann"})
    give(a={"itemList": [make_item(), broken]})
    table = Corpus.open(corpus_dir).videos.write_json()
    users = Corpus.open(corpus_dir).users.write_json()
    quarantine = (corpus_dir / "quarantine.jsonl").read_text()
    for identity in ("Ann", "ann", "Some.One", "some.one", "665516206", "MS4x"):
        assert identity not in table + users + quarantine


def test_the_owner_of_a_sound_is_not_named(give, corpus_dir, make_item):
    own = {"id": "6740249209892505602", "original": True, "title": "loop - Else Where"}
    named = {"id": "6740249209892505603", "title": "sonido original - Ann A."}
    lost = {"id": "6740249209892505604", "original": True, "title": " - Else Where"}
    give(
        a=[make_item(number, music=m) for number, m in enumerate((own, named, lost))],
        keep_handles=True,
    )
    titles = [video.music_title for video in _videos(corpus_dir)]
    assert titles == ["loop", "sonido original", None]


def test_handles_and_raw_content_are_kept_on_request(give, corpus_dir, make_item):
    give(a=[make_item(), make_item(1, id="no id")], keep_handles=True, keep_raw=True)
    [video] = _videos(corpus_dir)
    [user] = Corpus.open(corpus_dir).iter_users()
    assert (video.username, user.usernames) == ("Ann", ("Ann",))
    assert "Some.One" in (corpus_dir / "quarantine.jsonl").read_text()


def test_every_record_ends_in_one_place(give, corpus_dir, make_item, pseudonymizer):
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
    before = _bytes(corpus_dir)
    summary = give(**documents, media_root=tmp_path / "media")
    assert summary.total.imported == 0
    assert _bytes(corpus_dir) == before
    give(**documents)  # the corpus knows its media root
    assert _bytes(corpus_dir) == before


def test_a_second_file_merges_into_the_first(give, corpus_dir, make_item):
    give(
        a={"extra": {"now": 9000}, "items": [make_item(desc="late #b", textExtra=None)]}
    )
    give(b={"extra": {"now": 4000}, "items": [make_item(stats={"playCount": 1})]})
    [video] = _videos(corpus_dir)
    assert (video.caption[:5], video.views) == ("hello", 100)
    assert (video.first_collected_at, video.collected_at) == (4, 9)


@pytest.mark.parametrize("order", ["handle first", "id first"])
def test_an_author_known_by_handle_becomes_the_user(
    give, corpus_dir, make_item, pseudonymizer, order
):
    files = {"a": [make_item(0, author="ANN")], "b": [make_item(1)]}
    for name in sorted(files, reverse=order == "id first"):
        give(**{name: files[name]})
    user_id = pseudonymizer.user("6655162062744181174")
    assert {video.user_id for video in _videos(corpus_dir)} == {user_id}
    assert Corpus.open(corpus_dir).users.height == 1
    before = _bytes(corpus_dir)
    give(a=files["a"])
    assert _bytes(corpus_dir) == before


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
    times = {video.video_id: video.create_time for video in _videos(corpus_dir)}
    assert times[make_item(0)["id"]] == 1_600_000_000
    assert times["123"] is None


def test_a_rounded_sound_is_left_out_and_counted(give, corpus_dir, make_item):
    summary = give(a=[make_item(music={"id": 7123453673090321000, "title": "x"})])
    assert summary.sources["web_item"].notes["rounded.music_id"] == 1
    assert _videos(corpus_dir)[0].music_id is None


def test_one_post_of_two_authors_is_counted(give, make_item):
    summary = give(a=[make_item(), make_item(author={"id": "5"})])
    assert summary.sources["web_item"].notes["conflicting.user_id"] == 1


def test_zeeschuimer_lines_in_gzip(give, corpus_dir, make_item):
    lines = [
        {"source_platform": "tiktok.com", "timestamp_collected": 7000, "data": item}
        for item in (make_item(0), make_item(1), make_item(2, liveRoomInfo={"a": 1}))
    ]
    data = gzip.compress("\n".join(map(json.dumps, lines)).encode())
    summary = give(a=data)
    assert (summary.total.imported, summary.total.quarantined) == (2, 1)
    assert {video.collected_at for video in _videos(corpus_dir)} == {7}


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
    assert len({video.user_id for video in _videos(corpus_dir)}) == 2


def test_media_are_found_by_id(give, corpus_dir, make_item, tmp_path):
    root = tmp_path / "media"
    root.mkdir()
    (root / f"@ann_video_{make_item(0)['id']}.mp4").touch()
    (root / f"{make_item(1)['id']}_slide_1.jpeg").touch()
    summary = give(a=[make_item(n) for n in range(3)], media_root=root)
    assert summary.media is not None
    assert (summary.media.with_video, summary.media.with_slides) == (1, 1)
    assert Corpus.open(corpus_dir).media_root == root.resolve()
    give(b=[make_item(3)])
    # The file is named after somebody, and the corpus is not to be.
    assert _videos(corpus_dir)[0].media_path == f"*{make_item(0)['id']}.mp4"


def test_media_paths_stay_when_the_root_is_away(give, corpus_dir, make_item, tmp_path):
    root = tmp_path / "media"
    root.mkdir()
    (root / f"{make_item(0)['id']}.mp4").touch()
    give(a=[make_item(0)], media_root=root)
    root.rename(tmp_path / "unplugged")
    give(a=[make_item(0)])
    assert _videos(corpus_dir)[0].media_path is not None


def test_an_empty_list_is_an_empty_file(give):
    summary = give(a={"itemList": []})
    [file] = summary.files
    assert (file.sources, file.reasons, summary.total.given) == ({}, {}, 0)
    assert summary.is_nothing


def test_another_key_is_refused(give, corpus_dir, make_item, tmp_path):
    give(a=[make_item()])
    before = _bytes(corpus_dir)
    with pytest.raises(DataError, match="made with another pseudonym key"):
        import_files(
            [str(tmp_path / "a.json")],
            corpus_dir,
            pseudonymizer=Pseudonymizer(b"j" * 32),
        )
    assert _bytes(corpus_dir) == before


def test_patterns_reach_any_depth_and_files_count_once(
    tmp_path, corpus_dir, make_item, pseudonymizer
):
    for number, name in enumerate(["x/[1].json", "x/y/2.json", "x/y/3.txt"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([make_item(number)]))
    inputs = [f"{tmp_path}/x/**/*.json", f"{tmp_path}/x/[1].json"]
    summary = import_files(inputs, corpus_dir, pseudonymizer=pseudonymizer)
    assert (len(summary.files), summary.num_videos) == (2, 2)


@pytest.mark.parametrize("pattern", ["none.json", "*.none", "none/**/*.json"])
def test_a_pattern_without_files_is_an_error(
    tmp_path, corpus_dir, pseudonymizer, pattern
):
    with pytest.raises(DataError, match=r"no file matches. Received: input=.*none"):
        import_files([f"{tmp_path}/{pattern}"], corpus_dir, pseudonymizer=pseudonymizer)
    assert not corpus_dir.exists()


def test_a_directory_stands_for_the_files_below_it(
    tmp_path, corpus_dir, make_item, pseudonymizer
):
    exports = tmp_path / "exports"
    for number, name in enumerate(["1.json", "x/y/2.txt", ".git/3.json", "x/4.mp4"]):
        path = exports / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make_item(number)))
    summary = import_files([str(exports)], corpus_dir, pseudonymizer=pseudonymizer)
    assert [file.name for file in summary.files] == ["1.json", "2.txt"]


def test_a_directory_without_exports_is_an_error(tmp_path, corpus_dir, pseudonymizer):
    (tmp_path / "1.mp4").touch()
    with pytest.raises(DataError, match="no file but pictures and videos below"):
        import_files([str(tmp_path)], corpus_dir, pseudonymizer=pseudonymizer)


def test_no_input_is_an_error(corpus_dir, pseudonymizer):
    with pytest.raises(DataError, match="at least one input is needed"):
        import_files([], corpus_dir, pseudonymizer=pseudonymizer)


def test_ties_are_kept_each_once_under_the_best_known_ids(
    give, corpus_dir, make_item, pseudonymizer
):
    comment = {"cid": "1", "aweme_id": make_item()["id"], "user": {"unique_id": "ann"}}
    first = give(a={"comments": [comment, comment]})
    counts = first.sources["web_comment"]
    assert (counts.given, counts.imported, counts.merged) == (2, 1, 1)
    assert (first.num_ties, first.num_users) == (1, 1)
    give(b=[make_item()])  # ann is somebody with an id
    [tie] = Corpus.open(corpus_dir).iter_ties()
    ann = pseudonymizer.user("6655162062744181174")
    assert (tie.kind, tie.user_id, tie.target_id) == ("reply", ann, make_item()["id"])
    before = _bytes(corpus_dir)
    again = give(a={"comments": [comment]})
    assert again.sources["web_comment"].merged == 1
    assert _bytes(corpus_dir) == before


def test_a_stem_of_whichtok_needs_its_users(give, corpus_dir, make_item):
    video_id = make_item()["id"]
    table = f"id,desc,stats_playCount\n{video_id},hi,5\n".encode()
    alone = give(videos=table)
    assert alone.sources["whichtok_videos"].quarantined == 1
    assert "users.json tells" in (corpus_dir / "quarantine.jsonl").read_text()
    user = {"id": "5", "username": "ann", "used_hashtags": [], "videos": [video_id]}
    both = give(users={"ann": user}, videos=table)
    assert both.sources["whichtok_videos"].imported == 1
    assert [video.views for video in _videos(corpus_dir)] == [5]


def test_more_posts_than_a_part_holds_import_alike(
    give, corpus_dir, make_item, monkeypatch
):
    from dc_keras.corpus import spool

    items = [
        make_item(number % 30, stats={"playCount": number}) for number in range(90)
    ]
    give(a={"items": items})
    before = _bytes(corpus_dir)
    for path in corpus_dir.iterdir():
        path.unlink()
    for name, value in (("_BYTES_A_PART", 700), ("_POSTS_A_RANGE", 4), ("_PREFIX", 11)):
        monkeypatch.setattr(spool, name, value)
    summary = give(a={"items": items})
    assert (summary.total.imported, summary.total.merged) == (30, 60)
    assert _bytes(corpus_dir) == before


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
def test_real_answers_import_whole_and_once(
    corpus_dir, pseudonymizer, name, source, number
):
    summary = import_files([str(_RAW / name)], corpus_dir, pseudonymizer=pseudonymizer)
    assert list(summary.sources) == [source]
    total = summary.total
    assert (total.given, total.imported, total.quarantined) == (number, number, 0)
    before = _bytes(corpus_dir)
    import_files([str(_RAW / name)], corpus_dir, pseudonymizer=pseudonymizer)
    assert _bytes(corpus_dir) == before


@pytest.mark.skipif(not _RAW.is_dir(), reason="shared/data/raw is absent")
def test_the_rounded_sounds_of_the_app_are_found_and_mended(corpus_dir, pseudonymizer):
    summary = import_files(
        [f"{_RAW}/app_aweme_list.json"], corpus_dir, pseudonymizer=pseudonymizer
    )
    notes = summary.sources["aweme"].notes
    assert (notes["rounded.music_id"], notes["repaired.music_id"]) == (15, 15)
    # As a number it was 7123453673090321000; the file of the sound has its own name.
    sounds = {video.video_id: video.music_id for video in _videos(corpus_dir)}
    assert sounds["7260749401829529212"] == "7123453673090321159"


_ANN = {"id": "6655162062744181174", "uniqueId": "Ann"}
_BOB = {"id": "5", "uniqueId": "bob"}


@pytest.fixture
def forget(corpus_dir, pseudonymizer):
    def run(*codes):
        Forgotten(pseudonymizer).with_codes(codes).save(corpus_dir)

    return run


def _keeps_out(summary, number):
    total = summary.total
    assert total.forgotten == number
    assert (
        total.given
        == total.imported + total.merged + total.quarantined + total.forgotten
    )


def test_the_forgotten_do_not_come_back(
    give, forget, corpus_dir, make_item, video_id, pseudonymizer
):
    corpus_dir.mkdir()
    code = pseudonymizer
    forget(code.user(_ANN["id"]), code.handle("ann"), code.mention("ann"), video_id(3))
    items = [
        make_item(0, author=_ANN),
        make_item(1, author="Ann", authorId=None),  # known by handle alone
        make_item(
            2, author=_BOB, desc="with @Ann", duetInfo={"duetFromId": video_id(3)}
        ),
        make_item(3, author=_BOB),
    ]
    _keeps_out(give(a={"itemList": items}), 3)
    corpus = Corpus.open(corpus_dir)
    [video] = corpus.iter_videos()
    assert (video.video_id, video.duet_of) == (video_id(2), None)
    assert (video.caption, video.mentions) == ("with @u_forgotten", ())
    assert [user.user_id for user in corpus.iter_users()] == [code.user("5")]
    before = _bytes(corpus_dir)
    _keeps_out(give(a={"itemList": items}), 3)
    assert _bytes(corpus_dir) == before


def test_a_handle_that_turns_out_to_be_of_the_forgotten_does_not_come_back(
    give, forget, corpus_dir, make_item, pseudonymizer
):
    corpus_dir.mkdir()
    forget(pseudonymizer.user(_ANN["id"]))
    items = [make_item(0, author=_ANN), make_item(1, author="Ann", authorId=None)]
    _keeps_out(give(a={"itemList": items}), 2)
    assert list(Corpus.open(corpus_dir).iter_users()) == []


def test_ties_of_the_forgotten_do_not_come_back(
    give, forget, corpus_dir, make_item, pseudonymizer
):
    corpus_dir.mkdir()
    forget(pseudonymizer.handle("ann"))
    follower = {"username": "ann", "display_name": "A", "target_account": "bob"}
    give(a={"user_followers": [follower]}, source="research_followers")
    corpus = Corpus.open(corpus_dir)
    assert corpus.ties.is_empty()
    assert pseudonymizer.handle("ann") not in set(corpus.users["user_id"])
    before = _bytes(corpus_dir)
    give(a={"user_followers": [follower]}, source="research_followers")
    assert _bytes(corpus_dir) == before


def test_quarantine_keeps_nothing_of_the_forgotten(
    give, forget, corpus_dir, make_item, pseudonymizer
):
    corpus_dir.mkdir()
    forget(pseudonymizer.user(_ANN["id"]))
    broken = [make_item(n, id="no id", author=a) for n, a in enumerate((_ANN, _BOB))]
    summary = give(a={"itemList": broken}, keep_raw=True)
    assert summary.total.quarantined == 2
    [line] = (corpus_dir / "quarantine.jsonl").read_text().splitlines()
    assert _ANN["id"] not in line


_ANN_WHOLE = {**_ANN, "secUid": "MS4wLjABann"}


def _by_handle(item):
    return {**item, "author": "Ann", "authorId": None}


@pytest.mark.parametrize(
    ("known_by", "meets", "then"),
    [
        # Forgotten by one name, seen with several, and later by another one of them.
        ("handle", {"author": _ANN_WHOLE}, {"author": {"id": _ANN["id"]}}),
        ("sec_uid", {"author": _ANN_WHOLE}, {"author": "Ann"}),
        ("user", {"author": _ANN_WHOLE}, {"author": "Ann"}),
    ],
)
def test_the_forgotten_are_recognised_by_every_name_that_an_import_tells(
    give, forget, corpus_dir, make_item, pseudonymizer, known_by, meets, then
):
    corpus_dir.mkdir()
    name = {"handle": "ann", "sec_uid": _ANN_WHOLE["secUid"], "user": _ANN["id"]}
    forget(getattr(pseudonymizer, known_by)(name[known_by]))
    _keeps_out(give(a={"itemList": [make_item(0, **meets)]}), 1)
    _keeps_out(give(a={"itemList": [make_item(1, **then)]}), 1)
    mention = make_item(2, author=_BOB, desc="with @Ann")
    give(a={"itemList": [mention]})
    [video] = _videos(corpus_dir)
    assert video.caption == "with @u_forgotten"
    assert [u.user_id for u in Corpus.open(corpus_dir).iter_users()] == [
        pseudonymizer.user(_BOB["id"])
    ]


def test_posts_that_turn_out_to_be_of_the_forgotten_leave_the_corpus(
    give, forget, corpus_dir, make_item, pseudonymizer
):
    give(a={"itemList": [make_item(0, author="Ann"), make_item(1, author=_BOB)]})
    forget(pseudonymizer.user(_ANN["id"]))  # of whom no corpus knows a handle yet
    summary = give(a={"itemList": [make_item(2, author=_ANN)]})
    _keeps_out(summary, 1)
    assert summary.num_recognised == 1
    assert [v.user_id for v in _videos(corpus_dir)] == [pseudonymizer.user("5")]
    before = _bytes(corpus_dir)
    give(a={"itemList": [make_item(2, author=_ANN), make_item(0, author="Ann")]})
    assert _bytes(corpus_dir) == before


def test_a_handle_that_somebody_else_has_too_forgets_nobody_else(
    give, forget, corpus_dir, make_item, pseudonymizer
):
    corpus_dir.mkdir()
    forget(pseudonymizer.user(_ANN["id"]))
    now_ann = {"id": "7", "uniqueId": "Ann"}
    items = [make_item(0, author=_ANN), make_item(1, author=now_ann)]
    _keeps_out(give(a={"itemList": items}), 1)
    assert [v.user_id for v in _videos(corpus_dir)] == [pseudonymizer.user("7")]


def test_a_follower_with_another_name_of_the_forgotten_does_not_come_back(
    give, forget, corpus_dir, make_item, pseudonymizer
):
    corpus_dir.mkdir()
    forget(pseudonymizer.sec_uid("MS4wLjABann"))
    comment = {
        "cid": "1",
        "aweme_id": make_item()["id"],
        "user": {"unique_id": "ann", "uid": _ANN["id"], "sec_uid": "MS4wLjABann"},
    }
    give(a={"comments": [comment]})
    corpus = Corpus.open(corpus_dir)
    assert (corpus.ties.height, corpus.users.height) == (0, 0)


def test_what_a_killed_import_left_behind_goes(give, corpus_dir, make_item):
    left = corpus_dir.with_name(f".{corpus_dir.name}-import-0a_b1c2d")
    left.mkdir()
    (left / "part-00000.parquet").write_bytes(b"captions")
    give(a=[make_item()])
    assert not left.exists()


def test_two_imports_exclude_each_other(give, corpus_dir, make_item):
    with writing(corpus_dir), pytest.raises(DataError, match="is writing there; wait"):
        give(a=[make_item()])
    assert not corpus_dir.exists()


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(sniffing, "_REGISTERED", [])


def test_the_page_about_formats_of_your_own_says_how(registry, give, corpus_dir):
    page = (Path(__file__).parents[3] / "docs/sources.md").read_text("utf-8")
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], {})
    post = {"postId": "6871947673600000077", "by": "ann", "words": "hi #fun", "ups": 3}
    summary = give(a={"results": [post, {"postId": "x", "by": "ann"}]})
    assert [*summary.files[0].sources.items()] == [("my_tool", 1)]
    assert summary.total.quarantined == 1
    [video] = _videos(corpus_dir)
    assert (video.source, video.hashtags, video.likes) == ("my_tool", ("fun",), 3)


def test_two_sources_of_one_name_are_refused(registry):
    with pytest.raises(DataError, match=r"one that no source has. Rec.*'web_item'"):
        register_source("web_item", sniff=bool, read=bool)


def test_accounts_are_kept_as_the_newest_export_saw_them(give, corpus_dir, make_item):
    def line(followers, seen, **stats):
        item = make_item(authorStats={"followerCount": followers, **stats})
        return {"data": item, "timestamp_collected": 1000 * seen}

    give(a=[line(7, 2000, videoCount=3), line(5, 1000, heart=9)])
    [user] = Corpus.open(corpus_dir).iter_users()
    counts = (user.followers, user.total_likes, user.total_posts, user.account_seen)
    assert counts == (7, 9, 3, 2000)
    before = _bytes(corpus_dir)
    give(b=[line(6, 1500)])
    assert _bytes(corpus_dir)["users.parquet"] == before["users.parquet"]


def test_a_corpus_of_before_there_were_accounts_is_read(give, corpus_dir, make_item):
    give(a=[make_item(0)])
    path = corpus_dir / "users.parquet"
    later = ("followers", "total_likes", "total_posts", "account_seen")
    pl.read_parquet(path).drop(later).write_parquet(path)
    assert Corpus.open(corpus_dir).users["followers"].to_list() == [None]
    stats = {"followerCount": 4}
    give(b=[make_item(0, authorStats=stats)])
    assert Corpus.open(corpus_dir).users["followers"].to_list() == [4]
