import csv
import shutil
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest
from google.protobuf import text_format
from sklearn.metrics import average_precision_score
from tensorboard.plugins.projector import ProjectorConfig

from dc_keras.corpus.pseudonyms import post_code
from dc_keras.errors import DataError
from dc_keras.options import ContextOptions, ModelOptions, ProtocolOptions
from dc_keras.training.fold import FoldData
from dc_keras.training.fusion_training import challenge_sets, user_sets
from dc_keras.training.model_directory import load_model
from dc_keras.training.proxy_training import Variant, embed_videos
from dc_keras.training.recipe import Recipe
from dc_keras.training.saved_participation import (
    CHALLENGES_FILE,
    CONTEXT_FILE,
    load_participation,
)
from dc_keras.training.train_model import TrainingRun, train_participation, train_proxy

_SIDES = {
    "challenge": Variant("VGG16", use_text=True),
    "user": Variant("ResNet50", use_text=True),
}


# Small models, because every stage is trained many times here.
_MODEL = ModelOptions(
    frame_pooling="mean",
    challenge_pooling="mean",
    user_pooling="mean",
    interaction="dot",
    layer_norm=False,
    hidden_dim=8,
    projection_dim=6,
)


@dataclass(frozen=True)
class Trained:
    """A finished participation training and the content of its files."""

    run: TrainingRun
    model: object
    predictions: pl.DataFrame

    @property
    def hidden(self):
        """Users kept for validation."""
        return set(self.predictions["user_id"])


@pytest.fixture(scope="module")
def trained(grid, table, facts, training_options, tmp_path_factory):
    sampled = {
        name: replace(vision, sampling={"num_frames": 3, "repeat": "nearest"})
        for name, vision in table.vision.items()
    }
    table = replace(table, vision=sampled)
    training = replace(training_options, epochs=5, learning_rate=0.05)
    run = TrainingRun(
        FoldData.without_test(grid, table, facts, 0.2, 0, "0123456789abcdef"),
        Recipe.of(_MODEL, training, ContextOptions()),
        ProtocolOptions(negatives="1:1"),
        tmp_path_factory.mktemp("trained") / "model",
    )
    model = train_participation(run).model.fusion
    predictions = pl.read_parquet(run.directory / "predictions.parquet")
    return Trained(run, model, predictions)


@pytest.fixture(scope="module")
def quick(training_options):
    """A training of one epoch, for tests that need no good model."""
    return replace(training_options, epochs=1)


def _weights(model):
    return [weight.numpy() for weight in model.weights]


