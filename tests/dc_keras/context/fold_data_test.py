import numpy as np
import pytest

from dc_keras.context.fold_data import Evidence
from dc_keras.context.post_features import read_facts
from dc_keras.errors import DataError
from dc_keras.study.temporal import join_cutoffs

_LABELS = [[1, None], [0, 1]]
_POSTS = {
    "histories": [["first", "second"], []],
    "support": [
        [("p", "walk"), ("u01", "run")],
        [("q", "sing"), ("p", "hum"), ("p", "la")],
    ],
    "pool": {"p": ["pool words"], "q": [], "r": ["idle"]},
}


def _terms(evidence, sets):
    return [[t for row in rows for t in evidence.facts.terms[row]] for rows in sets]


def test_both_sides_are_rows_and_terms_of_their_posts(make_evidence):
    evidence = make_evidence(_LABELS, **_POSTS)
    ids = evidence.facts.video_ids
    named = [[ids[row] for row in rows] for rows in evidence.histories]
    assert named == [["u00-00", "u00-01"], []]
    assert [[ids[row] for row in rows] for rows in evidence.support] == [
        ["c0-00", "c0-01"],
        ["c1-00", "c1-01", "c1-02"],
    ]
    assert _terms(evidence, evidence.histories) == [["first", "second"], []]
    assert _terms(evidence, evidence.support)[1] == ["sing", "hum", "la"]
    assert _terms(evidence, evidence.pool_histories)[0] == ["pool", "words"]


def test_pairs_are_the_observed_ones(make_evidence):
    pairs = make_evidence(_LABELS, **_POSTS).pairs
    assert pairs.user.tolist() == [0, 1, 1]
    assert pairs.challenge.tolist() == [0, 0, 1]
    assert pairs.label.tolist() == [1, 0, 1]


def test_the_pool_joined_what_it_describes_and_supporters_count_once(make_evidence):
    evidence = make_evidence(_LABELS, **_POSTS)
    np.testing.assert_array_equal(evidence.pool_joined, [[1, 1], [0, 1], [0, 0]])
    # c0 by p and u01; c1 by q and, twice, p.
    assert evidence.num_supporters.tolist() == [2.0, 2.0]


def test_posts_of_the_pool_are_rows_of_its_users(make_evidence):
    evidence = make_evidence(_LABELS, **_POSTS)
    ids = evidence.facts.video_ids
    named = [[ids[row] for row in rows] for rows in evidence.pool_histories]
    assert named == [["p-00"], [], ["r-00"]]


def test_hidden_users_describe_no_challenge(make_evidence):
    evidence = make_evidence(_LABELS, hidden_users={"u01"}, **_POSTS)
    assert _terms(evidence, evidence.support) == [["walk"], ["sing", "hum", "la"]]
    assert [len(rows) for rows in evidence.support] == [1, 3]
    assert evidence.num_supporters.tolist() == [1.0, 2.0]
    # Their own histories stay.
    assert [len(rows) for rows in evidence.histories] == [2, 0]


def test_without_a_pool_there_is_an_empty_one(make_evidence):
    evidence = make_evidence(_LABELS)
    assert evidence.pool_joined.shape == (0, 2)
    assert evidence.pool_histories == ()
    assert evidence.num_supporters.tolist() == [0.0, 0.0]


def test_cutoffs_are_the_studys_or_unknown(make_evidence):
    assert np.isnan(make_evidence(_LABELS).user_cutoffs).all()
    cutoffs = make_evidence(_LABELS, cutoff=1_600_000_000).user_cutoffs
    assert cutoffs.dtype == np.float64
    assert cutoffs.tolist() == [1.6e9, 1.6e9]


def test_a_person_of_several_cutoffs_is_one(make_study):
    grid, videos = make_study(_LABELS, **_POSTS)
    joined = join_cutoffs([grid, grid], [100, 200])
    evidence = Evidence.of(joined, read_facts(videos, joined))
    assert evidence.person.tolist() == [0, 1, 0, 1]
    assert evidence.topic.tolist() == [0, 1, 0, 1]
    assert evidence.pair_person.tolist() == [0, 1, 1, 0, 1, 1]
    assert evidence.pair_topic.tolist() == [0, 0, 1, 0, 0, 1]
    assert evidence.user_cutoffs.tolist() == [100.0, 100.0, 200.0, 200.0]


def test_one_label_is_no_evidence(make_evidence):
    with pytest.raises(DataError, match="2 pairs, all with the same label"):
        make_evidence([[1], [1]])
