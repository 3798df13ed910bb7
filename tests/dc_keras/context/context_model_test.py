import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import spearmanr

from dc_keras.context import context_fitting, context_model
from dc_keras.context.context_fitting import ContextFeatures
from dc_keras.context.context_model import (
    GROUPS,
    TREES,
    VIDEOS,
    ContextModel,
    fit_context,
)
from dc_keras.context.cross_fit_plan import plan_steps
from dc_keras.context.pair_features import NAMES
from dc_keras.errors import DataError
from dc_keras.study.splits import make_folds

# No other axis of the model is as long as either.
_NUM_USERS, _NUM_POOL = 61, 5


@pytest.fixture(scope="module")
def case(make_world):
    """Returns a fold, its features, and log-odds of the videos."""
    grid, data = make_world(_NUM_USERS)
    fold = make_folds(grid, data.evidence.pairs, "random_pair", 3, 0.2, 0)[0]
    steps = plan_steps(data.evidence, grid, "random_pair", fold.train, fold.valid, 0)
    videos = np.random.default_rng(0).normal(size=len(data.evidence.pairs))
    return fold, ContextFeatures(data, fold.train, steps, 0), videos


@pytest.fixture(scope="module")
def fitted(case):
    _, features, videos = case
    return fit_context(features, GROUPS, videos, 0)


def _asked(case, rows):
    """Returns vectors of the users and challenges of pairs, and log-odds of videos."""
    _, features, videos = case
    pairs = features.data.evidence.pairs
    return (
        tf.constant(features.users[pairs.user[rows]]),
        tf.constant(features.challenges[pairs.challenge[rows]]),
        tf.constant(videos[rows], tf.float32),
    )


def test_all_inputs_are_combined(case, fitted):
    assert fitted.model.chosen == NAMES
    assert fitted.model.combination.names == (*NAMES, TREES, VIDEOS)
    assert fitted.model.has_videos
    assert np.isfinite(fitted.log_odds(np.arange(len(case[2])))).all()


@pytest.mark.parametrize("name", ["rates/popularity", "text/topic_cosine"])
def test_a_model_of_one_feature_keeps_its_order_or_reverses_it(case, name):
    fold, features, _ = case
    fitted = fit_context(features, (name,), None, 0)
    assert fitted.model.chosen == fitted.model.combination.names == (name,)
    feature = features.values[fold.test, NAMES.index(name)]
    correlation = spearmanr(feature, fitted.log_odds(fold.test)).statistic
    assert abs(correlation) == pytest.approx(1)


def test_test_pairs_are_scored_by_the_final_model(case, fitted):
    rows = case[0].test
    answers = fitted.model.log_odds(*_asked(case, rows))
    np.testing.assert_allclose(fitted.log_odds(rows), answers, rtol=1e-4, atol=1e-4)


def test_training_pairs_are_not_scored_by_the_final_model(case, fitted):
    rows = case[0].train
    answers = fitted.model.log_odds(*_asked(case, rows)).numpy()
    assert np.abs(fitted.log_odds(rows) - answers).mean() > 0.01


@pytest.mark.parametrize(
    ("groups", "has_videos"), [(GROUPS, True), (("text", "rates"), False), ((), True)]
)
def test_loaded_model_gives_the_same_scores(case, tmp_path, groups, has_videos):
    _, features, videos = case
    of_videos = videos if has_videos else None
    model = fit_context(features, groups, of_videos, 0).model
    path = tmp_path / "context.npz"
    model.save(path)
    again = ContextModel.load(path)
    users, challenges, said = _asked(case, np.arange(50))
    answers = model.log_odds(users, challenges, said if has_videos else None)
    np.testing.assert_array_equal(
        answers, again.log_odds(users, challenges, said if has_videos else None)
    )
    assert np.ptp(answers) > 0
    assert again.space.width == model.space.width
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_file_is_reproducible_and_has_no_pickle(fitted, tmp_path):
    for name in ("one.npz", "other"):
        fitted.model.save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind in "fiU" for name in archive.files)


