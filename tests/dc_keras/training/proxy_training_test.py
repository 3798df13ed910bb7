from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.models.proxy import embedding_model, standardizers
from dc_keras.options import ModelOptions
from dc_keras.training.loop import predict
from dc_keras.training.proxy_training import (
    ProxyTask,
    Variant,
    available_variants,
    challenge_task,
    embed_videos,
    fit_proxy,
    moments,
    proxy_examples,
    side_variants,
    user_task,
    video_sizes,
    visible_support,
)

# The rows of Table I, and captions alone.
_VARIANTS = {
    "VGG16": Variant("VGG16", use_text=False),
    "VGG16+BERT": Variant("VGG16", use_text=True),
    "ResNet50": Variant("ResNet50", use_text=False),
    "ResNet50+BERT": Variant("ResNet50", use_text=True),
    "BERT": Variant(None, use_text=True),
}
_PLAIN = ModelOptions(
    frame_pooling="mean",
    standardize=False,
    layer_norm=False,
    dropout=0.0,
    hidden_dim=16,
)


@pytest.fixture(scope="module")
def tasks(grid, table):
    everyone = range(len(grid.users))
    return {
        "challenge": challenge_task(grid, table),
        "user": user_task(grid, table, everyone),
    }


def test_a_variant_is_named_as_in_the_tables():
    assert {variant.name: variant for variant in _VARIANTS.values()} == _VARIANTS


@pytest.mark.parametrize(
    ("networks", "has_text", "names"),
    [
        (("ResNet50", "VGG16"), True, list(_VARIANTS)[:4]),
        (("VGG16", "ResNet50"), False, ["VGG16", "ResNet50"]),
        (("ResNet50",), True, ["ResNet50", "ResNet50+BERT"]),
        ((), True, ["BERT"]),
    ],
)
def test_variants_are_those_that_the_features_allow(table, networks, has_text, names):
    some = replace(
        table,
        vision={name: table.vision[name] for name in networks},
        captions=table.captions if has_text else None,
    )
    assert [variant.name for variant in available_variants(some)] == names


@pytest.mark.parametrize(
    ("networks", "has_text", "challenge", "user"),
    [
        (("ResNet50", "VGG16"), True, "VGG16+BERT", "ResNet50+BERT"),
        (("VGG16", "ResNet50"), False, "VGG16", "ResNet50"),
        (("ResNet50",), True, "ResNet50+BERT", "ResNet50+BERT"),
        (("VGG16",), False, "VGG16", "VGG16"),
        ((), True, "BERT", "BERT"),
    ],
)
def test_vgg16_serves_challenges_and_resnet50_users(
    table, networks, has_text, challenge, user
):
    some = replace(
        table,
        vision={name: table.vision[name] for name in networks},
        captions=table.captions if has_text else None,
    )
    sides = side_variants(some)
    assert (sides["challenge"].name, sides["user"].name) == (challenge, user)


def test_the_challenge_proxy_learns_from_the_support(grid, table, tasks):
    task = tasks["challenge"]
    expected = [
        (video, challenge)
        for challenge, ids in enumerate(grid.support)
        for video in ids
    ]
    videos = [table.video_ids[row] for row in task.rows]
    assert list(zip(videos, task.labels, strict=True)) == expected
    assert task.classes == grid.challenges


def test_the_user_proxy_learns_from_the_histories(grid, table):
    task = user_task(grid, table, [7, 2])
    expected = [(v, 0) for v in grid.histories[7]] + [(v, 1) for v in grid.histories[2]]
    videos = [table.video_ids[row] for row in task.rows]
    assert list(zip(videos, task.labels, strict=True)) == expected
    assert task.classes == (grid.users[7], grid.users[2])


def test_hidden_users_describe_no_challenge(grid, table):
    hidden = {"user00", "user01", "user02"}
    task = challenge_task(grid, table, hidden)
    shown = {grid.video_users[table.video_ids[row]] for row in task.rows}
    everyone = {grid.video_users[video] for ids in grid.support for video in ids}
    assert everyone >= hidden
    assert shown == everyone - hidden
    for challenge, ids in enumerate(grid.support):
        kept = tuple(v for v in ids if v.split("-")[0] not in hidden)
        assert visible_support(grid, challenge, hidden) == kept


