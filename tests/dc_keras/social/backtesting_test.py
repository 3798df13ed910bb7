from dataclasses import replace

import numpy as np
import pytest
from drawn_graphs import layer_of

from dc_keras.corpus.records import User, Video
from dc_keras.corpus.store import Corpus, CorpusWriter, table_of
from dc_keras.errors import DataError
from dc_keras.social.adoption import DAY_S, Adoption, find_adoptions
from dc_keras.social.backtesting import (
    CONTAGIONS,
    METHODS,
    PastChallenge,
    backtest,
    build_layer_before,
    build_past_challenge,
    contagion_rate,
    cut_adoption,
)
from dc_keras.social.building import GraphPlan
from dc_keras.social.reach import edge_chances, simulate_reach
from dc_keras.study.challenge import Challenge
from dc_keras.study.study import Study

_RING = layer_of([(u, (u + d) % 60, 1.0) for u in range(60) for d in (1, 2)], 60)
_FEW = {"num_runs": 40, "num_fit_runs": 10}


def _past(name, num_adopters, *, days=1.0, layer=_RING, first=0):
    """Returns a challenge whose first two adopters come within `days`."""
    times = np.full(num_adopters, days * DAY_S, np.int64)
    times[0] = 0
    rows = (first + np.arange(num_adopters)) % 60
    return PastChallenge(name, layer, Adoption(rows, times), 2)


@pytest.fixture(scope="module")
def found():
    # Faster challenges reach more users: reach = 16 / days.
    past = [_past(f"c{d}", 16 // d, days=d, first=7 * d) for d in (1, 2, 4, 8)]
    return backtest(past, **_FEW)


def test_contagion_is_the_activated_number_at_mean_strength():
    # Four edges of weight 1 each: at a small rate four times the rate are won.
    assert contagion_rate(_RING, 0.01) == pytest.approx(0.0025)
    assert contagion_rate(layer_of([(0, 1, 3.0)], 5), 0.6) == pytest.approx(0.2)
    with pytest.raises(DataError, match=r"needs an edge. Received: layer=drawn"):
        contagion_rate(layer_of([], 3), 1.0)


def test_the_mean_is_that_of_all_others(found):
    # Of 16, 8, 4 and 2 the geometric means of the three others.
    expected = [(8 * 4 * 2) ** (1 / 3), (16 * 4 * 2) ** (1 / 3)]
    expected += [(16 * 8 * 2) ** (1 / 3), (16 * 8 * 4) ** (1 / 3)]
    assert found.table["mean_predicted"].to_list() == pytest.approx(expected)
    assert found.table["actual"].to_list() == [16, 8, 4, 2]


def test_the_regression_finds_a_law_of_speed(found):
    assert found.table["speed_predicted"].to_list() == pytest.approx([16, 8, 4, 2])
    assert found.errors("speed") == pytest.approx(np.zeros(4), abs=1e-9)


def test_the_best_method_has_the_smallest_error(found):
    assert found.best == "speed"
    assert found.mean_error("speed") < found.mean_error("mean")
    # A future challenge is forecast from all: of 16, 8, 4 and 2.
    mean, low, high = found.mean_forecast()
    assert mean == pytest.approx((16 * 8 * 4 * 2) ** (1 / 4))
    assert 2 <= low < mean < high <= 16


def test_the_summary_equals_the_formulas(found):
    summary = {row["method"]: row for row in found.summary().iter_rows(named=True)}
    assert tuple(summary) == METHODS
    errors = np.abs(np.log(found.table["mean_predicted"] / found.table["actual"]))
    assert summary["mean"]["log_error"] == pytest.approx(errors.mean())
    assert summary["mean"]["above_mean"] == 0.0
    assert summary["speed"]["above_mean"] == pytest.approx(-errors.mean())
    assert summary["speed"]["above_mean_high"] < 0
    for row in summary.values():
        assert row["log_error_low"] <= row["log_error"] <= row["log_error_high"]
        assert row["challenges"] == 4


def test_a_cascade_of_the_model_is_forecast_correctly():
    """The contagion of challenges drawn from the cascade is recovered."""
    rate = contagion_rate(_RING, 0.8)
    past = []
    for number in range(30):
        seeds = np.array([number * 2, (number * 2 + 30) % 60])
        run = simulate_reach(edge_chances(_RING, rate), seeds, num_runs=1, seed=number)
        others = np.setdiff1d(np.flatnonzero(run.chances), seeds)
        rows = np.concatenate([seeds, others])
        times = np.concatenate([[0, 1], np.full(len(others), 2)])
        past.append(PastChallenge(f"c{number}", _RING, Adoption(rows, times), 2))
    found = backtest(past, num_runs=200, num_fit_runs=40)
    assert 0.5 <= found.contagion <= 1.2
    table = found.table
    inside = (table["actual"] >= table["cascade_low"]) & (
        table["actual"] <= table["cascade_high"]
    )
    # 27 of 30 are expected; fewer than 22 would come in one of a hundred.
    assert inside.sum() >= 22


def test_a_forecast_does_not_use_its_own_challenge():
    """Its outcome changes the forecasts of others only."""
    first, *others = [_past(f"c{d}", 3 * d, days=d, first=7 * d) for d in (1, 2, 4, 8)]
    grown = replace(first, adoption=_past("c1", 50, first=7).adoption)
    one, two = (backtest([made, *others], **_FEW).table for made in (first, grown))
    known = [name for name in one.columns if name != "actual"]
    assert one.row(0, named=True)["actual"] != two.row(0, named=True)["actual"]
    assert one.select(known).row(0) == two.select(known).row(0)
    assert one.select(known).rows()[1:] != two.select(known).rows()[1:]


def test_equal_seeds_give_equal_answers(found):
    past = [_past(f"c{d}", 16 // d, days=d, first=7 * d) for d in (1, 2, 4, 8)]
    messages = []
    again = backtest(past, **_FEW, progress=messages.append)
    assert again.table.equals(found.table)
    assert again.summary().equals(found.summary())
    assert messages[0] == "1 of 4: cascades of c1"
    assert again.contagion in CONTAGIONS


def test_a_backtest_needs_two_challenges():
    with pytest.raises(DataError, match=r"two past challenges.*challenges=1"):
        backtest([_past("alone", 5)])


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
