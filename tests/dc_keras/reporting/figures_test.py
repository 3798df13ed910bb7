import numpy as np
import polars as pl
import pytest
from saved_runs import CHALLENGES, write_run

from dc_keras.evaluation.predictions import answers, read_predictions
from dc_keras.evaluation.result_tables import BAYES
from dc_keras.evaluation.results import fold_metrics, judge_split
from dc_keras.reporting.figures import (
    GRID,
    mean_gain,
    mean_precision,
    pooled_reliability,
    seeding_lists,
)

figures = pytest.importorskip(
    "dc_keras.reporting.figures", reason="the extra `report` is not installed"
)


def test_main_models_are_visible_and_others_can_be_shown(result):
    figure = figures.precision_recall_figure(result)
    shown = {trace.name: trace.visible for trace in figure.data}
    assert shown == {
        "deepChallenger": True,
        "propensity × popularity": True,
        "VGG16+BERT": "legendonly",
        "deepChallenger without text": "legendonly",
        "prevalence": None,
    }
    assert figure.data[-1].y == pytest.approx((0.25, 0.25))


def test_every_model_has_an_interval_round_its_value(result):
    [points] = figures.interval_figure(result).data
    assert len(points.x) == len(result.models)
    assert list(points.x) == sorted(points.x)
    ours = points.y.index("deepChallenger")
    low, high = result.interval("deepChallenger")
    assert points.x[ours] + points.error_x.array[ours] == pytest.approx(high, abs=1e-4)
    assert points.x[ours] - points.error_x.arrayminus[ours] == pytest.approx(
        low, abs=1e-4
    )


def test_reliability_and_gain_have_a_line_to_be_compared_with(result):
    assert figures.reliability_figure(result).data[-1].name == "perfect"
    assert figures.gain_figure(result).data[-1].name == "chance"


def test_challenges_have_a_bar_of_each_model_and_no_markup(result):
    simple, ours = figures.challenge_figure(result).data
    assert (ours.name, simple.name) == ("deepChallenger", "propensity × popularity")
    assert len(ours.y) == len(CHALLENGES)
    assert list(ours.x) == sorted(ours.x)
    assert "&lt;script&gt;alert(1)&lt;/s" in "".join(ours.y)
    assert "<script" not in "".join(ours.y)


def test_without_baselines_the_best_model_is_shown(tmp_path):
    run = write_run(tmp_path, models={"VGG16": 0.1, "a lone one": 0.8})
    result = judge_split(run, "cold_user")
    assert figures.main_models(result) == ["a lone one"]
    [bars] = figures.challenge_figure(result).data
    assert bars.name == "a lone one"


@pytest.mark.parametrize(
    ("models", "main", "bars"),
    [
        ({BAYES: 0.9, "VGG16": 0.1}, ["VGG16", BAYES], 1),
        ({BAYES: 0.9}, [BAYES], 1),
        (
            {"popularity": 0.2, BAYES: 0.9, "deepChallenger": 0.4},
            ["deepChallenger", "popularity", BAYES],
            2,
        ),
    ],
)
def test_the_known_truth_comes_last_and_has_no_bars(tmp_path, models, main, bars):
    result = judge_split(write_run(tmp_path, models=models), "cold_user")
    assert figures.main_models(result) == main
    assert len(figures.challenge_figure(result).data) == bars


@pytest.fixture
def one_fold(tmp_path):
    """Returns the predictions of one fold; labels by score: yes, no, yes, no."""
    rows = pl.DataFrame(
        {
            "user_id": ["u_a", "u_b", "u_c", "u_d"],
            "challenge": ["cats"] * 4,
            "label": [1, 0, 1, 0],
            "score": [0.9, 0.8, 0.6, 0.1],
        }
    )
    parts = [
        rows.with_columns(model=pl.lit("m"), part=pl.lit(part))
        for part in ("valid", "test")
    ]
    (tmp_path / "predictions").mkdir()
    path = tmp_path / "predictions" / "cold_user-seed0-fold0.parquet"
    pl.concat(parts).write_parquet(path)
    return read_predictions(tmp_path, "cold_user")


def test_precision_is_that_where_a_recall_is_first_reached(one_fold):
    precision = mean_precision(one_fold, "m")
    # Half of the joiners are found at once, all of them among three.
    np.testing.assert_allclose(precision[GRID <= 0.5], 1)
    np.testing.assert_allclose(precision[GRID > 0.5], 2 / 3)


def test_area_below_precision_is_the_average_precision(predictions):
    for model in ("deepChallenger", "popularity", "always yes"):
        expected = fold_metrics(predictions.folds, model)["average_precision"]
        precision = mean_precision(predictions, model)
        assert np.mean(precision) == pytest.approx(expected, abs=0.02)


def test_gain_of_a_small_example(one_fold):
    gain = mean_gain(one_fold, "m")
    at = dict(zip(GRID.round(2).tolist(), gain.tolist(), strict=True))
    assert at[0.0] == 0
    assert at[0.25] == pytest.approx(1 / 2)
    assert at[0.5] == pytest.approx(1 / 2)
    assert at[0.75] == at[1.0] == pytest.approx(1)


def test_a_constant_score_has_no_gain(predictions):
    np.testing.assert_allclose(mean_gain(predictions, "always yes"), GRID)
    assert mean_gain(predictions, "deepChallenger")[10] > 0.25


def test_without_a_challenge_of_both_labels_there_is_no_gain(tmp_path):
    run = write_run(tmp_path, challenges=("a", "b"), num_seeds=1, num_folds=1)
    path = run / "predictions" / "cold_user-seed0-fold0.parquet"
    alone = (pl.col("user_id") == "u_0000") | (pl.col("part") == "valid")
    pl.read_parquet(path).filter(alone).write_parquet(path)
    assert mean_gain(read_predictions(run, "cold_user"), "popularity") is None


def test_reliability_pools_the_pairs_of_all_folds(predictions):
    bins = pooled_reliability(predictions, "deepChallenger")
    tests = [answers(fold, "deepChallenger", "test") for fold in predictions.folds]
    assert bins.counts.sum() == sum(len(test.labels) for test in tests)
    constant = pooled_reliability(predictions, "always yes")
    assert constant.predicted.tolist() == [1]
    assert constant.observed == pytest.approx([0.25])


def test_seeding_lists_rank_test_pairs_by_their_mean_score(predictions):
    lists = seeding_lists(predictions, "deepChallenger", 5)
    assert list(lists) == sorted(CHALLENGES)
    rows = pl.concat(predictions.folds).filter(
        model="deepChallenger", part="test", challenge="cats"
    )
    expected = (
        rows.group_by("user_id")
        .agg(pl.col("score").mean(), pl.col("label").first())
        .sort(["score"], descending=True)
        .head(5)
    )
    assert [s["user_id"] for s in lists["cats"]] == expected["user_id"].to_list()
    scores = [s["score"] for s in lists["cats"]]
    assert scores == pytest.approx(expected["score"].to_list())
    assert [s["joined"] for s in lists["cats"]] == (expected["label"] == 1).to_list()


def test_equal_scores_are_listed_by_pseudonym(predictions):
    users = [s["user_id"] for s in seeding_lists(predictions, "always yes", 4)["cats"]]
    assert users == ["u_0000", "u_0001", "u_0002", "u_0003"]
