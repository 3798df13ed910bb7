"""Tests of the edges that a forecast may use, on a small corpus."""

import numpy as np
import pytest

from dc_keras.corpus.records import User, Video
from dc_keras.corpus.store import Corpus, CorpusWriter, table_of
from dc_keras.social.adoption import DAY_S, Adoption, find_adoptions
from dc_keras.social.building import GraphPlan
from dc_keras.social.snapshots import (
    build_layer_before,
    build_past_challenge,
    cut_adoption,
)
from dc_keras.study.challenge import Challenge
from dc_keras.study.study import Study

_USERS = ("ann", "bob", "cid", "dan")
_PLAN = GraphPlan(layers=("co-hashtag",), weighting="count")
_STUDY = Study("two", (Challenge("spin", ("spin",)), Challenge("jump", ("jump",))))
_POSTS = [
    ("ann", 0, ("cats",)),
    ("bob", 1, ("cats",)),
    ("ann", 2, ("spin",)),
    ("bob", 3, ("spin", "dogs")),
    ("cid", 4, ("dogs",)),
    ("cid", 5, ("spin",)),
    ("dan", 6, ("cats", "spin")),
    ("dan", 7, ("jump",)),
    ("dan", 8, ("jump",)),
]


def _corpus(directory, posts):
    videos = [
        Video(
            str(7_000_000_000_000_000_000 + number),
            user,
            "test",
            create_time=None if day is None else day * DAY_S,
            hashtags=tags,
        )
        for number, (user, day, tags) in enumerate(posts)
    ]
    with CorpusWriter(directory) as writer:
        writer.add_videos(table_of(Video, videos))
        writer.finish(
            map(User, _USERS),
            key_fingerprint="0" * 16,
            media_root=None,
            num_quarantined=0,
        )
    return Corpus.open(directory)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return _corpus(tmp_path_factory.mktemp("past") / "corpus", _POSTS)


def _adoption(corpus, name="spin"):
    return find_adoptions(_STUDY, corpus.videos, _USERS)[name]


def _edges(layer):
    rows, columns = layer.weights.nonzero()
    return {(_USERS[u], _USERS[v]) for u, v in zip(rows, columns, strict=True) if u < v}


def test_adopters_have_the_time_of_their_first_post(corpus):
    spin, jump = _adoption(corpus), _adoption(corpus, "jump")
    assert spin.rows.tolist() == [0, 1, 2, 3]
    assert (spin.times // DAY_S).tolist() == [2, 3, 5, 6]
    assert (jump.rows.tolist(), (jump.times // DAY_S).tolist()) == ([3], [7])


def test_users_without_a_time_are_no_adopters(tmp_path):
    corpus = _corpus(tmp_path / "corpus", [*_POSTS, ("cid", None, ("jump",))])
    assert _adoption(corpus, "jump").rows.tolist() == [3]


def test_edges_come_from_earlier_and_other_posts(corpus):
    edges = [
        _edges(build_layer_before(corpus, _STUDY, _PLAN, "spin", day * DAY_S))
        for day in (1, 2, 6, 9)
    ]
    # On day 1 bob has not posted. Later, posts of the challenge create no edges,
    # neither by its hashtag nor by others: dan's cats, bob's dogs.
    assert edges == [set(), {("ann", "bob")}, {("ann", "bob")}, {("ann", "bob")}]
    # To another challenge they are posts like any other.
    seen = _edges(build_layer_before(corpus, _STUDY, _PLAN, "jump", 7 * DAY_S))
    assert ("bob", "cid") in seen
    assert ("ann", "dan") in seen


def test_the_plan_may_end_earlier(corpus):
    plan = GraphPlan(layers=("co-hashtag",), weighting="count", end=1 * DAY_S)
    assert _edges(build_layer_before(corpus, _STUDY, plan, "spin", 9 * DAY_S)) == set()


def test_later_posts_are_not_used(corpus, tmp_path):
    """Equal first posts with another future give the same edges."""
    others = [*_POSTS[:4], ("cid", 4, ("cats", "dogs")), ("dan", 5, ("cats",))]
    other = _corpus(tmp_path / "corpus", others)
    one, two = (
        build_past_challenge(made, _STUDY, _PLAN, "spin", _adoption(made), 2)
        for made in (corpus, other)
    )
    assert (one.layer.weights != two.layer.weights).nnz == 0
    assert (one.num_adopters, two.num_adopters) == (4, 2)
    assert one.seeds_days == two.seeds_days == 1.0
    assert one.start == 2 * DAY_S


def test_a_horizon_counts_from_the_last_seed():
    adoption = Adoption(np.arange(4), np.array([2, 3, 5, 6]) * DAY_S)
    last = 9 * DAY_S
    assert len(cut_adoption(adoption, 2, 2, last).rows) == 3
    assert cut_adoption(adoption, 2, None, last) is adoption
    assert cut_adoption(adoption, 5, None, last) == "fewer than 5 adopters"
    assert cut_adoption(adoption, 3, 4, last).rows.tolist() == [0, 1, 2, 3]
    assert cut_adoption(adoption, 4, 4, last) == "the corpus ends within the horizon"
