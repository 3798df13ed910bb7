import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from dc_keras.context import trees
from dc_keras.context.tree_bins import RankedFeatures
from dc_keras.context.trees import _SETTINGS, BoostedTrees, fit_trees, with_unknown


def _rows(rng, count=600, num_features=5):
    features = rng.normal(size=(count, num_features)).astype(np.float32)
    features[:, 4] = rng.integers(0, 3, count)
    odds = 2 * features[:, 0] * (features[:, 1] > 0) + features[:, 4] - 1
    label = (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(int)
    return features, label


def _fit(features, label, weight):
    return fit_trees(RankedFeatures(features), np.arange(len(label)), label, weight, 0)


def _reference(features, label, weight, seed=0):
    trees = HistGradientBoostingClassifier(**_SETTINGS, random_state=seed)
    return trees.fit(features, label, sample_weight=weight)


def _far_from_thresholds(model, reference, features):
    """Returns rows without features close to a threshold."""
    is_far = np.ones(len(features), bool)
    for [predictor] in reference._predictors:
        for node in predictor.nodes:
            if not node["is_leaf"]:
                column = node["feature_idx"]
                band = 1e-3 * model.weights["scale"][column]
                distance = np.abs(features[:, column] - node["num_threshold"])
                is_far &= ~(distance < band)
    return is_far


@pytest.mark.parametrize("unknown", [0.0, 0.3])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_trees_are_those_of_scikit_learn(unknown, is_weighted):
    rng = np.random.default_rng(0)
    features, label = _rows(rng)
    features[rng.random(features.shape) < unknown] = np.nan
    weight = rng.choice([0.5, 1.0], len(label)) if is_weighted else np.ones(len(label))
    model = _fit(features, label, weight)
    reference = _reference(features, label, weight)
    new_rows, _ = _rows(np.random.default_rng(1), 3000)
    new_rows[rng.random(new_rows.shape) < 0.2] = np.nan
    for rows in (features, new_rows):
        is_far = _far_from_thresholds(model, reference, rows)
        assert is_far.mean() > 0.5
        np.testing.assert_allclose(
            model(with_unknown(rows)).numpy()[is_far],
            reference.decision_function(rows)[is_far],
            atol=1e-4,
        )


@pytest.mark.parametrize("count", [300, 2000, 10_400])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_thresholds_are_those_of_scikit_learn(count, is_weighted):
    rng = np.random.default_rng(2)
    features, label = _rows(rng, count)
    features[rng.random(features.shape) < 0.1] = np.nan
    features[:, 3] = np.repeat(features[::2, 3], 2)
    weight = rng.choice([0.5, 1.0], count) if is_weighted else np.ones(count)
    ours = _fit(features, label, weight).weights["threshold"]
    theirs = [
        node["num_threshold"]
        for [predictor] in _reference(features, label, weight)._predictors
        for node in predictor.nodes
        if not node["is_leaf"]
    ]
    assert set(np.float32(theirs)) <= set(ours.ravel()) <= {0, *np.float32(theirs)}


def test_split_is_linear_around_its_threshold():
    features, label = _rows(np.random.default_rng(0))
    model = _fit(features, label, np.ones(len(label)))
    feature, threshold = model.weights["feature"], model.weights["threshold"]
    column, place = int(feature[0, 0]), float(threshold[0, 0])
    row = np.tile(features[:1], (3, 1))
    # The last bit of a feature must not change the prediction.
    row[:, column] = [
        np.nextafter(np.float32(place), np.float32(side)) for side in (-9, place, 9)
    ]
    answers = model(with_unknown(row)).numpy()
    np.testing.assert_allclose(answers, answers[1], atol=1e-3)


def test_feature_that_is_never_known_is_not_used():
    features, label = _rows(np.random.default_rng(0))
    never = np.insert(features, 2, np.nan, axis=1)
    weight = np.ones(len(label))
    model, without = (_fit(rows, label, weight) for rows in (never, features))
    never[:, 2] = 7.0
    np.testing.assert_array_equal(
        model(with_unknown(never)), without(with_unknown(features))
    )


@pytest.mark.parametrize(
    ("label", "expected"), [(0, np.log(1e-4 / (1 - 1e-4))), (1, np.log(9999.0))]
)
def test_one_label_gives_the_rate(label, expected):
    features, _ = _rows(np.random.default_rng(0), 100)
    model = _fit(features, np.full(100, label), np.ones(100))
    np.testing.assert_allclose(model(with_unknown(features)), expected, rtol=1e-4)


def test_no_known_features_give_the_weighted_rate():
    label, weight = np.array([1, 0, 0]), np.array([2.0, 1.0, 1.0])
    unknown = np.full((3, 2), np.nan, np.float32)
    model = _fit(unknown, label, weight)
    np.testing.assert_allclose(model(with_unknown(unknown)), 0.0, atol=1e-6)


def test_trees_are_restored_from_their_weights():
    features, label = _rows(np.random.default_rng(0))
    features[::5, 0] = np.nan
    model = _fit(features, label, np.ones(len(label)))
    again = BoostedTrees(model.weights)
    new_rows = with_unknown(features)
    np.testing.assert_array_equal(model(new_rows), again(new_rows))
    assert {value.shape[0] for value in model.variables} <= {7, 8}


@pytest.mark.parametrize("count", [300, 3000])
def test_trees_of_some_rows_are_those_of_these_rows_alone(count):
    rng = np.random.default_rng(4)
    features, label = _rows(rng, count)
    features[rng.random(features.shape) < 0.1] = np.nan
    rows = np.flatnonzero(rng.random(count) < 0.7)
    # Neither is of use to these rows: one is constant there, one is unknown.
    features[rows, 2], features[rows, 3] = 1.0, np.nan
    weight = rng.choice([0.5, 1.0], count)
    some = fit_trees(RankedFeatures(features), rows, label[rows], weight[rows], 0)
    alone = _fit(features[rows], label[rows], weight[rows])
    for name, value in alone.weights.items():
        np.testing.assert_array_equal(some.weights[name], value)
    assert {*np.unique(some.weights["feature"])} <= {0, 1, 4}


def test_rows_are_scored_in_blocks(monkeypatch):
    features, label = _rows(np.random.default_rng(0))
    features[::3, 1] = np.nan
    model = _fit(features, label, np.ones(len(label)))
    monkeypatch.setattr(trees, "_BLOCK", 70)
    whole = model(with_unknown(features)).numpy()
    np.testing.assert_allclose(model.score(features), whole, rtol=1e-6)
