import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from dc_keras.corpus import store
from dc_keras.corpus.records import Edge, User, Video
from dc_keras.corpus.store import Corpus, CorpusWriter, table_of
from dc_keras.errors import DataError

# Prints the threads that importing the module starts.
_IMPORT = """
import pathlib
import dc_keras.corpus.store
for name in pathlib.Path("/proc/self/task").glob("*/comm"):
    print(name.read_text().strip())
"""
_FULL = Video(
    video_id="2",
    user_id="u",
    source="web_item",
    caption="#fun ☀",
    create_time=5,
    hashtags=("fun",),
    mentions=("u_00",),
    duration_s=1.5,
    views=3,
    effects=("a", "b"),
    is_slideshow=True,
    slide_paths=("2/1.jpg",),
)
_BARE = Video(video_id="1", user_id="v", source="share_item")
_USERS = [User("v", ("a",), first_seen=1, last_seen=2), User("u")]


_EDGES = [
    Edge("reply", "u", "video", "1", "1", 7, "comment"),
    Edge("follow", "u", "user", "v", None, None, "research_followers"),
]


def _write(directory, videos=(_BARE, _FULL), users=_USERS, edges=_EDGES, **changes):
    arguments = {
        "key_fingerprint": "f",
        "media_root": None,
        "num_quarantined": 4,
    } | changes
    with CorpusWriter(directory) as writer:
        for video in videos:
            writer.add_videos(table_of(Video, [video]))
        return writer.finish(users, edges, **arguments)


def test_records_round_trip_sorted_by_id(tmp_path):
    _write(tmp_path, media_root=tmp_path / "media")
    corpus = Corpus.open(tmp_path)
    assert list(corpus.iter_videos()) == [_BARE, _FULL]
    assert list(corpus.iter_users()) == [_USERS[1], _USERS[0]]
    assert list(corpus.iter_edges()) == [_EDGES[1], _EDGES[0]]
    assert corpus.media_root == tmp_path / "media"
    assert corpus.directory == tmp_path


def test_columns_are_the_fields_of_the_record(tmp_path):
    _write(tmp_path)
    fields = [field.name for field in dataclasses.fields(Video)]
    videos = Corpus.open(tmp_path).videos
    assert videos.columns == fields
    assert videos.schema["hashtags"] == pl.List(pl.String())


def test_posts_can_be_left_out_in_memory(tmp_path):
    _write(tmp_path)
    corpus = Corpus.open(tmp_path)
    gone = pl.Series([_BARE.video_id, "1"])
    less = corpus.without_videos(gone)
    assert list(less.iter_videos()) == [_FULL]
    assert list(less.iter_users()) == list(corpus.iter_users())
    assert list(less.iter_edges()) == list(corpus.iter_edges())
    assert Corpus.open(tmp_path).videos.height == corpus.videos.height == 2


def test_an_empty_corpus_keeps_its_columns(tmp_path):
    _write(tmp_path, videos=(), users=())
    corpus = Corpus.open(tmp_path)
    assert corpus.videos.height == 0
    assert corpus.videos.schema["views"] == pl.Int64()
    assert corpus.media_root is None


def test_corpus_json_has_the_counts_of_the_tables(tmp_path):
    _write(tmp_path)
    digests = {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("videos.parquet", "users.parquet", "ties.parquet")
    }
    assert Corpus.open(tmp_path).info == {
        "version": 1,
        "counts": {
            "videos": 2,
            "users": 2,
            "ties": 2,
            "with_media": 1,
            "slideshows": 1,
            "without_create_time": 1,
            "quarantined": 4,
        },
        "sources": {"share_item": 1, "web_item": 1},
        "notes": {},
        "key_fingerprint": "f",
        "media_root": None,
        "is_synthetic": False,
        "sha256": digests,
    }


def test_writing_leaves_no_temporary_files(tmp_path):
    _write(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "SHA256SUMS",
        "corpus.json",
        "ties.parquet",
        "users.parquet",
        "videos.parquet",
    ]


def test_an_interrupted_write_leaves_the_old_corpus(tmp_path):
    _write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(KeyError), CorpusWriter(tmp_path) as writer:
        writer.add_videos(table_of(Video, [_FULL]))
        raise KeyError
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_split_into_tables_changes_no_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_ROWS_A_GROUP", 2)
    posts = [Video(str(number), "u", "s") for number in range(5)]
    for name, size in (("a", 1), ("b", 3), ("c", 5)):
        with CorpusWriter(tmp_path / name) as writer:
            for start in range(0, 5, size):
                writer.add_videos(table_of(Video, posts[start : start + size]))
            writer.finish([], key_fingerprint="f", media_root=None, num_quarantined=0)
    [data] = {(tmp_path / name / "videos.parquet").read_bytes() for name in "abc"}
    assert data
    assert list(Corpus.open(tmp_path / "a").iter_videos()) == posts


def test_a_directory_without_a_corpus_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"corpus.json is missing; .*import_corpus"):
        Corpus.open(tmp_path)


def test_another_version_is_refused(tmp_path):
    (tmp_path / "corpus.json").write_text(json.dumps({"version": 99}))
    with pytest.raises(DataError, match=r"`version` must be 1; .* version=99"):
        Corpus.open(tmp_path)


def test_a_damaged_corpus_json_is_reported(tmp_path):
    (tmp_path / "corpus.json").write_text("{")
    with pytest.raises(
        DataError, match=r"corpus\.json must be the corpus\.json of import_corpus"
    ):
        Corpus.open(tmp_path)


def test_a_missing_table_is_reported(tmp_path):
    _write(tmp_path)
    (tmp_path / "users.parquet").unlink()
    with pytest.raises(DataError, match=r"users.parquet: missing"):
        Corpus.open(tmp_path)


def test_a_damaged_table_is_reported(tmp_path):
    _write(tmp_path)
    (tmp_path / "videos.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(DataError, match=r"videos.parquet: damaged"):
        Corpus.open(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match=r"videos.parquet: not a Parquet file"):
        Corpus.open(tmp_path)


def test_other_columns_are_refused(tmp_path):
    _write(tmp_path)
    pl.DataFrame({"id": [1]}).write_parquet(tmp_path / "videos.parquet")
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match=r"must be the fields of Video; .*\['id'\]"):
        Corpus.open(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="/proc is absent")
def test_importing_the_module_starts_no_polars_threads():
    # A process forked from one that has such threads would wait forever.
    command = [sys.executable, "-c", _IMPORT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "python" in done.stdout
    assert "polars-0" not in done.stdout.split()


def test_a_corpus_that_another_process_changed_is_refused(tmp_path):
    _write(tmp_path)
    corpus = Corpus.open(tmp_path)
    _write(tmp_path)
    corpus.require_unchanged()
    with CorpusWriter(tmp_path) as writer:
        writer.finish((), key_fingerprint="k", media_root=None, num_quarantined=0)
    with pytest.raises(DataError, match="was changed by another process; run the com"):
        corpus.require_unchanged()
