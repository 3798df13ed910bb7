import dataclasses
import json

import polars as pl
import pytest

from dc_keras.corpus.forgotten import FORGOTTEN_FILE, Forgotten
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.records import Edge, Video
from dc_keras.corpus.store import rows_of, table_of
from dc_keras.errors import DataError

_POST = "6871947673600000077"


@pytest.fixture
def ann(pseudonymizer):
    return pseudonymizer.mention("ann")


@pytest.fixture
def forgotten(pseudonymizer, ann):
    """Ann, by id and handle, and a post by another person."""
    codes = (pseudonymizer.user("1001"), pseudonymizer.handle("ann"), ann, _POST)
    return Forgotten(pseudonymizer).with_codes(codes)


def _video(video_id="1", **fields):
    return Video(video_id=video_id, user_id="bob", source="web_item", **fields)


def test_the_list_contains_no_ids_and_round_trips(forgotten, tmp_path, pseudonymizer):
    dataclasses.replace(forgotten, journal={"rule": "ids"}).save(tmp_path)
    text = (tmp_path / FORGOTTEN_FILE).read_text("utf-8")
    for code in (_POST, pseudonymizer.user("1001"), pseudonymizer.handle("ann")):
        assert code not in text
    loaded = Forgotten.load(tmp_path, pseudonymizer)
    assert loaded == dataclasses.replace(forgotten, journal={"rule": "ids"})
    assert loaded.has(_POST)
    assert not loaded.has("6871947673600000078")


def test_without_a_list_nothing_is_forgotten(tmp_path, pseudonymizer):
    empty = Forgotten.load(tmp_path, pseudonymizer)
    videos = table_of(Video, [_video(caption=f"see {_POST}")])
    assert not empty.has(_POST)
    assert empty.filter_videos(videos) is videos
    assert empty.is_finished


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"version": 2}, "`version` must be 1. Received: version=2"),
        ({"fingerprints": None}, "not a valid list of forgotten ids"),
        ({"key_fingerprint": "00"}, "made with another pseudonym key"),
    ],
)
def test_an_invalid_list_or_one_of_another_key_is_refused(
    forgotten, tmp_path, pseudonymizer, change, rule
):
    forgotten.save(tmp_path)
    path = tmp_path / FORGOTTEN_FILE
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(DataError, match=rule):
        Forgotten.load(tmp_path, pseudonymizer)


def test_fingerprints_of_another_key_do_not_match(forgotten):
    other = Forgotten(Pseudonymizer(b"o" * 32), forgotten.fingerprints)
    assert not other.has(_POST)


def test_only_forgotten_codes_are_removed_from_texts(forgotten, ann):
    text = f"@{ann} and @u_0123456789: {_POST}, {_POST}0, x{_POST}, 日{_POST}日"
    assert forgotten.scrub(text) == (
        f"@u_forgotten and @u_0123456789: u_forgotten, {_POST}0, x{_POST}, "
        "日u_forgotten日"
    )


def test_forgotten_posts_and_references_to_them_are_removed(forgotten, ann):
    other = _video(
        "5", caption=f"with @{ann}", mentions=("u_1", ann, "u_2"), music_title=ann
    )
    videos = [
        other,
        dataclasses.replace(_video("6"), user_id=forgotten.pseudonymizer.user("1001")),
        _video(_POST),
        _video("7", duet_of=_POST, stitch_of="5", transcript=f"{ann}!"),
        _video("8", caption="as it was", duet_of="5"),
    ]
    kept = list(rows_of(Video, forgotten.filter_videos(table_of(Video, videos))))
    assert kept == [
        dataclasses.replace(
            other,
            caption="with @u_forgotten",
            mentions=("u_1", "u_2"),
            music_title="u_forgotten",
        ),
        _video("7", stitch_of="5", transcript="u_forgotten!"),
        _video("8", caption="as it was", duet_of="5"),
    ]


def test_no_post_is_kept_if_all_are_forgotten(forgotten):
    kept = forgotten.filter_videos(table_of(Video, [_video(_POST)]))
    assert kept.is_empty()
    assert kept.schema == table_of(Video, []).schema


def test_rows_without_an_id_are_kept(forgotten):
    table = pl.DataFrame({"video_id": [None, _POST, "5"]})
    kept = forgotten.drop_rows(table, ["video_id"])
    assert kept["video_id"].to_list() == [None, "5"]


def test_edges_with_a_forgotten_end_are_recognised(forgotten, pseudonymizer, ann):
    gone = pseudonymizer.user("1001")
    edge = Edge("reply", None, "video", "5", None, None, "comment")
    edges = [
        dataclasses.replace(edge, user_id=gone),
        dataclasses.replace(edge, target_id=gone),
        dataclasses.replace(edge, video_id=gone),
        dataclasses.replace(edge, target_type="sound_title", target_id=f"by @{ann}"),
    ]
    assert all(map(forgotten.has_edge, edges))
    assert not forgotten.has_edge(edge)
    kept = forgotten.filter_edges(table_of(Edge, [*edges, edge]))
    assert list(rows_of(Edge, kept)) == [edge]


@pytest.mark.parametrize(
    "entry",
    [
        {"raw": '{"author": {"uniqueId": "Ann"}}'},
        {"raw": '{"author": {"id": 1001001, "id2": "1001"}}'},
        {"raw": '{"desc": "hello @ann."}'},
        {"position": f"line 1 ItemModule.{_POST}"},
        {"keys": ["a", _POST]},
        {"file": f"{_POST}.json"},
    ],
)
def test_quarantined_records_that_name_forgotten_ids_are_recognised(forgotten, entry):
    plain = {"file": "a.json", "position": "line 1", "keys": [], "raw": ""}
    assert forgotten.names_any(plain | entry)


def test_keys_and_parts_of_words_are_not_names(forgotten):
    raw = '{"ann": 1, "author": "annabel", "desc": "ann @annabel @ann.b"}'
    entry = {"file": "ann.json", "position": "line 1", "keys": ["ann"], "raw": raw}
    assert not forgotten.names_any(entry)
    assert not forgotten.names_any(entry | {"raw": None})
    del entry["raw"]
    assert not forgotten.names_any(entry)
