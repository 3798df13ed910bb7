import csv
import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
import pytest

_ROOT = Path(__file__).parents[2]


def test_a_model_directory_has_model_config_and_curves(model):
    assert model.stdout.startswith("Study ") or "users" in model.stdout
    names = {path.name for path in model.output.iterdir()}
    assert {"model.keras", "config.json", "context.npz", "history.csv"} <= names
    for place in ("", "challenge_proxy", "user_proxy"):
        card = (model.output / place / "MODEL_CARD.md").read_text("utf-8")
        assert "| synthetic | yes: a simulated world |" in card
    with (model.output / "history.csv").open(encoding="utf-8") as rows:
        epochs = list(csv.DictReader(rows))
    assert len(epochs) == 2
    assert "val_average_precision" in epochs[0]


@pytest.mark.parametrize("task", ["challenge", "user"])
def test_a_proxy_is_trained_alone(chain, data, task):
    ran = chain("train", f"--task={task}", "--epochs=1", *data, output=f"{task}_proxy")
    assert (ran.output / "model.keras").exists()


@pytest.fixture(scope="module")
def vision_data(corpus, study, colours):
    """The flags of the data of `train`, without captions."""
    return [f"--corpus={corpus.output}", study, f"--features={colours.output}"]


@pytest.mark.long
def test_a_baseline_of_the_paper_is_trained_and_served(
    chain, fails_in_one_line, corpus, vision_data
):
    name = "--baseline=tiny_colours"
    ran = chain("train", name, "--epochs=1", *vision_data, output="baseline")
    card = (ran.output / "MODEL_CARD.md").read_text("utf-8")
    assert card.startswith("# Model card: baseline tiny_colours\n")
    bundle = chain("export_model", f"--model={ran.output}", output="baseline_export")
    flags = [f"--bundle={bundle.output}", f"--corpus={corpus.output}"]
    predicted = pl.read_csv(chain("predict", *flags, output="baseline.csv").output)
    challenge = predicted["challenge"][0]
    ranked = chain(
        "rank", *flags, f"--challenge={challenge}", output="baseline_seeds.csv"
    )
    scores = {
        user: probability
        for user, name, probability in predicted.iter_rows()
        if name == challenge
    }
    for _, user, _, probability in pl.read_csv(ranked.output).iter_rows():
        assert probability == pytest.approx(scores[user], abs=1e-4)
    pair = [f"--user={predicted['user_id'][0]}", f"--challenge={challenge}"]
    explained = chain("explain", *flags, *pair, output="baseline_explained")
    assert ", 0 that describe the challenge" in explained.stdout
    assert "of the posts that describe the challenge" not in explained.stderr
    line = fails_in_one_line(
        "add_challenge", flags[0], "--challenge=umbrella", "--brief=spin"
    )
    assert line.endswith("Received: baseline=tiny_colours")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--baseline=VGG16"], "`baseline` must be one of tiny_colours, the variants"),
        (
            ["--baseline=tiny_colours", "--task=user"],
            "--baseline needs --task=participation",
        ),
    ],
)
def test_another_baseline_is_refused(
    fails_in_one_line, vision_data, tmp_path, flags, told
):
    line = fails_in_one_line("train", *flags, *vision_data, f"--output={tmp_path}/m")
    assert line.startswith(told)


def test_features_of_other_records_are_refused(
    fails_in_one_line, corpus, study, tmp_path
):
    line = fails_in_one_line(
        "train",
        f"--corpus={corpus.output}",
        study,
        f"--features={tmp_path}",
        f"--output={tmp_path}/model",
    )
    assert str(tmp_path) in line
    assert not (tmp_path / "model").exists()


def test_sample_frames_and_a_profile_are_there_on_demand(chain, data, frames):
    ran = chain(
        "train",
        "--task=challenge",
        "--epochs=1",
        "--batch_size=16",
        "--profile_steps=1,2",
        f"--records={frames.output}",
        *data,
        output="shown",
    )
    assert list((ran.output / "tensorboard" / "frames").iterdir())
    assert list((ran.output / "tensorboard").rglob("*.xplane.pb"))


@pytest.mark.parametrize("steps", ["5", "0,3", "4,2", "a,b", "1,2,3"])
def test_profile_steps_are_two_numbers(fails_in_one_line, data, tmp_path, steps):
    line = fails_in_one_line(
        "train", f"--profile_steps={steps}", *data, f"--output={tmp_path}/model"
    )
    assert line == (
        "`profile_steps` must be a first and a last step, from 1, such as 10,20. "
        f"Received: profile_steps={steps}."
    )


def test_several_workers_need_tf_config(fails_in_one_line, data, tmp_path):
    line = fails_in_one_line(
        "train", "--strategy=multi_worker", *data, f"--output={tmp_path}/model"
    )
    assert line.startswith("`TF_CONFIG` must be JSON")
    assert line.endswith("Received: TF_CONFIG=nothing.")


def test_a_tpu_must_be_there(fails_in_one_line, data, tmp_path):
    line = fails_in_one_line(
        "train", "--strategy=tpu", *data, f"--output={tmp_path}/model"
    )
    assert line.startswith("`strategy` tpu needs an available TPU")


@pytest.mark.long
def test_two_machines_leave_what_one_leaves(data, model, tmp_path):
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in taken]
    command = [sys.executable, "-m", "pipelines.train", "--epochs=2", *data]
    command += ["--strategy=multi_worker", f"--output={tmp_path}/model"]
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": workers}, "task": task}
        with (tmp_path / f"log{index}").open("w") as log:
            environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
            processes.append(
                subprocess.Popen(
                    command, cwd=_ROOT, env=environment, stdout=log, stderr=log
                )
            )
    for index, process in enumerate(processes):
        assert process.wait(timeout=500) == 0, (tmp_path / f"log{index}").read_text()

    def files(place):
        found = (path.relative_to(place) for path in place.rglob("*"))
        return {path for path in found if "tensorboard" not in path.parts}

    assert files(tmp_path / "model") == files(model.output)
    one = pl.read_parquet(model.output / "predictions.parquet")
    two = pl.read_parquet(tmp_path / "model" / "predictions.parquet")
    assert one.drop("score").equals(two.drop("score"))
    np.testing.assert_allclose(one["score"], two["score"], atol=1e-4)
