import numpy as np
import polars as pl
import pytest
from saved_runs import MODELS, write_run

from dc_keras.errors import DataError
from dc_keras.evaluation.predictions import answers, list_splits, read_predictions


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path, ("cold_user", "temporal"), num_users=12)


@pytest.fixture
def change(run):
    """Changes the rows of one model in the first fold."""

    def change(whose, **columns):
        path = run / "predictions" / "cold_user-seed0-fold0.parquet"
        fold = pl.read_parquet(path)
        chosen = pl.col("model") == whose
        changes = {
            name: pl.when(chosen).then(value).otherwise(pl.col(name))
            for name, value in columns.items()
        }
        fold.with_columns(**changes).write_parquet(path)
        return run

    return change


def test_splits_are_found_by_their_files(run):
    (run / "predictions" / "notes.parquet").touch()
    assert list_splits(run) == ["cold_user", "temporal"]


def test_folds_come_seed_by_seed(run):
    predictions = read_predictions(run, "cold_user")
    assert predictions.seeds == (0, 0, 1, 1)
    assert predictions.models == tuple(MODELS)
    assert predictions.num_left_out == 0


def test_the_same_person_has_the_same_number_in_every_fold(run):
    first, second, third, _ = read_predictions(run, "cold_user").folds
    tests = [answers(fold, "popularity", "test") for fold in (first, second, third)]
    assert np.unique(tests[0].users).tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert np.unique(tests[1].users).tolist() == [4, 5, 6, 7]
    assert tests[2].users.tolist() == tests[0].users.tolist()


def test_answers_have_one_model_and_one_part(run):
    fold = pl.read_parquet(run / "predictions" / "cold_user-seed0-fold1.parquet")
    rows = fold.filter(model="deepChallenger", part="valid")
    got = answers(fold, "deepChallenger", "valid")
    assert got.scores.tolist() == rows["score"].to_list()
    assert got.labels.tolist() == rows["label"].to_list()
    assert got.users.tolist() == rows["user_id"].to_list()
    assert got.challenges.tolist() == rows["challenge"].to_list()


def test_folds_of_one_label_are_left_out_and_counted(run):
    path = run / "predictions" / "cold_user-seed1-fold0.parquet"
    fold = pl.read_parquet(path)
    fold.with_columns(label=pl.lit(0, pl.Int32)).write_parquet(path)
    predictions = read_predictions(run, "cold_user")
    assert (predictions.seeds, predictions.num_left_out) == ((0, 0, 1), 1)


def test_split_of_one_label_is_refused(run):
    for path in (run / "predictions").glob("cold_user-*.parquet"):
        fold = pl.read_parquet(path)
        fold.with_columns(label=pl.lit(1, pl.Int32)).write_parquet(path)
    with pytest.raises(DataError, match=r"did not\. Received: 4 folds with one label"):
        read_predictions(run, "cold_user")


def test_models_must_have_the_same_pairs(change):
    run = change("deepChallenger", user_id=pl.lit("u_0003"))
    with pytest.raises(
        DataError, match=r"same order\. Received: other pairs for deepChall"
    ):
        read_predictions(run, "cold_user")


@pytest.mark.parametrize("score", [1.5, -0.1, float("nan")])
def test_a_score_must_be_a_probability(change, score):
    run = change("popularity", score=pl.lit(score))
    with pytest.raises(DataError, match=rf"Received: {score} by popularity"):
        read_predictions(run, "cold_user")


def test_no_value_may_be_missing(change):
    run = change("popularity", user_id=pl.lit(None))
    with pytest.raises(DataError, match=r"must have all values.*: a missing user_id"):
        read_predictions(run, "cold_user")


def test_folds_must_have_the_same_models(change):
    run = change("popularity", model=pl.lit("another"))
    with pytest.raises(
        DataError,
        match=r"fold1.parquet: every fold must have the same models, .* Received: always yes",
    ):
        read_predictions(run, "cold_user")


def test_no_fold_is_an_error(run):
    with pytest.raises(DataError, match=r"no predictions/cold_both-\*.parquet in "):
        read_predictions(run, "cold_both")
