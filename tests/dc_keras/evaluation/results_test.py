import numpy as np
import polars as pl
import pytest

from dc_keras.errors import DataError
from dc_keras.evaluation.result_tables import BAYES
from dc_keras.evaluation.results import (
    fold_metrics,
    judge_split,
    participation_table,
    table_one,
)
from dc_keras.evaluation.simple_baselines import SIMPLE_BASELINES
from dc_keras.study.audit.feasibility import broken_identities
from dc_keras.training.average_precision import (
    Scores,
    bootstrap_average_precision,
)

_MODELS = [
    *SIMPLE_BASELINES,
    BAYES,
    "VGG16",
    "VGG16+BERT",
    "deepChallenger",
]


def _part(model, part, labels, scores):
    count = len(labels)
    return pl.DataFrame(
        {
            "model": [model] * count,
            "part": [part] * count,
            "user_id": [f"u{number}" for number in range(count)],
            "challenge": ["c"] * count,
            "label": labels,
            "score": [float(score) for score in scores],
        }
    )


def _table_two(directory, split, dataset):
    return participation_table(judge_split(directory, split), dataset)


@pytest.fixture
def write_fold(tmp_path):
    def write(name, *parts):
        (tmp_path / "predictions").mkdir(exist_ok=True)
        path = tmp_path / "predictions" / f"{name}.parquet"
        pl.concat(parts).write_parquet(path)

    return write


@pytest.fixture
def two_folds(write_fold, tmp_path):
    """Two folds of one model.

    Fold 0: validation chooses .3; there the test pairs have TP 1, FP 1, TN 1, though
    .35 would part them without a fault. yes: P 1/2, R 1, F1 2/3; no: P 1, R 1/2,
    F1 2/3. At .5 nothing is yes: F1 0 and 4/5.
    Fold 1: no positive to choose by, so .5; there all is yes. yes: P 1/2, R 1, F1 2/3;
    no: zeros.
    """
    write_fold(
        "cold_user-seed0-fold0",
        _part("VGG16", "valid", [1, 0], [0.3, 0.1]),
        _part("VGG16", "test", [1, 0, 0], [0.35, 0.32, 0.1]),
    )
    write_fold(
        "cold_user-seed0-fold1",
        _part("VGG16", "valid", [0, 0], [0.9, 0.8]),
        _part("VGG16", "test", [1, 0], [0.6, 0.7]),
    )
    # Another split's predictions, all wrong, must not be counted in.
    write_fold(
        "random_pair-seed0-fold0",
        _part("VGG16", "valid", [1, 0], [0.1, 0.3]),
        _part("VGG16", "test", [1, 0], [0.1, 0.2]),
    )
    return tmp_path


