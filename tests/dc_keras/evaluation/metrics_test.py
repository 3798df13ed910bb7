import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    recall_score,
    roc_auc_score,
)

from dc_keras.evaluation.metrics import (
    best_threshold,
    decision_metrics,
    group_metrics,
    macro_scores,
    pair_metrics,
)
from dc_keras.study.audit.feasibility import broken_identities
from dc_keras.training.average_precision import (
    Scores,
    bootstrap_average_precision,
    weighted_average_precision,
)

_LABELS = np.array([1, 1, 0, 0, 0])
_SCORES = np.array([0.9, 0.4, 0.6, 0.2, 0.1])


def _approx(value):
    return pytest.approx(value, abs=1e-12)


def test_pair_metrics_by_hand():
    # At .5: TP 1 (.9), FN 1 (.4), FP 1 (.6), TN 2.
    # yes: P = R = F1 = 1/2; no: P = R = F1 = 2/3; their means are 7/12.
    # MCC = (1·2 − 1·1) / √(2·2·3·3) = 1/6.
    # By rank: yes, no, yes, no, no, so AP = (1/1 + 2/3) / 2 = 5/6, and of the 6 pairs
    # of yes and no 5 are in order.
    # Brier = (.1² + .6² + .6² + .2² + .1²) / 5 = .78 / 5.
    # Five bins of one pair each are further from their labels than three could be:
    # (.1 + .6 + .6 + .2 + .1) / 5 = .32.
    # Log loss: the yes at .9 and .4, the no at .6, .2 and .1.
    # Accuracy 3/5; the recalls 1/2 and 2/3 have the mean 7/12.
    at_the_threshold = {
        "macro_precision": 7 / 12,
        "macro_recall": 7 / 12,
        "macro_f1": 7 / 12,
        "precision": 1 / 2,
        "recall": 1 / 2,
        "f1": 1 / 2,
        "micro_precision": 3 / 5,
        "micro_recall": 3 / 5,
        "micro_f1": 3 / 5,
        "mcc": 1 / 6,
        "balanced_accuracy": 7 / 12,
    }
    assert pair_metrics(_LABELS, _SCORES, 0.5) == _approx(
        {
            "average_precision": 5 / 6,
            "roc_auc": 5 / 6,
            "log_loss": -np.log([0.9, 0.4, 0.4, 0.8, 0.9]).mean(),
            "brier": 0.156,
            "calibration_error": 0.32,
            "prevalence": 0.4,
            "threshold": 0.5,
            **at_the_threshold,
            **{f"{name}_at_half": value for name, value in at_the_threshold.items()},
        }
    )


def test_a_score_that_reaches_the_threshold_is_yes():
    # At .4: TP 2, FP 1, TN 2. yes: P 2/3, R 1, F1 4/5; no: P 1, R 2/3, F1 4/5.
    metrics = pair_metrics(_LABELS, _SCORES, 0.4)
    assert metrics["macro_precision"] == _approx(5 / 6)
    assert metrics["macro_recall"] == _approx(5 / 6)
    assert metrics["macro_f1"] == _approx(4 / 5)
    assert (metrics["precision"], metrics["recall"]) == _approx((2 / 3, 1))
    # Metrics at .5 and of ranks do not change.
    assert metrics["macro_f1_at_half"] == _approx(7 / 12)
    assert metrics["average_precision"] == _approx(5 / 6)


def test_confident_error_has_a_finite_log_loss():
    metrics = pair_metrics(np.array([1, 0]), np.array([0.0, 1.0]), 0.5)
    assert 30 < metrics["log_loss"] < 40


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2).filter(
        lambda rows: 0 < np.mean(rows, axis=0)[0] < 1
    )
)
def test_decision_metrics_equal_sklearn_on_all_pairs(rows):
    labels, called = np.array(rows).T
    metrics = decision_metrics(labels, called)
    assert metrics["mcc"] == _approx(matthews_corrcoef(labels, called))
    assert metrics["balanced_accuracy"] == _approx(
        recall_score(labels, called, average="macro")
    )
    for average, prefix in (("binary", ""), ("macro", "macro_"), ("micro", "micro_")):
        for name, score in (("recall", recall_score), ("f1", f1_score)):
            expected = score(labels, called, average=average, zero_division=0)
            assert metrics[prefix + name] == _approx(expected)
    for name, value in macro_scores(labels, called, (0, 1)).items():
        assert metrics[name] == _approx(value)


