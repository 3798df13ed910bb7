from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from dc_keras.errors import DataError
from dc_keras.options import ModelOptions, TrainingOptions
from dc_keras.study.pairs import Pairs, grid_pairs
from dc_keras.training.fusion_training import (
    challenge_sets,
    fit_deep_challenger,
    label_weights,
    pair_examples,
    sample_negatives,
    user_sets,
    video_vectors,
)
from dc_keras.training.loop import predict
from dc_keras.training.proxy_training import Variant

_VARIANTS = {
    "VGG16": Variant("VGG16", use_text=False),
    "VGG16+BERT": Variant("VGG16", use_text=True),
    "ResNet50": Variant("ResNet50", use_text=False),
    "ResNet50+BERT": Variant("ResNet50", use_text=True),
    "BERT": Variant(None, use_text=True),
}
_NOTHING = np.arange(0)


@pytest.fixture(scope="module")
def pairs(grid):
    return grid_pairs(grid)


@pytest.fixture(scope="module")
def embeddings(table):
    """Embeddings with number r in row r."""
    rows = np.arange(len(table.video_ids), dtype=np.float32)
    return np.stack([rows, -rows], axis=1)


@pytest.mark.parametrize("size", [2, 6])
def test_a_users_set_is_the_newest_of_the_history(grid, table, embeddings, size):
    values, valid = user_sets(grid, table, embeddings, size)
    assert values.shape == (36, size, 2)
    assert values.dtype == np.float32
    for row, history in enumerate(grid.histories):
        found = values[row, valid[row], 0].astype(int)
        assert [table.video_ids[n] for n in found] == list(history[:size])
        assert not values[row, ~valid[row]].any()


@pytest.mark.parametrize("hidden", [(), ("user00", "pool1")])
def test_a_challenges_set_is_its_visible_support(grid, table, embeddings, hidden):
    grid = replace(grid, settings={**grid.settings, "support_max": 1000})
    values, valid = challenge_sets(grid, table, embeddings, hidden)
    kept = [[v for v in s if v.split("-")[0] not in hidden] for s in grid.support]
    # Sets have the size of the largest one, not `support_max`.
    assert values.shape == (3, max(map(len, kept)), 2)
    for row, videos in enumerate(kept):
        found = values[row, valid[row], 0].astype(int)
        assert [table.video_ids[n] for n in found] == videos


def test_support_max_cuts_the_support(grid, table, embeddings):
    small = replace(grid, settings={**grid.settings, "support_max": 4})
    values, _ = challenge_sets(small, table, embeddings)
    found = values[1, :, 0].astype(int)
    assert [table.video_ids[n] for n in found] == list(grid.support[1][:4])


def test_a_pair_gets_the_sets_of_its_user_and_its_challenge(pairs):
    rng = np.random.default_rng(0)
    tables = {
        "challenge": rng.random((3, 5, 2), np.float32),
        "challenge_valid": rng.random((3, 5)) < 0.5,
        "user": rng.random((36, 4, 2), np.float32),
        "user_valid": rng.random((36, 4)) < 0.5,
    }
    examples = pair_examples(pairs, tables)
    inputs = examples.inputs_at(0, len(pairs))
    for name, values in tables.items():
        row = pairs.challenge if "challenge" in name else pairs.user
        np.testing.assert_array_equal(inputs[name], values[row])
    np.testing.assert_array_equal(examples.labels, pairs.label)
    assert set(examples.weights) == {1.0}


def test_balanced_weights_give_both_labels_the_same_total_and_mean_1():
    labels = np.array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0])
    weights = label_weights(labels, "balanced")
    # 10 / (2·2) for each of two, 10 / (2·8) for each of eight.
    np.testing.assert_allclose(weights, np.where(labels == 1, 2.5, 0.625))
    assert weights.mean() == pytest.approx(1.0)
    assert weights.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "class_weight"), [([0, 1, 1], "none"), ([1, 1, 1], "balanced")]
)
def test_weights_are_1_where_there_is_nothing_to_balance(labels, class_weight):
    weights = label_weights(np.array(labels), class_weight)
    assert weights.tolist() == [1.0, 1.0, 1.0]


