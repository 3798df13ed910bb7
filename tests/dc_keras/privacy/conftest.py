"""A corpus of three people who mention, follow and duet each other."""

import json
from types import SimpleNamespace

import pytest

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.records import Edge, User, Video
from dc_keras.corpus.store import Corpus, CorpusWriter, table_of

_CODE = Pseudonymizer(b"k" * 32)


@pytest.fixture(scope="session")
def pseudonymizer():
    return _CODE


@pytest.fixture(scope="session")
def people():
    """Pseudonyms of the people: Ann has two handles; Dan has only commented."""
    return SimpleNamespace(
        ann=_CODE.user("10000001"),
        bob=_CODE.user("10000002"),
        cat=_CODE.handle("cat"),
        dan=_CODE.user("10000004"),
        ann_mention=_CODE.mention("ann"),
        cat_mention=_CODE.mention("cat"),
    )


@pytest.fixture(scope="session")
def posts():
    """Ids of posts by author and number, in the length of real ids."""
    ids = {"ann1": 1, "ann2": 2, "bob1": 3, "bob2": 4, "bob3": 5, "cat1": 6}
    return SimpleNamespace(**{n: f"687194767360000000{i}" for n, i in ids.items()})


@pytest.fixture
def make_corpus(people, posts):
    """Writes the corpus; further arguments are those of `CorpusWriter.finish`."""

    def make(directory, videos=None, **changes):
        mentions = (people.ann_mention, people.cat_mention)
        caption = f"with @{mentions[0]} and @{mentions[1]}"
        everyone = [
            ("ann1", people.ann, {"create_time": 10, "media_path": "a.mp4"}),
            ("ann2", people.ann, {"create_time": 20}),
            ("bob1", people.bob, {"caption": caption, "mentions": mentions}),
            ("bob2", people.bob, {"create_time": 30, "duet_of": posts.ann1}),
            ("bob3", people.bob, {"create_time": 40, "caption": "no one"}),
            ("cat1", people.cat, {"create_time": 50}),
        ]
        videos = videos or [
            Video(getattr(posts, name), user_id, "web_item", **fields)
            for name, user_id, fields in everyone
        ]
        handles = (_CODE.handle("ann"), _CODE.handle("ann.b"))
        users = [
            User(people.ann, handles, (_CODE.sec_uid("MS4-a_1"),), (), 10, 20),
            User(people.bob, (_CODE.handle("bob"),), (), (), 30, 40),
            User(people.cat, (people.cat,), (), (), 50, 50),
            User(people.dan),
        ]
        reply = ("user", people.ann, posts.ann1, 15, "comment")
        follow = ("user", people.cat, None, None, "research_followers")
        ties = [Edge("reply", people.dan, *reply), Edge("follow", people.bob, *follow)]
        places = (f"line 1 ItemModule.{posts.ann2}", "line 2")
        entry = {"file": "a.json", "reason": "no video id", "sha256": "0", "keys": []}
        lines = [json.dumps(entry | {"position": place}) for place in places]
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "quarantine.jsonl").write_text("\n".join([*lines, ""]))
        with CorpusWriter(directory) as writer:
            writer.add_videos(table_of(Video, videos))
            writer.finish(
                users,
                ties,
                key_fingerprint=_CODE.fingerprint,
                num_quarantined=2,
                **{"media_root": None} | changes,
            )
        return Corpus.open(directory)

    return make


@pytest.fixture
def corpus(make_corpus, tmp_path):
    return make_corpus(tmp_path / "corpus")


@pytest.fixture
def forget():
    """Makes the list of removed people and posts."""
    return lambda *codes: Forgotten(_CODE).with_codes(codes)
