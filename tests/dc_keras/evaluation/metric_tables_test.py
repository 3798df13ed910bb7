import numpy as np
import polars as pl
import pytest
from saved_runs import CHALLENGES, write_run
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    ndcg_score,
    precision_score,
    roc_auc_score,
)

from dc_keras.evaluation.metric_tables import (
    challenge_results,
    challenges_table,
    metrics_table,
    rankings_table,
)
from dc_keras.evaluation.metrics import best_threshold
from dc_keras.evaluation.predictions import answers
from dc_keras.evaluation.results import (
    fold_metrics,
    judge_split,
    participation_table,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def judgement(run):
    return judge_split(run, "cold_user")


@pytest.fixture(scope="module")
def tests(judgement):
    """Returns deepChallenger's test predictions and the threshold of each fold."""
    found = []
    for fold in judgement.predictions.folds:
        valid = answers(fold, "deepChallenger", "valid")
        test = answers(fold, "deepChallenger", "test")
        found.append((test, best_threshold(valid.labels, valid.scores)))
    return found


def _row(table, name):
    [row] = [row for row in table.rows if row[0] == name]
    return dict(zip(table.columns, row, strict=True))


def _grouped(tests, score, group):
    """Mean over groups of all folds of one metric of one class."""
    values = []
    for test, bar in tests:
        for name in np.unique(getattr(test, group)):
            mine = getattr(test, group) == name
            labels, called = test.labels[mine], test.scores[mine] >= bar
            if 0 < labels.mean() < 1:
                values.append(score(labels, called, zero_division=0))
    return np.mean(values)


def test_every_metric_has_its_column(judgement, tests):
    row = _row(metrics_table(judgement, "made up"), "deepChallenger")
    for name, score in (
        ("AP", average_precision_score),
        ("AUC", roc_auc_score),
        ("Brier", brier_score_loss),
    ):
        expected = np.mean([score(t.labels, t.scores) for t, _ in tests])
        assert row[name] == pytest.approx(expected)
    for name, average in (("yes", "binary"), ("macro", "macro")):
        expected = [
            f1_score(t.labels, t.scores >= bar, average=average) for t, bar in tests
        ]
        assert row[f"{name} F1"] == pytest.approx(np.mean(expected))
    for name, group in (("challenges", "challenges"), ("users", "users")):
        for letter, score in (("P", precision_score), ("F1", f1_score)):
            expected = _grouped(tests, score, group)
            assert row[f"{name} {letter}"] == pytest.approx(expected)
    halves = [(test, 0.5) for test, _ in tests]
    assert row["users F1 @.5"] == pytest.approx(_grouped(halves, f1_score, "users"))
    assert row["threshold"] == pytest.approx(np.mean([bar for _, bar in tests]))


def test_spread_is_that_of_the_seeds(judgement, tests):
    row = _row(metrics_table(judgement, "made up"), "deepChallenger")
    values = [average_precision_score(t.labels, t.scores) for t, _ in tests]
    expected = np.std([np.mean(values[:2]), np.mean(values[2:])])
    assert row["± seeds"] == pytest.approx(expected)


def test_one_seed_has_no_spread(tmp_path):
    judgement = judge_split(write_run(tmp_path, num_seeds=1), "cold_user")
    row = _row(metrics_table(judgement, "made up"), "deepChallenger")
    assert row["± seeds"] is None


def test_rankings_are_means_over_all_lists(judgement, tests):
    row = _row(rankings_table(judgement, "made up"), "deepChallenger")
    values = []
    for test, _ in tests:
        for user in np.unique(test.users):
            mine = test.users == user
            if 0 < test.labels[mine].mean() < 1:
                values.append(ndcg_score([test.labels[mine]], [test.scores[mine]], k=3))
    assert row["user NDCG@3"] == pytest.approx(np.mean(values))
    # A constant has chance level.
    constant = _row(rankings_table(judgement, "made up"), "always yes")
    assert constant["challenge lift@10%"] == pytest.approx(1)


def test_users_without_both_labels_are_counted(judgement):
    # Of 60 users three in four joined one of three challenges, in each of two seeds.
    notes = "\n".join(rankings_table(judgement, "made up").notes)
    assert "90 lists (30 left out) of users, 12 lists (0 left out) of chall" in notes


def test_challenge_results_use_pairs_of_the_challenge(judgement, tests):
    result = challenge_results(judgement.predictions, "deepChallenger")["cats"]
    place = sorted(CHALLENGES).index("cats")
    ratios, areas = [], []
    for test, _ in tests:
        mine = test.challenges == place
        labels, scores = test.labels[mine], test.scores[mine]
        ratios.append(average_precision_score(labels, scores) / labels.mean())
        areas.append(roc_auc_score(labels, scores))
    assert result.precision_over_prevalence == pytest.approx(np.mean(ratios))
    assert result.roc_auc == pytest.approx(np.mean(areas))
    assert (result.num_pairs, result.num_joined) == (120, 30)
    assert (result.num_folds, result.num_skipped) == (4, 0)


def test_challenges_are_compared_with_the_strongest_simple_baseline(judgement):
    table = challenges_table(judgement, "made up")
    assert {row[0] for row in table.rows} == set(CHALLENGES)
    assert "simple: propensity × popularity" in "\n".join(table.notes)
    for row in (_row(table, name) for name in CHALLENGES):
        assert row["Δ"] == pytest.approx(row["AP / prevalence, ours"] - row["simple"])
        assert row["Δ"] > 0
    assert "in 3 of 3 challenges" in table.notes[-1]


def test_challenge_without_joins_is_listed_without_metrics(tmp_path):
    run = write_run(tmp_path, num_users=8, num_seeds=1)
    path = run / "predictions" / "cold_user-seed0-fold0.parquet"
    joined = pl.when(challenge="dance").then(0).otherwise("label").cast(pl.Int32)
    pl.read_parquet(path).with_columns(label=joined).write_parquet(path)
    judgement = judge_split(run, "cold_user")
    table = challenges_table(judgement, "made up")
    row = _row(table, "dance")
    assert (row["folds"], row["left out"]) == ("1", "1")
    results = challenge_results(judgement.predictions, "always yes")
    assert results["dance"].precision_over_prevalence == pytest.approx(1)


def test_without_a_simple_baseline_nothing_is_compared(tmp_path):
    run = write_run(tmp_path, models={"deepChallenger": 0.5, "VGG16": 0.2})
    judgement = judge_split(run, "cold_user")
    assert judgement.strongest is None
    assert challenges_table(judgement, "made up") is None
    row = _row(
        participation_table(judge_split(run, "cold_user"), "made up"), "deepChallenger"
    )
    assert (row["Δ AP"], row["Δ 95 %"]) == (None, None)


def test_constant_scores_have_finite_tables(tmp_path):
    models = {"always yes": None, "deepChallenger": None}
    run = write_run(tmp_path, models=models, num_users=12)
    judgement = judge_split(run, "cold_user")
    for make in (metrics_table, rankings_table, challenges_table):
        for row in make(judgement, "made up").rows:
            numbers = [cell for cell in row if isinstance(cell, float)]
            assert np.isfinite(numbers).all()


def test_groups_of_one_label_leave_a_dash(tmp_path):
    # One user who joined one of two challenges: no ranking within a challenge.
    run = write_run(tmp_path, challenges=("a", "b"), num_seeds=1, num_folds=1)
    path = run / "predictions" / "cold_user-seed0-fold0.parquet"
    alone = (pl.col("user_id") == "u_0000") | (pl.col("part") == "valid")
    pl.read_parquet(path).filter(alone).write_parquet(path)
    judgement = judge_split(run, "cold_user")
    assert np.isnan(
        fold_metrics(judgement.predictions.folds, "popularity")["challenge_f1"]
    )
    row = _row(rankings_table(judgement, "made up"), "popularity")
    assert row["challenge precision@10"] is None
    assert row["user MRR"] is not None
    assert (
        _row(metrics_table(judgement, "made up"), "popularity")["challenges F1"] is None
    )