def test_group_metrics_use_pairs_of_each_group():
    # a: TP 1, FP 1, FN 1. b: nothing is called yes. c has no label but no, d none but
    # yes: these are left out.
    groups = np.array([*"aaabbccd"])
    labels = np.array([1, 0, 1, 1, 0, 0, 0, 1])
    called = np.array([1, 1, 0, 0, 0, 1, 0, 1])
    metrics = group_metrics(labels, called, groups)
    assert metrics["precision"] == _approx([1 / 2, 0])
    assert metrics["recall"] == _approx([1 / 2, 0])
    assert metrics["f1"] == _approx([1 / 2, 0])


def test_groups_of_one_label_only_have_no_metrics():
    metrics = group_metrics(np.ones(3, int), np.ones(3, int), np.arange(3))
    assert {name: len(values) for name, values in metrics.items()} == {
        "precision": 0,
        "recall": 0,
        "f1": 0,
    }


def test_always_yes_has_the_precision_of_the_prevalence_and_half_the_recall():
    # yes: P 2/5, R 1, F1 4/7; no is never predicted: P = R = F1 = 0.
    metrics = pair_metrics(_LABELS, np.ones(5), 0.5)
    assert metrics["macro_precision"] == _approx(1 / 5)
    assert metrics["macro_recall"] == _approx(1 / 2)
    assert metrics["macro_f1"] == _approx(2 / 7)
    assert metrics["average_precision"] == _approx(2 / 5)
    assert metrics["roc_auc"] == _approx(1 / 2)
    assert metrics["mcc"] == 0


def test_macro_f1_is_the_mean_of_the_classes_f1():
    # Class 0: P 1, R 1/2, F1 2/3. Class 1: P 1/3, R 1, F1 1/2. Class 2 is never
    # predicted and class 3 never occurs either: zeros.
    labels, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    assert macro_scores(labels, predicted, range(3)) == _approx(
        {"macro_precision": 4 / 9, "macro_recall": 1 / 2, "macro_f1": 7 / 18}
    )
    assert macro_scores(labels, predicted, range(4)) == _approx(
        {"macro_precision": 4 / 12, "macro_recall": 3 / 8, "macro_f1": 7 / 24}
    )


_judged_pairs = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 3)), min_size=2
).map(lambda rows: np.array(rows, np.int64).T)


@settings(max_examples=40, deadline=None)
@given(_judged_pairs.filter(lambda rows: 0 < rows[0].mean() < 1))
def test_score_metrics_with_ties_follow_their_definitions(rows):
    labels, scores = rows[0], rows[1] / 4
    yes, no = scores[labels == 1][:, None], scores[labels == 0][None, :]
    auc = np.mean((yes > no) + 0.5 * (yes == no))
    precision = [labels[scores >= score].mean() for score in scores[labels == 1]]
    metrics = pair_metrics(labels, scores, 0.5)
    assert metrics["roc_auc"] == _approx(auc)
    assert metrics["average_precision"] == _approx(np.mean(precision))


@settings(deadline=None)
@given(_judged_pairs.filter(lambda rows: (rows[0] * rows[2]).any()))
def test_weighted_average_precision_is_that_of_repeated_rows(rows):
    labels, scores, weights = rows
    fold = Scores(labels, scores / 4, np.arange(len(labels)))
    got = weighted_average_precision(fold, np.stack([weights, 2 * weights]))
    expected = average_precision_score(
        np.repeat(labels, weights), np.repeat(scores / 4, weights)
    )
    assert got == pytest.approx([expected, expected])


