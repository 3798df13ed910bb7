import numpy as np
import polars as pl
import pytest
from saved_runs import CHALLENGES, write_run

from dc_keras.evaluation.predictions import answers, read_predictions
from dc_keras.evaluation.results import fold_metrics
from dc_keras.reporting.curves import (
    GRID,
    mean_gain,
    mean_precision,
    pooled_reliability,
    seeding_lists,
)


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
    assert [s.user_id for s in lists["cats"]] == expected["user_id"].to_list()
    scores = [s.score for s in lists["cats"]]
    assert scores == pytest.approx(expected["score"].to_list())
    assert [s.joined for s in lists["cats"]] == (expected["label"] == 1).to_list()


def test_equal_scores_are_listed_by_pseudonym(predictions):
    users = [s.user_id for s in seeding_lists(predictions, "always yes", 4)["cats"]]
    assert users == ["u_0000", "u_0001", "u_0002", "u_0003"]