def test_a_challenge_without_videos_keeps_its_class(grid, table):
    bare = replace(grid, support=((), *grid.support[1:]))
    task = challenge_task(bare, table)
    assert task.classes == grid.challenges
    assert set(task.labels.tolist()) == {1, 2}


def test_a_proxy_without_any_video_is_refused(grid, table):
    bare = replace(grid, support=((), (), ()))
    with pytest.raises(DataError, match=r"challenge proxy has no training videos"):
        challenge_task(bare, table)
    with pytest.raises(DataError, match=r"user proxy has no training videos"):
        user_task(grid, table, [])


def test_a_video_without_features_is_refused(grid, table):
    others = tuple(v for v in table.video_ids if v != "pool0-dance")
    few = replace(table, video_ids=others)
    with pytest.raises(DataError, match=r"1 videos .* the first is pool0-dance;"):
        challenge_task(grid, few)


@pytest.mark.parametrize("kind", ["challenge", "user"])
@pytest.mark.parametrize("name", _VARIANTS)
def test_both_proxies_learn_from_every_variant(
    table, tasks, training_options, name, kind
):
    task, variant = tasks[kind], _VARIANTS[name]
    everything = np.arange(len(task.labels))
    # Each user's newest post of two or more; of the support every fourth.
    judged = everything % 4 == 0
    if kind == "user":
        counts = np.bincount(task.labels)[task.labels]
        judged = (np.diff(task.labels, prepend=-1) > 0) & (counts > 1)
    train, test = everything[~judged], everything[judged]
    options = replace(training_options, epochs=15, patience=0)
    model = fit_proxy(task, train, train[:0], table, variant, _PLAIN, options)
    assert model.name == f"{kind}_proxy"
    examples = proxy_examples(task, table, variant).take(test)
    accuracy = np.mean(predict(model, examples).argmax(axis=1) == task.labels[test])
    # One of 3 challenges, one of 36 users; a fifth of the videos have no frames.
    assert accuracy > {"challenge": 0.6, "user": 0.25}[kind]
    embeddings = embed_videos(model, table, variant)
    assert embeddings.shape == (len(table.video_ids), 16)
    tables = table.inputs(variant.vision, variant.use_text)
    if "frames" in tables:
        tables["frames"] = tf.cast(tables["frames"], tf.float32)
    expected = embedding_model(model)(tables)
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("VGG16", (3, 6, 0)),
        ("ResNet50+BERT", (3, 5, 7)),
        ("BERT", (0, 0, 7)),
    ],
)
def test_sizes_of_inputs_are_those_of_the_features(table, name, sizes):
    assert tuple(video_sizes(table, _VARIANTS[name]).values()) == sizes


def test_moments_are_those_of_the_training_rows(table, tasks, training_options):
    task, variant = tasks["challenge"], _VARIANTS["VGG16+BERT"]
    # A video of two challenges counts once.
    train = np.array([0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    valid = np.arange(12, len(task.labels))
    options = replace(training_options, epochs=1)
    shape = replace(_PLAIN, standardize=True)
    model = fit_proxy(task, train, valid, table, variant, shape, options)
    rows = np.unique(task.rows[train])
    features = table.vision["VGG16"]
    frames = features.frames[rows][features.mask[rows]].astype(np.float64)
    seen = (frames, table.captions[rows])
    for layer, values in zip(standardizers(model), seen, strict=True):
        mean, scale = layer.weights
        np.testing.assert_allclose(mean, values.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(scale, 1 / values.std(axis=0), rtol=1e-5)


def test_moments_do_not_depend_on_the_blocks():
    values = np.random.default_rng(0).normal(50.0, 0.1, (700, 3)).astype(np.float16)
    mean, std = moments(iter([values[:1], values[1:1], values[1:699], values[699:]]))
    exact = values.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(std, exact.std(axis=0), rtol=1e-4)


def test_a_proxys_inputs_are_rows_of_shared_tables(table):
    task = ProxyTask("user", np.array([4, 2], np.int32), np.array([1, 0]), ("a", "b"))
    examples = proxy_examples(task, table, _VARIANTS["VGG16+BERT"])
    inputs = examples.inputs_at(0, 2)
    np.testing.assert_array_equal(inputs["caption"], table.captions[[4, 2]])
    np.testing.assert_array_equal(
        inputs["frames"], table.vision["VGG16"].frames[[4, 2]]
    )
    assert examples.labels.tolist() == [1, 0]
    assert examples.weights.tolist() == [1.0, 1.0]
