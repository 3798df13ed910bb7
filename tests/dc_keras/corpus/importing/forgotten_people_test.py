"""Forgotten people are not imported again."""

import pytest
from corpus_files import hash_files, read_videos

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.store import Corpus

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


def test_forgotten_posts_are_not_imported_again(
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
    before = hash_files(corpus_dir)
    _keeps_out(give(a={"itemList": items}), 3)
    assert hash_files(corpus_dir) == before


def test_a_handle_of_a_forgotten_person_is_not_imported_again(
    give, forget, corpus_dir, make_item, pseudonymizer
):
    corpus_dir.mkdir()
    forget(pseudonymizer.user(_ANN["id"]))
    items = [make_item(0, author=_ANN), make_item(1, author="Ann", authorId=None)]
    _keeps_out(give(a={"itemList": items}), 2)
    assert list(Corpus.open(corpus_dir).iter_users()) == []


def test_edges_of_forgotten_people_are_not_imported_again(
    give, forget, corpus_dir, make_item, pseudonymizer
):
    corpus_dir.mkdir()
    forget(pseudonymizer.handle("ann"))
    follower = {"username": "ann", "display_name": "A", "target_account": "bob"}
    give(a={"user_followers": [follower]}, source="research_followers")
    corpus = Corpus.open(corpus_dir)
    assert corpus.edges.is_empty()
    assert pseudonymizer.handle("ann") not in set(corpus.users["user_id"])
    before = hash_files(corpus_dir)
    give(a={"user_followers": [follower]}, source="research_followers")
    assert hash_files(corpus_dir) == before


def test_quarantine_omits_forgotten_people(
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
        # Forgotten by one alias, imported with several, and later with another one.
        ("handle", {"author": _ANN_WHOLE}, {"author": {"id": _ANN["id"]}}),
        ("sec_uid", {"author": _ANN_WHOLE}, {"author": "Ann"}),
        ("user", {"author": _ANN_WHOLE}, {"author": "Ann"}),
    ],
)
def test_forgotten_people_are_recognised_by_every_alias(
    give, forget, corpus_dir, make_item, pseudonymizer, known_by, meets, then
):
    corpus_dir.mkdir()
    name = {"handle": "ann", "sec_uid": _ANN_WHOLE["secUid"], "user": _ANN["id"]}
    forget(getattr(pseudonymizer, known_by)(name[known_by]))
    _keeps_out(give(a={"itemList": [make_item(0, **meets)]}), 1)
    _keeps_out(give(a={"itemList": [make_item(1, **then)]}), 1)
    mention = make_item(2, author=_BOB, desc="with @Ann")
    give(a={"itemList": [mention]})
    [video] = read_videos(corpus_dir)
    assert video.caption == "with @u_forgotten"
    assert [u.user_id for u in Corpus.open(corpus_dir).iter_users()] == [
        pseudonymizer.user(_BOB["id"])
    ]


def test_existing_posts_of_forgotten_people_are_removed(
    give, forget, corpus_dir, make_item, pseudonymizer
):
    give(a={"itemList": [make_item(0, author="Ann"), make_item(1, author=_BOB)]})
    forget(pseudonymizer.user(_ANN["id"]))  # of whom no corpus knows a handle yet
    summary = give(a={"itemList": [make_item(2, author=_ANN)]})
    _keeps_out(summary, 1)
    assert summary.num_recognised == 1
    assert [v.user_id for v in read_videos(corpus_dir)] == [pseudonymizer.user("5")]
    before = hash_files(corpus_dir)
    give(a={"itemList": [make_item(2, author=_ANN), make_item(0, author="Ann")]})
    assert hash_files(corpus_dir) == before


def test_a_shared_handle_does_not_forget_its_other_owner(
    give, forget, corpus_dir, make_item, pseudonymizer
):
    corpus_dir.mkdir()
    forget(pseudonymizer.user(_ANN["id"]))
    now_ann = {"id": "7", "uniqueId": "Ann"}
    items = [make_item(0, author=_ANN), make_item(1, author=now_ann)]
    _keeps_out(give(a={"itemList": items}), 1)
    assert [v.user_id for v in read_videos(corpus_dir)] == [pseudonymizer.user("7")]


def test_a_follower_known_by_another_alias_is_not_imported_again(
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
    assert (corpus.edges.height, corpus.users.height) == (0, 0)
