"""Tests of graphs of a small corpus, with weights derived by hand."""

import json

import pytest

from dc_keras.corpus.records import Edge, User, Video
from dc_keras.corpus.store import Corpus, CorpusWriter, table_of
from dc_keras.errors import DataError
from dc_keras.social.building import LAYERS, GraphPlan, build_graph, iter_snapshots
from dc_keras.study.challenge import Challenge

_DAY = 86_400
_START = 1_600_000_000 // _DAY * _DAY


def _post(number, user, day=0, **options):
    return Video(
        str(7_000_000_000_000_000_000 + number),
        user,
        "test",
        create_time=_START + day * _DAY,
        **options,
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    posts = [
        _post(1, "ann", hashtags=("cats", "fyp"), music_id="11", music_title="a song"),
        _post(2, "bob", 1, hashtags=("cats",), music_id="11", music_title="a song"),
        _post(3, "bob", 2, hashtags=("fyp",), effects=("green",)),
        _post(4, "cid", 2, music_title="original sound", effects=("green",)),
        _post(5, "dan", 3, music_title="original sound", hashtags=("dance",)),
        _post(6, "ann", 3, duet_of="7000000000000000002"),
    ]
    edges = [
        Edge("follow", "ann", "user", "cid", None, None, "test"),
        Edge("follow", "ann", "user", "stranger", None, None, "test"),
        Edge("suggested", "cid", "hashtag", "dogs", None, None, "test"),
        Edge("suggested", "dan", "hashtag", "dogs", None, None, "test"),
    ]
    place = tmp_path_factory.mktemp("social") / "corpus"
    with CorpusWriter(place) as writer:
        writer.add_videos(table_of(Video, posts))
        writer.finish(
            [User(name) for name in ("ann", "bob", "cid", "dan")],
            edges,
            key_fingerprint="0" * 16,
            media_root=None,
            num_quarantined=0,
            notes={},
        )
    return Corpus.open(place)


def _edges(corpus, layer, challenges=(), **options):
    plan = GraphPlan(layers=(layer,), weighting="count", **options)
    graph = build_graph(corpus, plan, challenges)
    weights = graph.layer(layer).weights.tocoo()
    return {
        (graph.users[i], graph.users[j]): weight
        for i, j, weight in zip(*weights.coords, weights.data, strict=True)
        if graph.layer(layer).is_directed or i < j
    }


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("co-hashtag", {("ann", "bob"): 1}),  # not by fyp
        ("co-sound", {("ann", "bob"): 1}),  # not by "original sound"
        ("co-effect", {("bob", "cid"): 1}),
        ("co-suggested-hashtag", {("cid", "dan"): 1}),
        ("co-suggested-sound", {}),
        ("duet", {("ann", "bob"): 1}),
        ("follow", {("ann", "cid"): 1}),
        ("mention", {}),
    ],
)
def test_layers_of_a_small_corpus(corpus, layer, expected):
    assert _edges(corpus, layer) == expected


def test_excluded_things_can_be_included(corpus):
    tags = _edges(corpus, "co-hashtag", keep_stop_tags=True)
    assert tags == {("ann", "bob"): 2}
    assert _edges(corpus, "co-hashtag", stop_tags=("#Cats",)) == {}
    assert _edges(corpus, "co-hashtag", min_support=3) == {}


def test_challenges_edge_those_who_joined(corpus):
    challenges = [Challenge("pets", ("cats", "dance")), Challenge("song", (), ("11",))]
    found = _edges(corpus, "co-challenge", challenges)
    assert found == {("ann", "bob"): 2, ("ann", "dan"): 1, ("bob", "dan"): 1}
    with pytest.raises(DataError, match="need the challenges of a Study"):
        _edges(corpus, "co-challenge")


def test_a_window_leaves_out_what_came_before_and_after(corpus):
    assert _edges(corpus, "co-hashtag", end=_START + _DAY) == {}
    assert _edges(corpus, "co-effect", start=_START + 2 * _DAY) == {("bob", "cid"): 1}
    assert _edges(corpus, "duet", end=_START + 3 * _DAY) == {}
    # A follow without a time is in no window.
    assert _edges(corpus, "follow", start=_START) == {}


def test_co_activity_within_seconds(corpus):
    assert _edges(corpus, "co-hashtag", within_s=_DAY) == {("ann", "bob"): 1}
    assert _edges(corpus, "co-hashtag", within_s=_DAY - 1) == {}
    with pytest.raises(DataError, match=r"suggestions have no time.*within_s=5"):
        GraphPlan(layers=("co-suggested-sound",), within_s=5)


def test_users_with_few_posts_have_no_edges(corpus):
    # With fyp ann and bob have two and dan one.
    options = {"keep_stop_tags": True, "min_support": 1}
    assert _edges(corpus, "co-hashtag", min_participation=2, **options) == {
        ("ann", "bob"): 2
    }
    assert _edges(corpus, "co-hashtag", min_participation=3, **options) == {}


def test_snapshots_cover_all_days(corpus):
    plan = GraphPlan(layers=("co-effect", "duet"), weighting="count")
    found = list(iter_snapshots(corpus, plan, _DAY))
    assert [start for start, _ in found] == [_START + d * _DAY for d in range(4)]
    edges = [[layer.num_edges for layer in graph.layers] for _, graph in found]
    assert edges == [[0, 0], [0, 0], [1, 0], [0, 1]]


def test_a_plan_comes_back_from_json():
    plan = GraphPlan(layers=("duet",), stop_tags=("cats",), start=3, max_bytes=7)
    assert GraphPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    with pytest.raises(DataError, match=r"of this version; build .* 'colour'"):
        GraphPlan.from_dict({"colour": "red"})


@pytest.mark.parametrize(
    "options",
    [
        {"layers": ("co-hat",)},
        {"layers": ()},
        {"layers": ("duet", "duet")},
        {"top_k": -1},
        {"min_support": 0},
        {"within_s": -1},
        {"min_participation": 0},
        {"min_support": 5, "max_support": 3},
    ],
)
def test_invalid_plans_are_refused(options):
    with pytest.raises(DataError, match=r"must be .* Received: "):
        GraphPlan(**options)


def test_a_period_that_ends_before_its_start_is_refused():
    with pytest.raises(DataError, match="end must be after start"):
        GraphPlan(start=2, end=2)


def test_a_plan_may_have_all_layers(corpus):
    plan = GraphPlan(layers=LAYERS)
    graph = build_graph(corpus, plan, [Challenge("pets", ("cats",))])
    assert [layer.name for layer in graph.layers] == list(LAYERS)
    assert plan.to_dict()["layers"] == LAYERS