@pytest.fixture(scope="module")
def rare():
    """200 pairs, one in ten positive."""
    label = (np.arange(200) % 10 == 0).astype(np.int32)
    row = np.arange(200, dtype=np.int32)
    return Pairs(row // 4, row % 4, label)


@pytest.mark.parametrize(("rule", "count"), [("1:1", 15), ("4:1", 60), ("99:1", 135)])
def test_negatives_are_drawn_for_each_positive_without_repeats(rare, rule, count):
    rows = np.arange(50, 200)
    drawn = sample_negatives(rare, rows, rule, seed=3)
    labels = rare.label[drawn]
    assert np.sum(labels == 1) == 15
    assert np.sum(labels == 0) == count
    assert len(set(drawn.tolist())) == len(drawn)
    assert set(drawn.tolist()) <= set(rows.tolist())
    assert np.all(np.diff(drawn) > 0)


def test_sampled_negatives_depend_on_the_seed(rare):
    first, again, other = (
        sample_negatives(rare, np.arange(200), "1:1", seed).tolist()
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_all_negatives_stay_where_the_rule_is_all(rare):
    rows = np.array([7, 3, 20])
    assert sample_negatives(rare, rows, "all", 0).tolist() == [7, 3, 20]


def test_another_rule_for_negatives_is_refused(rare):
    with pytest.raises(DataError, match=r"must be all or K:1.*negatives=some"):
        sample_negatives(rare, np.arange(3), "some", 0)


@pytest.mark.parametrize("name", _VARIANTS)
def test_a_raw_vector_is_the_mean_of_own_frames_and_the_caption(table, name):
    variant = _VARIANTS[name]
    vectors = video_vectors(table, variant)
    for row in range(10):
        expected = []
        if variant.vision is not None:
            features = table.vision[variant.vision]
            own = features.frames[row][features.mask[row]].astype(np.float32)
            zeros = np.zeros(features.frames.shape[2])
            expected.extend(own.mean(axis=0) if len(own) else zeros)
        if variant.use_text:
            expected.extend(table.captions[row])
        np.testing.assert_allclose(vectors[row], expected, atol=1e-5)
    assert vectors.dtype == np.float32


def _world(seed, num_users=160, num_challenges=4):
    """Embedded posts that show which of four tastes a user or a challenge is of."""
    rng = np.random.default_rng(seed)
    tastes = np.arange(num_users) % num_challenges
    label = tastes[:, None] == np.arange(num_challenges)
    label ^= rng.random(label.shape) < 0.05

    def sets(topics, size):
        values = np.eye(num_challenges)[topics][:, None] * np.ones((1, size, 1))
        values += rng.normal(scale=0.4, size=values.shape)
        valid = np.arange(size) < rng.integers(1, size + 1, len(topics))[:, None]
        return (values * valid[..., None]).astype(np.float32), valid

    user, challenge = np.divmod(np.arange(label.size, dtype=np.int32), num_challenges)
    pairs = Pairs(user, challenge, label.astype(np.int32).ravel())
    names = ("challenge", "challenge_valid", "user", "user_valid")
    values = (*sets(np.arange(num_challenges), 6), *sets(tastes, 3))
    return pairs, dict(zip(names, values, strict=True))


def _parts(pairs):
    """Training, validation and test pairs with disjoint users."""
    part = np.searchsorted([80, 100], pairs.user, side="right")
    return [np.flatnonzero(part == n) for n in range(3)]


def _shuffle_within_challenges(pairs):
    rng, label = np.random.default_rng(5), pairs.label.copy()
    for challenge in np.unique(pairs.challenge):
        rows = np.flatnonzero(pairs.challenge == challenge)
        label[rows] = rng.permutation(label[rows])
    return replace(pairs, label=label)


def _scores(fused, rows):
    return predict(fused.model, fused.examples.take(rows))[:, -1]


def _judge(pairs, tables, model_options, training_options):
    train, valid, test = _parts(pairs)
    examples = pair_examples(pairs, tables)
    model_options = replace(model_options, layer_norm=False)
    options = replace(training_options, batch_size=64, epochs=8)
    fused = fit_deep_challenger(examples, train, valid, (), model_options, options)
    scores, labels = _scores(fused, test), pairs.label[test]
    return (
        average_precision_score(labels, scores),
        roc_auc_score(labels, scores),
        labels.mean(),
    )


def test_fusion_learns_from_both_sides(model_options, training_options):
    ap, auc, prevalence = _judge(*_world(0), model_options, training_options)
    assert prevalence < 0.35
    assert ap > 0.75
    assert auc > 0.85


def test_nothing_is_learned_from_labels_shuffled_within_challenges(
    model_options, training_options
):
    pairs, tables = _world(0)
    shuffled = _shuffle_within_challenges(pairs)
    ap, auc, prevalence = _judge(shuffled, tables, model_options, training_options)
    # Judged on 240 pairs, chance has a standard error of about .04 in AUC.
    assert auc == pytest.approx(0.5, abs=0.12)
    assert ap == pytest.approx(prevalence, abs=0.12)


@pytest.fixture(scope="module")
def plain():
    return ModelOptions(
        modality_dropout=0.0,
        set_dropout=0.0,
        challenge_pooling="mean",
        user_pooling="mean",
        interaction="dot",
        layer_norm=False,
        dropout=0.0,
        projection_dim=4,
    )


@pytest.mark.parametrize("class_weight", ["balanced", "none"])
def test_class_weights_are_those_of_the_training_pairs(plain, class_weight):
    pairs, tables = _world(0)
    # Two negatives a positive, unlike the three of the whole.
    train = sample_negatives(pairs, _parts(pairs)[0], "2:1", seed=0)
    examples = pair_examples(pairs, tables)
    # With learning rate 0 and one batch, the loss is that of the restored model.
    options = TrainingOptions(
        epoch_steps=1,
        decay="none",
        batch_size=1024,
        epochs=1,
        learning_rate=0.0,
        class_weight=class_weight,
    )
    fused = fit_deep_challenger(examples, train, _NOTHING, (), plain, options)
    model = fused.model
    labels = pairs.label[train]
    scores = _scores(fused, train).astype(np.float64)
    share = {"balanced": np.where(labels == 1, 1.5, 0.75), "none": np.ones(len(labels))}
    expected = log_loss(labels, scores, sample_weight=share[class_weight])
    assert labels.mean() == pytest.approx(1 / 3)
    assert model.history.history["loss"] == pytest.approx([expected], rel=1e-4)


@pytest.mark.parametrize("monitor", ["val_loss", "val_average_precision"])
def test_restored_weights_are_the_best_by_the_monitor(plain, monitor):
    pairs, tables = _world(1)
    shuffled = _shuffle_within_challenges(pairs)
    train, valid, _ = _parts(shuffled)
    examples = pair_examples(shuffled, tables)
    options = TrainingOptions(
        epoch_steps=1,
        decay="none",
        batch_size=64,
        epochs=8,
        patience=8,
        learning_rate=0.05,
        class_weight="none",
        monitor=monitor,
    )
    fused = fit_deep_challenger(examples, train, valid, (), plain, options)
    model = fused.model
    curve = model.history.history
    best = {
        "val_loss": int(np.argmin(curve["val_loss"])),
        "val_average_precision": int(np.argmax(curve["val_average_precision"])),
    }
    assert best["val_loss"] != best["val_average_precision"]
    scores = _scores(fused, valid).astype(np.float64)
    labels = shuffled.label[valid]
    assert log_loss(labels, scores) == pytest.approx(
        curve["val_loss"][best[monitor]], rel=1e-4
    )
    assert average_precision_score(labels, scores) == pytest.approx(
        curve["val_average_precision"][best[monitor]], rel=1e-4
    )