def _assert_same_weights(model, other):
    for a, b in zip(_weights(model), _weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_participation_training_writes_its_files(trained):
    own = {
        *("model.keras", "config.json", "history.csv", "predictions.parquet"),
        *("tensorboard", "SHA256SUMS"),
    }
    directory = trained.run.directory
    for place in ("challenge_proxy", "user_proxy"):
        assert {p.name for p in (directory / place).iterdir()} == own
    proxies = {"challenge_proxy", "user_proxy"}
    found = {p.name for p in directory.iterdir()}
    assert found == own | proxies | {CHALLENGES_FILE, CONTEXT_FILE}


def test_configuration_has_all_options(trained):
    run, (_, config) = trained.run, load_model(trained.run.directory)
    assert config["task"] == "participation"
    assert config["model"] == run.recipe.model.to_dict()
    assert config["training"] == run.recipe.training.to_dict()
    assert config["protocol"] == run.protocol.to_dict()
    assert config["study"] == run.data.grid.settings
    assert config["grid_sha256"] == run.data.grid.sha256
    assert config["facts_sha256"] == run.data.facts.sha256
    assert config["challenges"] == list(run.data.grid.challenges)
    for side, vision in (("challenge", "VGG16"), ("user", "ResNet50")):
        assert config["sides"][side] == {
            "vision": {"name": vision, "fingerprint": f"{vision}'s"},
            "sampling": {"num_frames": 3, "repeat": "nearest"},
            "text": {"fingerprint": "text's"},
        }


def test_history_has_one_row_per_epoch(trained):
    with (trained.run.directory / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == trained.run.recipe.training.epochs
    assert all(np.isfinite(float(row["val_loss"])) for row in rows)


def test_validation_is_a_fifth_of_the_users_with_all_their_pairs(trained):
    grid, users = trained.run.data.grid, trained.hidden
    # GroupShuffleSplit rounds up: ⌈0.2 · 36⌉.
    assert len(users) == 8
    expected = {
        (user, challenge, int(grid.labels[u, c]))
        for u, user in enumerate(grid.users)
        for c, challenge in enumerate(grid.challenges)
        if user in users and grid.observed[u, c]
    }
    found = trained.predictions.select("user_id", "challenge", "label").rows()
    assert set(found) == expected
    assert len(found) == len(expected)


def test_new_users_are_ranked_better_than_chance(trained):
    labels, scores = trained.predictions["label"], trained.predictions["score"]
    assert labels.mean() < 0.5
    assert average_precision_score(labels, scores) > 0.75


def test_a_fusion_that_is_saved_gives_the_saved_predictions(trained, quick, tmp_path):
    recipe = Recipe.of(_MODEL, quick, ContextOptions(context="none"))
    run = replace(trained.run, directory=tmp_path, recipe=recipe)
    train_participation(run)
    model, _ = load_model(tmp_path)
    embedded = {
        side: embed_videos(
            load_model(tmp_path / f"{side}_proxy")[0], run.data.table, variant
        )
        for side, variant in _SIDES.items()
    }
    users, users_valid = user_sets(run.data.grid, run.data.table, embedded["user"], 4)
    with np.load(tmp_path / CHALLENGES_FILE) as challenges:
        values, valid = challenges["posts"], challenges["valid"]
    expected, expected_valid = challenge_sets(
        run.data.grid, run.data.table, embedded["challenge"], trained.hidden
    )
    np.testing.assert_array_equal(valid, expected_valid)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    predictions = pl.read_parquet(tmp_path / "predictions.parquet")
    u = [run.data.grid.users.index(user) for user in predictions["user_id"]]
    c = [run.data.grid.challenges.index(name) for name in predictions["challenge"]]
    pairs = {
        "challenge": values[c],
        "challenge_valid": valid[c],
        "user": users[u],
        "user_valid": users_valid[u],
    }
    np.testing.assert_allclose(model(pairs), predictions["score"], atol=1e-5)


def test_a_model_that_is_saved_scores_as_the_one_that_was_fitted(
    trained, quick, tmp_path
):
    recipe = replace(trained.run.recipe, training=quick)
    run = replace(trained.run, directory=tmp_path, recipe=recipe)
    fitted = train_participation(run)
    loaded = load_participation(tmp_path)
    model, config = loaded.model, loaded.config
    user, challenge = np.divmod(np.arange(12), 3)
    inputs = (fitted.users, fitted.challenges, user, challenge)
    np.testing.assert_array_equal(model.predict(*inputs), fitted.model.predict(*inputs))
    assert config["context"] == ContextOptions().to_dict()


def test_a_training_that_reads_pairs_from_records_gives_the_model_of_memory(
    trained, tmp_path
):
    recipe = trained.run.recipe
    streamed = replace(recipe.training, shuffle_buffer=1000)
    recipe = replace(recipe, training=streamed)
    fitted = train_participation(
        replace(trained.run, directory=tmp_path, recipe=recipe)
    )
    for found, expected in zip(
        _weights(fitted.model.fusion), _weights(trained.model), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    predictions = pl.read_parquet(tmp_path / "predictions.parquet")
    np.testing.assert_allclose(
        predictions["score"], trained.predictions["score"], atol=1e-4
    )


def test_model_of_context_only(trained, quick, tmp_path):
    options = ContextOptions(context="rates,text", videos=False)
    recipe = Recipe.of(_MODEL, quick, options)
    run = replace(trained.run, directory=tmp_path, recipe=recipe)
    fitted = train_participation(run)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("config.json", "predictions.parquet", "tensorboard"),
        *(CHALLENGES_FILE, CONTEXT_FILE, "SHA256SUMS"),
    }
    model = load_participation(tmp_path).model
    assert model.fusion is None
    assert {name.partition("/")[0] for name in model.context.chosen} == {
        "rates",
        "text",
    }
    inputs = (fitted.users, fitted.challenges, np.arange(4), np.zeros(4, int))
    np.testing.assert_array_equal(model.predict(*inputs), fitted.model.predict(*inputs))


def test_model_without_inputs_is_refused(quick):
    options = ContextOptions(context="none", videos=False)
    with pytest.raises(DataError, match="must use videos or context"):
        Recipe.of(_MODEL, quick, options)


def test_the_codes_of_posts_are_in_the_order_of_their_embeddings(trained):
    run, directory = trained.run, trained.run.directory
    _, config = load_model(directory)
    proxy, _ = load_model(directory / "challenge_proxy")
    embedded = embed_videos(proxy, run.data.table, _SIDES["challenge"])
    row_of = {
        post_code(run.data.key_fingerprint, v): r
        for r, v in enumerate(run.data.table.video_ids)
    }
    assert list(config["describing_posts"]) == sorted(run.data.grid.challenges)
    with np.load(directory / CHALLENGES_FILE) as challenges:
        for column, name in enumerate(run.data.grid.challenges):
            rows = [row_of[code] for code in config["describing_posts"][name]]
            values = challenges["posts"][column][challenges["valid"][column]]
            values = values[:, : embedded.shape[1]]
            np.testing.assert_allclose(values, embedded[rows], atol=1e-5)
            assert rows


def test_no_class_of_the_user_proxy_is_a_hidden_user(trained):
    _, config = load_model(trained.run.directory / "user_proxy")
    expected = [
        user for user in trained.run.data.grid.users if user not in trained.hidden
    ]
    assert config["classes"] == expected


@pytest.mark.parametrize("kind", ["challenge", "user"])
def test_a_proxys_predictions_are_of_videos_by_users_who_are_not_hidden(trained, kind):
    run = trained.run
    path = run.directory / f"{kind}_proxy" / "predictions.parquet"
    found = pl.read_parquet(path)
    users = {run.data.grid.video_users[video] for video in found["video_id"]}
    assert users
    assert not users & trained.hidden
    for video, label in found.select("video_id", "label").iter_rows():
        shown = {"challenge": video.split("-")[1], "user": video.split("-")[0]}
        assert label == shown[kind]


@pytest.mark.parametrize("kind", ["challenge", "user"])
def test_videos_of_hidden_users_cannot_change_a_proxy(trained, kind, tmp_path):
    run, hidden = trained.run, trained.hidden
    sets = {"challenge": run.data.grid.support, "user": run.data.grid.histories}[kind]
    videos = [v for ids in sets for v in ids if run.data.grid.video_users[v] in hidden]
    assert videos
    rows = run.data.table.rows(videos)
    vision, captions = {}, run.data.table.captions.copy()
    captions[rows] = np.nan
    for name, features in run.data.table.vision.items():
        frames = features.frames.copy()
        frames[rows] = np.nan
        vision[name] = replace(features, frames=frames)
    poisoned = replace(run.data.table, vision=vision, captions=captions)
    data = replace(run.data, table=poisoned)
    model = train_proxy(replace(run, data=data, directory=tmp_path), kind)
    expected, _ = load_model(run.directory / f"{kind}_proxy")
    _assert_same_weights(model, expected)


def test_a_stopped_training_keeps_the_proxies_that_were_finished(trained, tmp_path):
    directory = tmp_path / "model"
    shutil.copytree(trained.run.directory, directory)
    # The state after a stop during the training of the user proxy.
    for finished in (".", "user_proxy"):
        (directory / finished / "config.json").unlink()
        (directory / finished / "model.keras").unlink()
    kept = directory / "challenge_proxy" / "model.keras"
    written = kept.stat().st_mtime_ns
    model = train_participation(replace(trained.run, directory=directory)).model.fusion
    assert kept.stat().st_mtime_ns == written
    assert (directory / "user_proxy" / "model.keras").exists()
    _assert_same_weights(model, trained.model)


def test_a_proxy_of_other_options_is_trained_anew(trained, quick, tmp_path):
    recipe = replace(
        trained.run.recipe, model=ModelOptions(hidden_dim=5), training=quick
    )
    run = replace(trained.run, recipe=recipe, directory=tmp_path)
    shutil.copytree(
        trained.run.directory / "challenge_proxy", tmp_path, dirs_exist_ok=True
    )
    with pytest.raises(DataError, match=r"--overwrite.*model.hidden_dim=5 instead"):
        train_proxy(run, "challenge")
    model = train_proxy(replace(run, overwrite=True), "challenge")
    assert model.get_layer("video_embedding").output.shape == (None, 5)
    assert load_model(tmp_path)[1]["model"]["hidden_dim"] == 5


@pytest.mark.parametrize(
    ("place", "names"),
    [
        (
            ".",
            {"challenge_representation": "challenges", "user_representation": "users"},
        ),
        ("challenge_proxy", {"challenge_videos": None}),
        ("user_proxy", {"user_videos": None}),
    ],
)
def test_the_projector_shows_representations_and_videos(trained, place, names):
    logs = trained.run.directory / place / "tensorboard"
    text = (logs / "projector_config.pbtxt").read_text("utf-8")
    embeddings = text_format.Parse(text, ProjectorConfig()).embeddings
    assert {item.tensor_name for item in embeddings} == names.keys()
    for item in embeddings:
        vectors = np.loadtxt(logs / item.tensor_path, delimiter="\t", ndmin=2)
        labels = (logs / item.metadata_path).read_text("utf-8").splitlines()
        assert vectors.shape == (len(labels), trained.run.recipe.model.hidden_dim)
        if names[item.tensor_name] is not None:
            expected = getattr(trained.run.data.grid, names[item.tensor_name])
            assert labels == list(expected)


@pytest.mark.parametrize(
    ("kept", "fraction"), [("text", 0.2), ("vision", 0.0)], ids=["text", "vision"]
)
def test_one_modality_is_enough(
    grid, text_table, vision_table, facts, quick, tmp_path, kept, fraction
):
    table = {"text": text_table, "vision": vision_table}[kept]
    training = replace(quick, validation_fraction=fraction)
    run = TrainingRun(
        FoldData.without_test(grid, table, facts, fraction, training.seed),
        Recipe.of(_MODEL, training, ContextOptions()),
        ProtocolOptions(),
        tmp_path,
    )
    train_participation(run)
    _, config = load_model(tmp_path)
    for side in ("challenge", "user"):
        assert (config["sides"][side]["vision"] is None) is (kept == "text")
        assert (config["sides"][side]["text"] is None) is (kept == "vision")
        proxy, _ = load_model(tmp_path / f"{side}_proxy")
        seen = {"text": {"caption"}, "vision": {"frames", "frame_mask"}}[kept]
        assert proxy.input.keys() == seen
    predictions = pl.read_parquet(tmp_path / "predictions.parquet")
    assert predictions["user_id"].n_unique() == {"text": 8, "vision": 0}[kept]
    # Without validation no user is hidden.
    _, proxy_config = load_model(tmp_path / "user_proxy")
    assert len(proxy_config["classes"]) == {"text": 28, "vision": 36}[kept]