def test_table_two_chooses_by_validation_pairs_and_means_over_folds(two_folds):
    table = _table_two(two_folds, "cold_user", "made up")
    assert table.title == "Table II. Participation, cold_user, made up"
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["model"] == "VGG16"
    assert row["AP"] == pytest.approx((1 + 1 / 2) / 2)
    assert row["AUC"] == pytest.approx((1 + 0) / 2)
    assert row["P"] == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert row["R"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert row["F1"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert row["F1@.5"] == pytest.approx((2 / 5 + 1 / 3) / 2)
    assert row["paper P / R / F1"] == "0.017 / 0.200 / 0.083"
    assert row["breaks"] == "F1 > 2P"


def test_test_labels_do_not_choose_the_threshold(two_folds, write_fold):
    folds = [pl.read_parquet(two_folds / "predictions/cold_user-seed0-fold0.parquet")]
    flipped = pl.when(part="test").then(1 - pl.col("label")).otherwise("label")
    others = [fold.with_columns(label=flipped) for fold in folds]
    assert fold_metrics(folds, "VGG16")["threshold"] == 0.3
    assert fold_metrics(others, "VGG16")["threshold"] == 0.3


def test_interval_has_the_percentiles_of_the_bootstrap(two_folds):
    folds = [
        Scores(np.array([1, 0, 0]), np.array([0.35, 0.32, 0.1]), np.arange(3)),
        Scores(np.array([1, 0]), np.array([0.6, 0.7]), np.arange(2)),
    ]
    draws = bootstrap_average_precision(folds, 1000, 0)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    table = _table_two(two_folds, "cold_user", "made up")
    assert table.rows[0][2] == f"[{low:.3f} {high:.3f}]"


def test_notes_of_table_two_define_its_numbers(two_folds):
    notes = "\n".join(_table_two(two_folds, "cold_user", "made up").notes)
    # Prevalence 1/3 and 1/2.
    assert "5 test pairs in 2 folds, prevalence 0.417" in notes
    assert "1000 bootstrap draws over users, seed 0" in notes
    assert "threshold with the best F1 on validation pairs" in notes
    assert "They are not a target." in notes


@pytest.fixture
def compare(write_fold, tmp_path):
    """Returns the notes of a table with scores of three models and the truth."""
    labels = np.tile([1, 0, 0], 10)

    def notes(**scores):
        models = {
            "always yes": np.ones(30),
            "popularity": labels,
            "deepChallenger": labels,
        } | scores
        parts = [
            _part(model, part, labels, score)
            for model, score in models.items()
            for part in ("valid", "test")
        ]
        write_fold("cold_user-seed0-fold0", *parts)
        return "\n".join(_table_two(tmp_path, "cold_user", "made up").notes)

    # No, yes, no by score: every positive has precision 1/2 or nearly so.
    return notes, np.tile([0.5, 0.6, 0.1], 10)


def test_deep_challenger_beats_a_weaker_baseline(compare):
    notes, weaker = compare
    assert (
        "deepChallenger beats the strongest simple baseline (popularity): difference "
        "in AP, paired over users, 95 % [+"
    ) in notes(popularity=weaker)


def test_equal_baseline_is_not_beaten(compare):
    notes, _ = compare
    assert (
        "deepChallenger does not beat the strongest simple baseline (popularity): "
        "difference in AP, paired over users, 95 % [+0.000 +0.000]"
    ) in notes()


def test_a_stronger_baseline_is_not_beaten(compare):
    notes, weaker = compare
    text = notes(deepChallenger=weaker)
    assert "deepChallenger does not beat the strongest simple baseline" in text
    assert "95 % [-" in text


def test_every_model_has_its_difference_to_the_strongest_simple_baseline(
    compare, tmp_path
):
    notes, weaker = compare
    text = notes(popularity=weaker)
    assert (
        "Δ AP: difference to the strongest simple baseline on these pairs (pop" in text
    )
    table = _table_two(tmp_path, "cold_user", "made up")
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    ours, best = rows["deepChallenger"], rows["popularity"]
    assert (best["Δ AP"], best["Δ 95 %"]) == (None, None)
    assert ours["Δ AP"] == pytest.approx(ours["AP"] - best["AP"])
    assert rows["always yes"]["Δ AP"] < 0
    labels = np.tile([1, 0, 0], 10)
    # Users sorted as texts: the same people, drawn under other numbers.
    order = np.argsort([f"u{number}" for number in range(30)])
    draws = [
        bootstrap_average_precision(
            [Scores(labels[order], scores[order], np.arange(30))], 1000, 0
        )
        for scores in (labels, weaker)
    ]
    low, high = np.nanpercentile(draws[0] - draws[1], [2.5, 97.5])
    assert ours["Δ 95 %"] == f"[{low:+.3f} {high:+.3f}]"


def test_seeds_are_counted(two_folds, write_fold):
    write_fold(
        "cold_user-seed1-fold0",
        _part("VGG16", "valid", [1, 0], [0.3, 0.1]),
        _part("VGG16", "test", [1, 0], [0.6, 0.7]),
    )
    notes = "\n".join(_table_two(two_folds, "cold_user", "made up").notes)
    assert "7 test pairs in 3 folds of 2 seeds, prevalence 0.444" in notes


def test_fold_of_one_label_is_left_out_with_a_note(two_folds, write_fold):
    write_fold(
        "cold_user-seed0-fold2",
        _part("VGG16", "valid", [1, 0], [0.3, 0.1]),
        _part("VGG16", "test", [0, 0], [0.6, 0.7]),
    )
    notes = "\n".join(_table_two(two_folds, "cold_user", "made up").notes)
    assert "in 2 folds, prevalence 0.417. 1 folds with one label are left out." in notes


def test_note_has_the_share_of_the_bayes_optimum(compare):
    notes, weaker = compare
    assert "Bayes" not in notes()
    # All positives share rank 11 to 20 behind ten negatives: precision 10 / 20.
    assert "reaches 0.50 of the Bayes-optimal AP" in notes(
        **{BAYES: np.tile([1, 0, 0], 10)}, deepChallenger=weaker
    )


def test_no_predictions_are_an_error(two_folds):
    with pytest.raises(DataError, match=r"no predictions/temporal-\*\.parquet in "):
        _table_two(two_folds, "temporal", "made up")


def test_predictions_of_no_model_are_an_error(write_fold, tmp_path):
    write_fold("cold_user-seed0-fold0", _part("any", "test", [1], [0.5]).clear())
    with pytest.raises(DataError, match="has predictions of proxies only, no Table II"):
        _table_two(tmp_path, "cold_user", "made up")


@pytest.mark.parametrize("row", [(0.017, 0.200, 0.083), (0.494, 0.933, 0.494)])
def test_impossible_metrics_raise(two_folds, monkeypatch, row):
    names = ("macro_precision", "macro_recall", "macro_f1")
    broken = dict(zip(names, row, strict=True))
    monkeypatch.setattr(
        "dc_keras.evaluation.results.pair_metrics", lambda *_: dict(broken)
    )
    with pytest.raises(
        RuntimeError, match=r"metrics of VGG16 violate \['.*'\]; this is a bug"
    ):
        _table_two(two_folds, "cold_user", "made up")


def _judged(kind, variant, num_classes, labels, predicted):
    count = len(labels)
    return pl.DataFrame(
        {
            "kind": [kind] * count,
            "variant": [variant] * count,
            "num_classes": [num_classes] * count,
            "video_id": [str(number) for number in range(count)],
            "label": labels,
            "predicted": predicted,
        }
    )


def test_table_one_means_macro_scores_over_folds(tmp_path):
    # Four classes, the last of them in no held-out video: zero for it. Fold 0: F1s 2/3,
    # 1/2, 0, 0, P 1, 1/3, 0, 0, R 1/2, 1, 0, 0; always naming class 0 has F1s 2/3 and
    # zeros. Fold 1: no fault in three classes; always naming class 0 has F1 1/2 there.
    (tmp_path / "proxies").mkdir()
    user = _judged("user", "BERT", 2, [0, 1], [0, 1])
    folds = [
        _judged("challenge", "VGG16", 4, [0, 0, 1, 2], [0, 1, 1, 1]),
        _judged("challenge", "VGG16", 4, [0, 1, 2], [0, 1, 2]),
    ]
    for index, fold in enumerate(folds):
        path = tmp_path / "proxies" / f"random_pair-seed0-fold{index}.parquet"
        pl.concat([fold, user]).write_parquet(path)
    table = table_one(tmp_path, "synthetic")
    assert table.title == "Table I. Proxy tasks, synthetic"
    first, second = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (first["proxy"], first["sees"], first["classes"]) == (
        "challenge",
        "VGG16",
        "4",
    )
    assert first["P"] == pytest.approx((4 / 12 + 3 / 4) / 2)
    assert first["R"] == pytest.approx((3 / 8 + 3 / 4) / 2)
    assert first["F1"] == pytest.approx((7 / 24 + 3 / 4) / 2)
    assert first["±"] == pytest.approx((3 / 4 - 7 / 24) / 2)
    assert first["guess"] == pytest.approx((1 / 6 + 1 / 8) / 2)
    assert first["paper P / R / F1"] == "0.248 / 0.186 / 0.153"
    assert first["breaks"] == "none"
    # The paper has no row of captions alone.
    assert (second["proxy"], second["F1"], second["±"]) == ("user", 1.0, 0.0)
    assert second["paper P / R / F1"] is None
    notes = "\n".join(table.notes)
    assert "Mean of 2 random 80/20 divisions" in notes
    assert "P is 0 for a class that is never predicted" in notes


def test_run_without_proxies_has_no_table_one(tmp_path):
    with pytest.raises(
        DataError, match=r"no proxies/\*\.parquet .* --split=random_pai"
    ):
        table_one(tmp_path, "made up")


@pytest.mark.parametrize("split", ["random_pair", "cold_user"])
def test_real_run_has_all_rows_and_the_papers_values(run, split):
    table = _table_two(run.directory, split, "made up")
    # Without cutoffs, earlier joins are unknown.
    assert [row[0] for row in table.rows] == [
        name for name in _MODELS if not name.startswith("earlier joins")
    ]
    places = [table.columns.index(name) for name in ("P", "R", "F1")]
    for row in table.rows:
        numbers = [row[place] for place in places]
        assert all(isinstance(number, float) for number in numbers)
        assert broken_identities(*numbers, is_binary=True) == []
        assert (row[-1] is None) == (row[0] not in ("VGG16", "VGG16+BERT", _MODELS[-1]))


def test_real_run_beats_chance_for_new_users(run):
    rows = {row[0]: row for row in _table_two(run.directory, "cold_user", "").rows}
    # A third of the pairs joined; the labels follow the posts in seven of eight.
    assert rows["always yes"][1] == pytest.approx(0.34, abs=0.05)
    assert rows["always yes"][3] == 0.5
    assert rows["deepChallenger"][3] > 0.65
    assert rows[BAYES][3] == pytest.approx(0.875, abs=0.06)


def test_a_real_runs_challenge_proxy_is_better_than_a_guess(run):
    table = table_one(run.directory, "made up")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["proxy"], row["sees"]) for row in rows] == [
        ("challenge", "VGG16"),
        ("challenge", "VGG16+BERT"),
        ("user", "VGG16"),
        ("user", "VGG16+BERT"),
    ]
    assert rows[1]["classes"] == "3"
    assert rows[1]["F1"] > 0.7 > rows[1]["guess"]
