import gc
import os
import re
from collections import Counter
from dataclasses import replace

import keras
import numpy as np
import polars as pl
import pytest
import tensorflow as tf
from polars.testing import assert_frame_equal

from dc_keras.errors import DataError
from dc_keras.evaluation import fold_runner
from dc_keras.evaluation.fold_runner import run_experiment
from dc_keras.evaluation.result_tables import BAYES
from dc_keras.options import ContextOptions
from tfrecords import unit_runs

_SPLITS = ("random_pair", "cold_user")


def _predictions(directory, name):
    return pl.read_parquet(directory / "predictions" / f"{name}.parquet")


def _contents(directory):
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def _silent(line):
    pass


def _die(line):
    os._exit(9)


@pytest.fixture(scope="module")
def baseline(experiment):
    """One fit per fold: the baseline on frames only."""
    table = replace(experiment.table, captions=None, caption_spec=None)
    return replace(experiment, models=("paper",), table=table)


def _assert_same_scores(run, directory):
    """Compares the rows with those of a run in one process with all models."""
    for name in ("cold_user-seed0-fold0", "cold_user-seed0-fold1"):
        whole = _predictions(run.directory, name)
        assert_frame_equal(
            _predictions(directory, name),
            whole.filter(pl.col("model").is_in(["VGG16", BAYES])),
            abs_tol=1e-4,
        )


def test_the_run_holds_predictions_proxies_and_its_configuration(run):
    names = {f"{split}-seed0-fold{index}" for split in _SPLITS for index in (0, 1)}
    judged = {name for name in names if name.startswith("random_pair")}
    assert set(_contents(run.directory)) == {
        "SHA256SUMS",
        "config.json",
        *(f"manifests/{split}.json" for split in _SPLITS),
        *(f"predictions/{name}.parquet" for name in names),
        *(f"proxies/{name}.parquet" for name in judged),
    }


def test_rerun_of_a_finished_run_changes_nothing(run, experiment):
    before, messages = _contents(run.directory), []
    run_experiment(experiment, list(_SPLITS), 1, run.directory, messages.append)
    assert _contents(run.directory) == before
    assert messages == [
        f"{split}-seed0-fold{index}: already done"
        for split in _SPLITS
        for index in (0, 1)
    ]


def test_stopped_run_continues_with_unfinished_folds(
    run, baseline, tmp_path, run_first_fold, monkeypatch
):
    run_first_fold(baseline, tmp_path)
    kept = _contents(tmp_path)
    assert set(kept) == {
        "SHA256SUMS",
        "config.json",
        "manifests/cold_user.json",
        "predictions/cold_user-seed0-fold0.parquet",
    }

    messages = []
    monkeypatch.setattr(fold_runner, "_QUIET_SECONDS", 0.0)
    run_experiment(baseline, ["cold_user"], 1, tmp_path, messages.append)
    assert messages[:-1] == [
        "cold_user-seed0-fold0: already done",
        "cold_user-seed0-fold1: baseline VGG16",
    ]
    assert re.fullmatch("1 of 1 folds done, .* s each, about 0 s left", messages[-1])
    del kept["SHA256SUMS"]
    assert kept.items() <= _contents(tmp_path).items()
    _assert_same_scores(run, tmp_path)


def test_more_seeds_add_folds_of_their_own(experiment, tmp_path):
    simple = replace(experiment, models=("simple",))
    run_experiment(simple, ["random_pair"], 1, tmp_path / "run", _silent)
    first = _contents(tmp_path / "run")
    del first["manifests/random_pair.json"]  # it names the folds of all seeds
    run_experiment(simple, ["random_pair"], 2, tmp_path / "run", _silent)
    both = _contents(tmp_path / "run")
    del first["SHA256SUMS"]
    assert first.items() <= both.items()
    # Seed 1 of a run is seed 0 of one that starts at 1.
    training = replace(simple.training, seed=1)
    later = replace(simple, training=training)
    run_experiment(later, ["random_pair"], 1, tmp_path / "later", _silent)
    for index in (0, 1):
        names = (f"random_pair-seed{seed}-fold{index}" for seed in (0, 1))
        zero, one = (_predictions(tmp_path / "run", name) for name in names)
        assert not zero.equals(one)
        started = _predictions(tmp_path / "later", f"random_pair-seed0-fold{index}")
        assert_frame_equal(one, started)


def _count_live():
    """Returns how many graphs, models and variables Python has not freed."""
    kinds = (tf.Graph, keras.Model, keras.optimizers.Optimizer, tf.Variable)
    gc.collect()
    # `isinstance` would load lazy modules.
    found = (k for o in gc.get_objects() for k in kinds if issubclass(type(o), k))
    return Counter(kind.__name__ for kind in found)


