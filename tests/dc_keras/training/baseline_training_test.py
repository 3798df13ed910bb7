from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

from dc_keras.errors import DataError
from dc_keras.models.deep_challenger import USER_REPRESENTATION
from dc_keras.models.paper_baselines import POOL_VIDEOS
from dc_keras.models.pooling import standardizer
from dc_keras.options import ContextOptions, ModelOptions, ProtocolOptions
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.splits import Fold
from dc_keras.study.temporal import join_cutoffs
from dc_keras.training.fold import FoldData
from dc_keras.training.fusion_training import (
    baseline_examples,
    fit_baseline,
    user_sets,
    video_vectors,
)
from dc_keras.training.loop import predict
from dc_keras.training.proxy_training import side_variants
from dc_keras.training.recipe import Recipe
from dc_keras.training.saved_participation import CHALLENGES_FILE, load_participation
from dc_keras.training.train_model import TrainingRun, train_participation

_NAMES = ("VGG16", "VGG16+BERT", "ResNet50", "ResNet50+BERT")
_NOTHING = np.arange(0)
_SHAPE = ModelOptions(hidden_dim=8, user_pooling="mean", layer_norm=False)


@pytest.fixture(scope="module")
def pairs(grid):
    return grid_pairs(grid)


@pytest.fixture(scope="module")
def make_examples(grid, table, facts):
    def make(name, train, grid=grid):
        nothing = np.arange(0)
        fold = Fold("random_pair", 0, train, nothing, nothing)
        variant = side_variants(table, name)["user"]
        return baseline_examples(FoldData(grid, table, facts, fold, 0), variant)

    return make


@pytest.mark.parametrize("name", _NAMES)
def test_every_baseline_learns_who_joins(pairs, make_examples, training_options, name):
    test = np.flatnonzero(pairs.user >= 24)
    train = np.flatnonzero(pairs.user < 24)
    examples = make_examples(name, train)
    options = replace(training_options, epochs=12, patience=0)
    fitted = fit_baseline(examples, train, _NOTHING, _SHAPE, options)
    scores = predict(fitted.model, examples.take(test))
    prevalence = pairs.label[test].mean()
    ap = average_precision_score(pairs.label[test], scores)
    assert ap > prevalence + 0.25


def test_baseline_inputs_are_history_and_challenge(grid, table, pairs, make_examples):
    everything = np.arange(len(pairs))
    examples = make_examples("VGG16+BERT", everything)
    inputs = examples.inputs_at(0, len(pairs))
    variant = side_variants(table, "VGG16+BERT")["user"]
    values, valid = user_sets(grid, table, video_vectors(table, variant), 4)
    np.testing.assert_array_equal(inputs["user"], values[pairs.user])
    np.testing.assert_array_equal(inputs["user_valid"], valid[pairs.user])
    np.testing.assert_array_equal(
        inputs["challenge"], np.eye(len(grid.challenges))[pairs.challenge]
    )
    np.testing.assert_array_equal(examples.labels, pairs.label)


def test_challenges_without_training_pairs_have_the_mean_of_the_others(
    pairs, make_examples
):
    train = np.flatnonzero(pairs.challenge != 1)
    found = make_examples("VGG16", train).tables["challenge"]
    np.testing.assert_array_equal(found, [[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]])


def test_a_challenge_has_one_output_at_all_cutoffs(grid, make_examples):
    both = join_cutoffs([grid, grid], [1, 2])
    early = np.flatnonzero(grid_pairs(both).user < len(grid.users))
    found = make_examples("VGG16", early, grid=both).tables["challenge"]
    np.testing.assert_array_equal(found, np.tile(np.eye(3), (2, 1)))


def test_a_baselines_moments_are_those_of_the_training_users_posts(
    grid, table, pairs, make_examples, training_options
):
    train = np.flatnonzero(pairs.user < 9)
    examples = make_examples("VGG16+BERT", train)
    options = replace(training_options, epochs=1)
    model = fit_baseline(examples, train, _NOTHING, _SHAPE, options).model
    posts = table.rows([v for history in grid.histories[:9] for v in history])
    variant = side_variants(table, "VGG16+BERT")["user"]
    values = video_vectors(table, variant)[posts].astype(np.float64)
    network = model.get_layer(USER_REPRESENTATION)
    mean, scale = standardizer(network, POOL_VIDEOS).weights
    np.testing.assert_allclose(mean, values.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(scale, 1 / values.std(axis=0), rtol=1e-5)


def test_a_baseline_of_other_features_is_refused(table):
    with pytest.raises(DataError, match=r"one of VGG16, VGG16\+BERT, .*=CLIP$"):
        side_variants(table, "CLIP")


def test_a_baseline_that_is_saved_scores_as_the_one_that_was_fitted(
    grid, table, facts, training_options, tmp_path
):
    sampled = {
        name: replace(vision, sampling={"num_frames": 3})
        for name, vision in table.vision.items()
    }
    table = replace(table, vision=sampled)
    training = replace(training_options, epochs=2)
    run = TrainingRun(
        FoldData.without_test(grid, table, facts, 0.2, 0, "0123456789abcdef"),
        Recipe.of(_SHAPE, training, ContextOptions(), "ResNet50"),
        ProtocolOptions(),
        tmp_path,
    )
    fitted = train_participation(run)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("model.keras", "config.json", "history.csv", "predictions.parquet"),
        *("tensorboard", CHALLENGES_FILE, "SHA256SUMS"),
    }
    loaded = load_participation(tmp_path)
    model, config = loaded.model, loaded.config
    user, challenge = np.divmod(np.arange(3 * len(grid.users)), 3)
    inputs = (fitted.users, fitted.challenges, user, challenge)
    scores = model.predict(*inputs)
    np.testing.assert_array_equal(scores, fitted.model.predict(*inputs))
    saved = pl.read_parquet(tmp_path / "predictions.parquet")
    row = [
        grid.users.index(u) * 3 + grid.challenges.index(c) for u, c, *_ in saved.rows()
    ]
    np.testing.assert_allclose(saved["score"], scores[row], atol=1e-6)
    assert config["baseline"] == "ResNet50"
    assert config["context"] == ContextOptions(context="none").to_dict()
    assert config["describing_posts"] == {}
    assert config["sides"]["challenge"] == dict.fromkeys(("vision", "sampling", "text"))
    assert config["sides"]["user"]["vision"]["name"] == "ResNet50"
    assert config["sides"]["user"]["text"] is None
    # As `train` finds it when the same command is repeated.
    assert train_participation(run) is None
