import dataclasses
import json

import pytest

from dc_keras.corpus import store
from dc_keras.corpus.store import Corpus
from dc_keras.privacy import corpus_removal
from dc_keras.privacy.corpus_removal import forget_corpus, forget_media
from dc_keras.privacy.removal_requests import find_requested
from dc_keras.study.dataset_card import CARD_FILE, describe
from tfrecords.storage import atomic_update


@pytest.fixture
def forgotten(corpus, posts, pseudonymizer, forget):
    """Returns a list with Ann and the last post of Bob."""
    lines = {1: "10000001", 2: posts.bob3}
    return forget(*find_requested(lines, [corpus], pseudonymizer).codes)


def _bytes(directory):
    return {p.name: p.read_bytes() for p in directory.iterdir()}


def test_people_posts_and_ties_are_removed_with_all_references(
    corpus, forgotten, people, posts
):
    counts = forget_corpus(corpus, forgotten)
    assert counts == {
        "posts": 3,
        "people": 2,
        "ties": 1,
        "quarantine": 1,
        "posts_rewritten": 2,
    }
    left = Corpus.open(corpus.directory)
    [bob1, bob2, cat1] = left.iter_videos()
    assert bob1.caption == f"with @u_forgotten and @{people.cat_mention}"
    assert bob1.mentions == (people.cat_mention,)
    assert (bob2.video_id, bob2.duet_of) == (posts.bob2, None)
    assert cat1.video_id == posts.cat1
    [tie] = left.iter_edges()
    assert tie.kind == "follow"
    [entry] = (corpus.directory / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(entry)["position"] == "line 2"


def test_people_who_only_occur_with_removed_data_are_removed(corpus, forgotten, people):
    forget_corpus(corpus, forgotten)
    users = {user.user_id: user for user in Corpus.open(corpus.directory).iter_users()}
    assert users.keys() == {people.bob, people.cat}  # Dan answered Ann
    # Bob's post at 40 is gone, and one of his others has no time.
    assert (users[people.bob].first_seen, users[people.bob].last_seen) == (30, 30)
    assert (users[people.cat].first_seen, users[people.cat].last_seen) == (50, 50)


def test_the_counts_follow(corpus, forgotten):
    forget_corpus(corpus, forgotten)
    info = Corpus.open(corpus.directory).info
    assert info["sha256"] != corpus.info["sha256"]
    assert info == corpus.info | {
        "counts": {
            "videos": 3,
            "users": 2,
            "ties": 1,
            "with_media": 0,
            "slideshows": 0,
            "without_create_time": 1,
            "quarantined": 1,
        },
        "sources": {"web_item": 3},
        "sha256": info["sha256"],
    }


def test_a_second_time_changes_no_byte(corpus, forgotten):
    forget_corpus(corpus, forgotten)
    before = _bytes(corpus.directory)
    assert forget_corpus(Corpus.open(corpus.directory), forgotten) == {}
    assert _bytes(corpus.directory) == before


def test_a_dry_run_counts_and_changes_no_byte(corpus, forgotten):
    before = _bytes(corpus.directory)
    assert forget_corpus(corpus, forgotten, dry_run=True)["posts"] == 3
    assert _bytes(corpus.directory) == before


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (corpus_removal, "CorpusWriter"),
        (store, "write_table"),  # of users, when the posts are written
        (store, "write_text"),  # of corpus.json
        (atomic_update, "finish_update"),  # when it is decided that they count
        (atomic_update, "_put_in_place"),
    ],
)
def test_a_run_that_was_stopped_is_finished_by_the_next(
    make_corpus, tmp_path, forgotten, monkeypatch, module, name
):
    whole = make_corpus(tmp_path / "whole")
    forget_corpus(whole, forgotten)
    broken = make_corpus(tmp_path / "broken")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, name, stop)
        forget_corpus(broken, forgotten)
    stopped = dataclasses.replace(forgotten, journal={})
    forget_corpus(Corpus.open(broken.directory), stopped)
    assert _bytes(broken.directory) == _bytes(whole.directory)


def test_a_quarantine_without_a_line_is_no_file(corpus, forget, posts):
    path = corpus.directory / "quarantine.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    forget_corpus(corpus, forget(posts.ann2))
    assert not path.exists()


def test_the_card_is_renewed_where_there_is_one(corpus, forgotten):
    card = corpus.directory / CARD_FILE
    card.write_text(describe(corpus.directory))
    forget_corpus(corpus, forgotten)
    assert card.read_text() == describe(corpus.directory)
    assert "3 posts by 2 authors" in card.read_text()
    card.write_text("of a run that was stopped")
    stopped = dataclasses.replace(forgotten, journal={})
    forget_corpus(Corpus.open(corpus.directory), stopped)
    assert "3 posts" in card.read_text()


def test_media_of_the_forgotten_are_deleted_by_name(tmp_path, forget, posts):
    gone = [
        f"{posts.ann1}.mp4",
        f"deep/@x_video_{posts.ann1}.mov",
        f"{posts.ann1}.jpg",
        f"{posts.ann2}/1.jpg",
    ]
    stay = [f"{posts.bob1}.mp4", f"{posts.ann1}0.mp4", f"{posts.ann1}.json"]
    for name in (*gone, *stay):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"media")
    forgotten = forget(posts.ann1, posts.ann2)
    assert forget_media(tmp_path, forgotten, dry_run=True) == 4
    assert forget_media(tmp_path, forgotten) == 4
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    assert left == {*stay, "deep"}
    assert forget_media(tmp_path, forgotten) == 0