def test_no_weight_has_an_axis_over_users(case, fitted, tmp_path):
    fold, features, _ = case
    evidence = features.data.evidence
    known = len(np.unique(evidence.pairs.user[fold.train]))
    people = {known, _NUM_USERS, known + _NUM_POOL, _NUM_USERS + _NUM_POOL}
    # Such as these would be found.
    assert features.users.shape[0] in people
    path = tmp_path / "context.npz"
    fitted.model.save(path)
    with np.load(path, allow_pickle=False) as archive:
        shapes = {name: archive[name].shape for name in archive.files}
    shapes |= {value.name: tuple(value.shape) for value in fitted.model.variables}
    shapes["challenges"] = features.challenges.shape
    assert len(shapes) > 20
    assert not {name for name, shape in shapes.items() if people & set(shape)}


@pytest.mark.parametrize("broken", ["cut", "empty", "array", "foreign", "text", "none"])
def test_another_file_is_no_context_model(fitted, tmp_path, broken):
    path = tmp_path / "context.npz"
    fitted.model.save(path)
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif broken == "empty":
        path.write_bytes(b"")
    elif broken == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif broken == "foreign":
        np.savez(path, config=np.array(json.dumps({})))
    elif broken == "text":
        path.write_text("context")
    else:
        path.unlink()
    with pytest.raises(DataError, match="a context model must be a file"):
        ContextModel.load(path)


def test_model_without_inputs_is_refused(case):
    with pytest.raises(DataError, match="must use context features or videos"):
        fit_context(case[1], (), None, 0)


def test_trees_without_features_are_refused(case):
    with pytest.raises(DataError, match="must use context features or videos"):
        fit_context(case[1], ("trees",), None, 0)


def test_informative_videos_get_weight(case):
    fold, features, _ = case
    label = features.data.evidence.pairs.label
    with_videos = fit_context(features, ("rates",), 6.0 * label - 3.0, 0)
    alone = fit_context(features, ("rates",), None, 0)
    assert with_videos.model.combination.weights["weights"][-1] > 0.5
    for found, least in ((with_videos, 0.9), (alone, 0.0)):
        order = np.argsort(-found.log_odds(fold.test))
        best = label[fold.test][order][: label[fold.test].sum()]
        assert best.mean() >= least


def test_test_labels_do_not_change_weights(case):
    fold, features, videos = case
    label = features.data.evidence.pairs.label.copy()
    label[fold.test] = 1 - label[fold.test]
    pairs = replace(features.data.evidence.pairs, label=label)
    evidence = replace(features.data.evidence, pairs=pairs)
    data = replace(features.data, evidence=evidence)
    other = ContextFeatures(data, fold.train, features.steps, 0)
    one, two = (fit_context(f, GROUPS, videos, 0) for f in (features, other))
    everything = np.arange(len(label))
    np.testing.assert_array_equal(one.log_odds(everything), two.log_odds(everything))


def test_of_more_pairs_a_sample_is_fitted_and_all_are_scored_in_blocks(
    case, monkeypatch
):
    fold, whole, videos = case
    known, rows = {*fold.train, *fold.valid}, fold.test[::-1]
    monkeypatch.setattr(context_fitting, "MOST_PAIRS", len(known) // 2)
    monkeypatch.setattr(context_model, "_BLOCK", 50)
    features = ContextFeatures(whole.data, fold.train, whole.steps, 0)
    assert {*features.sampled} < known
    assert len(features.sampled) == len(known) // 2
    assert {*features.train} == {*features.sampled} & {*fold.train}
    fitted = fit_context(features, GROUPS, videos, 0)
    answers = fitted.model.log_odds(*_asked(case, rows))
    np.testing.assert_allclose(fitted.log_odds(rows), answers, rtol=1e-4, atol=1e-4)
    # The features of all pairs were never in memory.
    assert "values" not in vars(features)
    for part in (rows, fold.train):
        found = features.values_of(part)
        np.testing.assert_allclose(found, whole.values[part], rtol=1e-5, atol=1e-5)