def test_many_steps_are_taken_a_block_at_a_time(folds, monkeypatch):
    whole = bootstrap_average_precision(folds, 50, 0)
    monkeypatch.setattr("dc_keras.training.average_precision._STEPS_AT_ONCE", 2)
    assert bootstrap_average_precision(folds, 50, 0) == pytest.approx(whole)


def test_average_precision_without_a_weighted_positive_is_nan():
    fold = Scores(np.array([1, 0]), np.array([0.2, 0.8]), np.arange(2))
    got = weighted_average_precision(fold, np.array([[0, 1], [1, 0], [1, 1]]))
    assert got == pytest.approx([np.nan, 1, 0.5], nan_ok=True)


def test_best_threshold_takes_the_lowest_of_equals():
    # At .9: yes 2/3 (one of two), no 4/5 (two of three are no); at .3 the other way
    # round; at .6: 1/2 and 1/2; at .1: 2/3 and 0.
    assert best_threshold(np.array([1, 0, 1, 0]), np.array([0.9, 0.6, 0.3, 0.1])) == 0.3


@settings(max_examples=40, deadline=None)
@given(_judged_pairs.filter(lambda rows: 0 < rows[0].mean() < 1))
def test_no_threshold_has_a_better_macro_f1(rows):
    labels, scores = rows[0], rows[1] / 4

    def macro_f1(threshold):
        return f1_score(
            labels, scores >= threshold, average="macro", labels=[0, 1], zero_division=0
        )

    chosen = best_threshold(labels, scores)
    assert chosen in scores
    assert macro_f1(chosen) == _approx(max(macro_f1(score) for score in scores))


@pytest.mark.parametrize("labels", [[], [0, 0], [1, 1]])
def test_threshold_is_half_with_one_label(labels):
    assert best_threshold(np.array(labels), np.full(len(labels), 0.2)) == 0.5


@pytest.fixture
def folds():
    """Two folds of eight users, three pairs each, with ties."""
    rng = np.random.default_rng(0)
    users = np.repeat([f"u{number}" for number in range(8)], 3)
    return [
        Scores(rng.integers(0, 2, 24), rng.integers(0, 6, 24) / 5, users)
        for _ in range(2)
    ]


def test_bootstrap_depends_on_its_seed(folds):
    draws = bootstrap_average_precision(folds, 50, seed=3)
    assert draws.shape == (50,)
    np.testing.assert_array_equal(draws, bootstrap_average_precision(folds, 50, seed=3))
    assert not np.array_equal(draws, bootstrap_average_precision(folds, 50, seed=4))


def test_a_draw_repeats_users_with_all_their_pairs_in_every_fold(folds):
    draws = bootstrap_average_precision(folds, 20, seed=3)
    counts = np.random.default_rng(3).multinomial(8, np.full(8, 1 / 8), 20)
    for draw, times in zip(draws, counts, strict=True):
        repeats = np.repeat(times, 3)
        expected = [
            average_precision_score(
                np.repeat(fold.labels, repeats), np.repeat(fold.scores, repeats)
            )
            for fold in folds
        ]
        assert draw == pytest.approx(np.mean(expected))


def test_users_are_drawn_and_not_pairs():
    # Each user has one yes below one no, so every yes has precision 1/2 in every draw.
    # Drawing pairs would change it.
    users = np.repeat(np.arange(9), 2)
    fold = Scores(np.tile([1, 0], 9), np.tile([0.3, 0.6], 9), users)
    assert bootstrap_average_precision([fold], 100, 0) == pytest.approx(
        np.full(100, 0.5)
    )


def test_draws_do_not_depend_on_the_order_of_pairs(folds):
    order = np.random.default_rng(1).permutation(24)
    shuffled = [Scores(f.labels[order], f.scores[order], f.users[order]) for f in folds]
    np.testing.assert_allclose(
        bootstrap_average_precision(folds, 50, 0),
        bootstrap_average_precision(shuffled, 50, 0),
    )


