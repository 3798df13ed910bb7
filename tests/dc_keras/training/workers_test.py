import json
import signal
import socket
import time
from contextlib import ExitStack

import numpy as np
import pytest
from trained_apart import fit_apart, start, wait_for

from dc_keras.errors import DataError
from dc_keras.training.strategies import is_chief, writable_directory

_CLUSTER = {"worker": ["one:1", "two:2"]}


def _set(monkeypatch, cluster, kind, index):
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "expected"),
    [
        (_CLUSTER, "worker", 0, True),
        (_CLUSTER, "worker", 1, False),
        (_CLUSTER | {"chief": ["c:0"]}, "chief", 0, True),
        (_CLUSTER | {"chief": ["c:0"]}, "worker", 0, False),
    ],
)
def test_chief_is_read_from_tf_config(monkeypatch, cluster, kind, index, expected):
    _set(monkeypatch, cluster, kind, index)
    assert is_chief() is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps({"cluster": _CLUSTER}),
        json.dumps({"cluster": _CLUSTER, "task": {"type": "worker"}}),
        json.dumps({"cluster": _CLUSTER, "task": {"type": "worker", "index": 2}}),
        json.dumps({"cluster": _CLUSTER, "task": {"type": "ps", "index": 0}}),
        json.dumps({"cluster": "one:1", "task": {"type": "worker", "index": 0}}),
        json.dumps({"cluster": {"worker": 3}, "task": {"type": "worker", "index": 0}}),
        json.dumps({"cluster": _CLUSTER, "task": {"type": "worker", "index": "x"}}),
    ],
)
def test_a_bad_tf_config_is_refused_in_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(DataError, match=r"`TF_CONFIG` must be JSON .* Received: ") as e:
        is_chief()
    assert "\n" not in str(e.value)


def test_a_missing_tf_config_is_refused(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(DataError, match=r"Received: TF_CONFIG=nothing\."):
        is_chief()


@pytest.mark.parametrize("strategy", ["default", "mirrored", "tpu"])
def test_single_process_writes_in_place(monkeypatch, tmp_path, strategy):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with writable_directory(tmp_path, strategy) as place:
        assert place == tmp_path


def test_the_chief_writes_in_place(monkeypatch, tmp_path):
    _set(monkeypatch, _CLUSTER, "worker", 0)
    with writable_directory(tmp_path, "multi_worker") as place:
        assert place == tmp_path


def test_other_workers_write_to_a_temporary_copy(monkeypatch, tmp_path):
    _set(monkeypatch, _CLUSTER, "worker", 1)
    model = tmp_path / "model"
    for part in ("backup", "tensorboard"):
        (model / part).mkdir(parents=True)
        (model / part / "file").write_text(part, "utf-8")
    with writable_directory(model, "multi_worker") as place:
        assert (place / "backup" / "file").read_text("utf-8") == "backup"
        assert not (place / "tensorboard").exists()
        (place / "backup" / "file").write_text("mine", "utf-8")
    assert not place.exists()
    assert (model / "backup" / "file").read_text("utf-8") == "backup"
    with writable_directory(tmp_path / "new", "multi_worker") as place:
        assert not place.exists()
        assert place.parent.exists()
    assert not (tmp_path / "new").exists()


def _two_workers():
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for taken in sockets:
            taken.bind(("127.0.0.1", 0))
        ports = [taken.getsockname()[1] for taken in sockets]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return [
        {"cluster": cluster, "task": {"type": "worker", "index": index}}
        for index in range(2)
    ]


def _start_workers(directory, *flags):
    return [
        start(
            directory / f"worker{index}.log",
            "--strategy=multi_worker",
            f"--output={directory}/worker{index}.npz",
            f"--directory={directory}/model",
            *flags,
            tf_config=config,
        )
        for index, config in enumerate(_two_workers())
    ]


def _wait_for_workers(directory, processes):
    for index, process in enumerate(processes):
        wait_for(process, directory / f"worker{index}.log")
    return [dict(np.load(directory / f"worker{index}.npz")) for index in range(2)]


def test_two_processes_give_the_weights_of_one(tmp_path):
    # The workers read the examples from records, the one from memory.
    alone = fit_apart(tmp_path, "alone")
    flag = '--options={"shuffle_buffer": 100}'
    for worker in _wait_for_workers(tmp_path, _start_workers(tmp_path, flag)):
        assert worker.keys() == alone.keys()
        for name, values in alone.items():
            np.testing.assert_allclose(worker[name], values, atol=1e-4, err_msg=name)
    # The chief's files alone are left.
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "history.csv",
        "tensorboard",
    }
    assert len((tmp_path / "model" / "history.csv").read_text().splitlines()) == 4
    assert len(list((tmp_path / "model" / "tensorboard").glob("train/*"))) == 1


def _wait_for_epochs(history, count, processes):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert all(process.exitcode is None for process in processes)
        # The first line holds the names of the columns.
        if history.exists() and len(history.read_text().splitlines()) > count:
            return
        time.sleep(0.05)
    raise AssertionError("the workers train no epochs")


@pytest.mark.long
def test_killed_worker_resumes_from_the_backup(tmp_path):
    options = json.dumps({"epochs": 8, "patience": 5, "shuffle_buffer": 30})
    expected = fit_apart(tmp_path, "alone", f"--options={options}")
    flags = [f"--options={options}", "--seconds_an_epoch=0.5"]
    processes = _start_workers(tmp_path, *flags)
    _wait_for_epochs(tmp_path / "model" / "history.csv", 3, processes)
    processes[1].kill()
    # TensorFlow stops all workers when one is lost.
    for process in processes:
        process.join(timeout=240)
    assert processes[0].exitcode not in (0, None)
    assert processes[1].exitcode == -signal.SIGKILL
    assert (tmp_path / "model" / "backup").exists()
    for worker in _wait_for_workers(tmp_path, _start_workers(tmp_path, *flags)):
        np.testing.assert_allclose(
            worker["0/weights"], expected["0/weights"], atol=1e-4
        )
        # Training resumed: the curve has the last epochs only.
        assert 1 <= len(worker["0/loss"]) <= 5
    rows = (tmp_path / "model" / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [str(n) for n in range(8)]
    assert not (tmp_path / "model" / "backup").exists()