def test_memory_of_a_fold_is_freed(experiment, tmp_path):
    small = replace(
        experiment,
        protocol=replace(experiment.protocol, num_folds=1),
        models=("deepChallenger", "videos_only", "paper", "simple"),
    )
    run_experiment(small, ["random_pair"], 1, tmp_path, _silent)
    after_one = _count_live()
    run_experiment(small, ["random_pair"], 2, tmp_path, _silent)
    assert _count_live() == after_one


def _with_flipped_label(grid):
    labels = grid.labels.copy()
    labels[0, 0] = 1 - labels[0, 0]
    return replace(grid, labels=labels)


def _with_vision(table, **changes):
    vision = {name: replace(v, **changes) for name, v in table.vision.items()}
    return replace(table, vision=vision)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: {"model": replace(x.model, hidden_dim=17)},
        lambda x: {"training": replace(x.training, epochs=11)},
        lambda x: {"training": replace(x.training, seed=1)},
        lambda x: {"protocol": replace(x.protocol, negatives="1:1")},
        lambda x: {"models": ("simple",)},
        lambda x: {"grid": _with_flipped_label(x.grid)},
        lambda x: {"table": _with_vision(x.table, spec={"fingerprint": "w"})},
        lambda x: {"table": _with_vision(x.table, sampling={"num_frames": 3})},
        lambda x: {"table": replace(x.table, caption_spec={"fingerprint": "w"})},
        lambda x: {"table": replace(x.table, sha256=("of other records",))},
        lambda x: {"facts": replace(x.facts, terms=(("other",), *x.facts.terms[1:]))},
        lambda x: {"truth": None},
        lambda x: {"truth": x.truth / 2},
    ],
    ids=[
        *("width", "epochs", "seed", "negatives", "models", "label"),
        *("encoder", "frames", "text", "features", "words", "no truth", "truth"),
    ],
)
def test_a_directory_with_another_configuration_is_refused(run, experiment, change):
    before, messages = _contents(run.directory), []
    other = replace(experiment, **change(experiment))
    with pytest.raises(
        DataError, match=r"another configuration; choose another --outp"
    ):
        run_experiment(other, list(_SPLITS), 1, run.directory, messages.append)
    assert _contents(run.directory) == before
    assert messages == []


def test_two_processes_give_the_results_of_one(run, baseline, tmp_path, capfd):
    run_experiment(baseline, ["cold_user"], 1, tmp_path, print, workers=2)
    lines = sorted(capfd.readouterr().out.splitlines())
    assert [line for line in lines if " folds done" not in line] == [
        "cold_user-seed0-fold0: baseline VGG16",
        "cold_user-seed0-fold1: baseline VGG16",
    ]
    _assert_same_scores(run, tmp_path)


class _LastFirst:
    """A cluster that completes its units in the opposite order."""

    def run(self, work, units, kind):
        assert kind == "fold"
        for unit in reversed(units):
            yield unit, work(unit)


def test_folds_are_finished_in_the_order_of_a_cluster(
    run, baseline, tmp_path, monkeypatch
):
    monkeypatch.setattr(unit_runs, "use_one_thread", lambda: None)
    told = []
    monkeypatch.setattr(
        fold_runner, "finish_files", lambda _, names: told.extend(names)
    )
    run_experiment(baseline, ["cold_user"], 1, tmp_path, _silent, cluster=_LastFirst())
    assert [name for name in told if name.startswith("predictions/")] == [
        f"predictions/cold_user-seed0-fold{index}.parquet" for index in (1, 0)
    ]
    _assert_same_scores(run, tmp_path)


@pytest.mark.long
def test_a_worker_that_dies_ends_the_run(baseline, tmp_path):
    with pytest.raises(DataError, match=r"a worker process died.* workers=2"):
        run_experiment(baseline, ["cold_user"], 1, tmp_path, _die, workers=2)
    assert set(_contents(tmp_path)) == {
        "SHA256SUMS",
        "config.json",
        "manifests/cold_user.json",
    }


def test_fold_without_joins_is_refused_before_any_fit(experiment, tmp_path):
    labels = np.zeros_like(experiment.grid.labels)
    labels[:, 0] = experiment.grid.labels[:, 0]
    labels[1:, 0] = 0
    grid, messages = replace(experiment.grid, labels=labels), []
    lonely = replace(experiment, grid=grid)
    with pytest.raises(DataError, match=r"fold\d: every part needs pairs .* joined=1 "):
        run_experiment(lonely, ["cold_user"], 1, tmp_path, messages.append)
    assert messages == []


def test_unknown_context_groups_are_refused_before_any_fit(experiment, tmp_path):
    messages = []
    unknown = replace(experiment, context=ContextOptions(context="texts"))
    with pytest.raises(DataError, match=r"`context` must be .* context=texts"):
        run_experiment(unknown, ["cold_user"], 1, tmp_path / "run", messages.append)
    assert messages == []
    assert not (tmp_path / "run").exists()