def test_paired_difference_of_equal_models_is_zero_and_of_a_better_one_above(folds):
    def draws(change):
        changed = [Scores(f.labels, change(f), f.users) for f in folds]
        return bootstrap_average_precision(changed, 200, 0)

    ours = draws(lambda fold: fold.scores)
    # A ranking only depends on the order of scores.
    np.testing.assert_array_equal(ours - draws(lambda fold: fold.scores**3), 0)
    assert np.all(draws(lambda fold: fold.labels + 0.1 * fold.scores) - ours >= 0)


def test_a_fold_without_a_drawn_positive_is_left_out():
    # Users a and b make AP 1/2 in the first fold, c makes AP 1 in the second. A draw
    # has one fold, the other, or both: 1/2, 1 or 3/4, and never half of one of them.
    folds = [
        Scores(np.array([1, 0] * 2), np.array([0.3, 0.6] * 2), np.array([*"aabb"])),
        Scores(np.array([1, 0]), np.array([0.6, 0.3]), np.array([*"cc"])),
    ]
    draws = bootstrap_average_precision(folds, 500, 0)
    assert sorted(set(draws.round(9))) == [0.5, 0.75, 1.0]


def test_draw_without_any_positive_is_nan():
    fold = Scores(np.array([1, 0]), np.array([0.6, 0.3]), np.array([*"ab"]))
    draws = bootstrap_average_precision([fold], 400, 0)
    # Only b is drawn in a quarter of the draws.
    assert np.isnan(draws).mean() == pytest.approx(0.25, abs=0.1)
    assert set(draws[~np.isnan(draws)]) == {1.0}


# Macro precision, recall and F1 as printed, and what they break (docs/paper.md).
@pytest.mark.parametrize(
    ("row", "broken"),
    [
        ((0.017, 0.200, 0.083), ["F1 > 2P"]),
        ((0.188, 0.750, 0.188), ["R > .5 but P < .5"]),
        ((0.050, 0.059, 0.050), []),
        ((0.187, 0.750, 0.188), ["R > .5 but P < .5"]),
        ((0.494, 0.933, 0.494), ["R > .5 but P < .5"]),
        ((0.300, 0.200, 0.450), ["F1 > 2R", "F1 > (P+R)/2"]),
        ((0.600, 0.400, 0.500), ["P > .5 but R < .5"]),
        ((0.400, 0.400, 0.410), ["F1 > (P+R)/2"]),
        # Rounding alone can do this much.
        ((0.499, 0.501, 0.501), []),
        ((0.017, 0.200, 0.035), []),
    ],
)
def test_broken_identities_of_a_binary_row_are_named(row, broken):
    assert broken_identities(*row, is_binary=True) == broken


def test_identity_of_sides_applies_to_two_classes_only():
    assert broken_identities(0.163, 0.558, 0.163, is_binary=False) == []
    assert broken_identities(0.600, 0.400, 0.500, is_binary=False) == []


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=4, max_size=4).filter(any))
def test_no_confusion_matrix_violates_an_identity(counts):
    labels = np.repeat([0, 0, 1, 1], counts)
    called = np.repeat([0, 1, 0, 1], counts)
    row = macro_scores(labels, called, (0, 1)).values()
    assert broken_identities(*row, is_binary=True) == []
    rounded = (round(value, 3) for value in row)
    assert broken_identities(*rounded, is_binary=True) == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1),
        min_size=1,
        max_size=3,
    )
)
def test_no_mean_of_folds_over_many_classes_violates_an_identity(folds):
    rows = [list(macro_scores(*np.array(fold).T, range(5)).values()) for fold in folds]
    assert broken_identities(*np.mean(rows, axis=0), is_binary=False) == []


def test_sklearn_agrees_on_many_pairs():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 500)
    scores = np.clip(0.2 * labels + rng.random(500), 0, 1).round(2)
    metrics = pair_metrics(labels, scores, 0.6)
    assert metrics["average_precision"] == average_precision_score(labels, scores)
    assert metrics["roc_auc"] == roc_auc_score(labels, scores)
    for name, average in (("macro_f1", "macro"), ("f1", "binary")):
        assert metrics[name] == _approx(
            f1_score(labels, scores >= 0.6, average=average)
        )
