import json
import time
import warnings
from dataclasses import replace
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import polars as pl
import pytest
import tensorflow as tf
from google.protobuf import text_format
from sklearn.metrics import precision_score, recall_score
from tensorboard import program
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.pr_curve import metadata as pr_metadata
from tensorboard.plugins.projector import ProjectorConfig
from werkzeug.serving import ThreadedWSGIServer

from dc_keras.options import ContextOptions, ModelOptions, ProtocolOptions
from dc_keras.training.fold import FoldData
from dc_keras.training.recipe import Recipe
from dc_keras.training.summaries import log_config, log_pr_curve, log_projector
from dc_keras.training.train_model import TrainingRun, train_participation


def test_tensorboard_shows_the_configuration_as_text(tmp_path):
    config = {"model": {"dropout": 0.2}, "challenge": "größe"}
    log_config(tmp_path, config)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.PluginTagToContent("text").keys() == {"config"}
    (event,) = events.Tensors("config")
    text = tf.make_ndarray(event.tensor_proto).item().decode("utf-8")
    fence, *lines, end = text.splitlines()
    assert (fence, end) == ("```json", "```")
    assert json.loads("\n".join(lines)) == config


def test_tensorboard_shows_the_precision_recall_curve(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    scores = 0.3 * labels + 0.7 * rng.random(60)
    log_pr_curve(tmp_path, labels, scores)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (tag,) = events.PluginTagToContent("pr_curves")
    content = events.SummaryMetadata(tag).plugin_data.content
    assert pr_metadata.parse_plugin_metadata(content).num_thresholds == 101
    (event,) = events.Tensors(tag)
    curve = tf.make_ndarray(event.tensor_proto)
    assert curve.shape == (6, 101)
    np.testing.assert_array_equal(curve[:4].sum(axis=0), 60)
    for column, threshold in enumerate(np.linspace(0, 1, 101)):
        called = scores >= threshold
        true_positives = np.sum(called & (labels == 1))
        assert curve[0, column] == true_positives
        assert curve[1, column] == called.sum() - true_positives
        assert curve[4, column] == pytest.approx(
            precision_score(labels, called, zero_division=0)
        )
        assert curve[5, column] == pytest.approx(recall_score(labels, called))


def test_the_projector_gets_vectors_and_their_labels(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    log_projector(tmp_path / "logs", "users", vectors, ["größe", "b b", "c"])
    log_projector(tmp_path / "logs", "challenges", vectors[:2], ["x", "y"])
    # A second call, as when training resumes.
    log_projector(tmp_path / "logs", "users", vectors + 1, ["größe", "b b", "c"])
    text = (tmp_path / "logs" / "projector_config.pbtxt").read_text("utf-8")
    embeddings = text_format.Parse(text, ProjectorConfig()).embeddings
    assert sorted(item.tensor_name for item in embeddings) == ["challenges", "users"]
    (users,) = (item for item in embeddings if item.tensor_name == "users")
    # TensorBoard looks beside the configuration.
    found = np.loadtxt(tmp_path / "logs" / users.tensor_path, delimiter="\t")
    np.testing.assert_allclose(found, vectors + 1, rtol=1e-4)
    labels = (tmp_path / "logs" / users.metadata_path).read_text("utf-8")
    assert labels == "größe\nb b\nc\n"


@pytest.fixture(scope="module")
def two_runs(grid, table, facts, training_options, tmp_path_factory):
    """Two small trainings that differ in one option, side by side."""
    directory = tmp_path_factory.mktemp("runs")
    frames = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    shape = ModelOptions(frame_pooling="mean", interaction="none", hidden_dim=8)
    for name, rate in (("fast", 0.05), ("slow", 0.001)):
        training = replace(training_options, epochs=2, learning_rate=rate)
        run = TrainingRun(
            FoldData.without_test(grid, table, facts, 0.2, training.seed),
            Recipe.of(shape, training, ContextOptions()),
            ProtocolOptions(negatives="1:1"),
            directory / name,
            sample_frames={"dance/user00-0": frames},
        )
        train_participation(run)
    return directory


class _LocalServer(ThreadedWSGIServer):
    """Serves TensorBoard at a free port; its own server needs a name for 127.0.0.1."""

    def __init__(self, wsgi_app, flags):
        super().__init__("127.0.0.1", 0, wsgi_app)

    def get_url(self):
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def ask(two_runs):
    """Asks TensorBoard, which shows both runs, over HTTP."""
    servers = []

    def make_server(wsgi_app, flags):
        servers.append(_LocalServer(wsgi_app, flags))
        return servers[0]

    with warnings.catch_warnings():
        # A warning of a dependency of TensorBoard.
        warnings.filterwarnings("ignore", "html5lib's sanitizer", DeprecationWarning)
        board = program.TensorBoard(server_class=make_server)
        board.configure(logdir=str(two_runs), load_fast="false")
        url = board.launch()

    def get(path, **query):
        with urlopen(f"{url}/data/{path}?{urlencode(query)}", timeout=30) as answer:
            return answer.read()

    def get_json(path, **query):
        return json.loads(get(path, **query))

    deadline = time.monotonic() + 120
    # Runs are read one after another; PR curves come last in a training.
    while len(get_json("plugin/pr_curves/tags")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    get_json.text = lambda path, **query: get(path, **query).decode("utf-8")
    yield get_json
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("part", ["train", "validation"])
def test_the_server_shows_the_curves(ask, two_runs, part):
    points = ask(
        "plugin/scalars/scalars", run=f"fast/tensorboard/{part}", tag="epoch_loss"
    )
    history = pl.read_csv(two_runs / "fast" / "history.csv")
    column = "loss" if part == "train" else "val_loss"
    assert [step for _, step, _ in points] == history["epoch"].to_list()
    assert [value for *_, value in points] == pytest.approx(history[column].to_list())


def test_the_server_shows_the_precision_recall_curve(ask, two_runs):
    tag = "participation/pr_curves"
    curves = ask("plugin/pr_curves/pr_curves", run="fast/tensorboard", tag=tag)
    [curve] = curves["fast/tensorboard"]
    predictions = pl.read_parquet(two_runs / "fast" / "predictions.parquet")
    # At the lowest threshold, all pairs are predicted as yes.
    recalled = max(curve["recall"])
    assert recalled == pytest.approx(1.0)
    base_rate = predictions["label"].mean()
    assert any(p == pytest.approx(base_rate, abs=1e-4) for p in curve["precision"])


def test_the_server_compares_the_runs_by_their_options(ask):
    experiment = ask("plugin/hparams/experiment", request=json.dumps({}))
    names = {info["name"] for info in experiment["hparamInfos"]}
    assert {"learning_rate", "hidden_dim", "task", "negatives"} <= names
    request = {
        "startIndex": 0,
        "sliceSize": 100,
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": [],
    }
    answer = ask("plugin/hparams/session_groups", request=json.dumps(request))
    found = {
        (group["hparams"]["task"], group["hparams"]["learning_rate"])
        for group in answer["sessionGroups"]
    }
    tasks = ("challenge", "user", "participation")
    assert found == {(task, rate) for task in tasks for rate in (0.05, 0.001)}


def test_the_server_shows_vectors_of_pseudonyms(ask, grid):
    run = "fast/tensorboard"
    assert run in ask("plugin/projector/runs")
    embeddings = ask("plugin/projector/info", run=run)["embeddings"]
    names = {embedding["tensorName"] for embedding in embeddings}
    assert names == {"challenge_representation", "user_representation"}
    labels = ask.text(
        "plugin/projector/metadata", run=run, name="user_representation"
    ).split()
    assert labels == list(grid.users)


def test_the_server_shows_the_configuration(ask):
    [text] = ask("plugin/text/text", run="slow/tensorboard", tag="config")
    assert "learning_rate" in text["text"]
    assert "0.001" in text["text"]


def test_the_server_shows_sample_frames(ask):
    tags = ask("plugin/images/tags")["fast/tensorboard/frames"]
    assert list(tags) == ["dance/user00-0"]
    assert tags["dance/user00-0"]["samples"] == 2
