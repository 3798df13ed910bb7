import hashlib
import json

import numpy as np
import polars as pl
import pytest

from dc_keras.corpus.pseudonyms import Pseudonymizer, post_code
from dc_keras.errors import DataError
from dc_keras.privacy.result_removal import forget_bundle, forget_results
from dc_keras.study.participation import Grid
from dc_keras.study.split_manifest import Manifest
from dc_keras.study.splits import Fold
from tfrecords.storage.atomic_update import AtomicUpdate
from tfrecords.storage.checksums import read_sums, write_sums

_GONE, _POST = "a" * 32, "6871947673600000001"
_BOB, _CAT = "b" * 32, "c" * 32


@pytest.fixture
def forgotten(forget):
    return forget(_GONE, _POST)


@pytest.fixture
def run(tmp_path):
    """Writes the files of a model and an evaluation that name people."""

    def table(name, **columns):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pl.DataFrame(columns).write_parquet(path)

    def text(name, content):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "utf-8")

    table("predictions/a.parquet", user_id=[_GONE, _BOB], score=[0.1, 0.2])
    table("proxies/a.parquet", video_id=["1", _POST, "2"], label=[0, 1, 2])
    table(
        "predictions.parquet",
        video_id=["1", "2"],
        label=[_BOB, _CAT],
        predicted=[_GONE, _CAT],
    )
    text("answers.csv", f"user_id,probability\n{_GONE},0.10\n{_BOB},0.50\n")
    text("config.json", json.dumps({"task": "user", "classes": [_BOB, _GONE]}))
    text("tensorboard/users.tsv", "1\t1\n2\t2\n3\t3\n")
    text("tensorboard/users_labels.tsv", f"{_BOB}\n{_GONE}\n{_CAT}\n")
    text("history.csv", "epoch,loss\n0,1.0\n")
    text("tables/table_1.json", '{"title": "Table I"}')
    text("manifests/cold_user.json", _manifest(with_gone=True))
    text("report.html", f"<td>{_GONE}</td><td>{_BOB}</td>")
    return tmp_path


def _manifest(*, with_gone):
    """A split whose first two pairs are of the removed user."""
    first = 2 if with_gone else 0
    fold = Fold(
        "cold_user",
        0,
        train=np.arange(first + 1, first + 3),
        valid=np.array([first]),
        test=np.arange(first),
        hidden_users=frozenset({_GONE, _BOB} if with_gone else {_BOB}),
    )
    grid = _grid(with_gone=with_gone)
    return Manifest("cold_user", grid, {"f": fold}, {"f": 0}).to_json()


def _grid(*, with_gone):
    """The same evaluation with and without the removed user."""
    rows = [0, 1, 2] if with_gone else [1, 2]
    owners = {_POST: _BOB, "2": _BOB, "3": _GONE, "4": _GONE, "5": _CAT, "6": _CAT}
    kept = {v: u for v, u in owners.items() if v != _POST and u != _GONE}
    histories = [("3",), (_POST, "2"), ("5",)]
    support = [("4", "6"), ("4",)]

    def those(ids):
        return tuple(v for v in ids if with_gone or v in kept)

    return Grid(
        challenges=("dance", "cats"),
        users=tuple((_GONE, _BOB, _CAT)[row] for row in rows),
        labels=np.array([[1, 0], [0, 1], [1, 1]], np.int8)[rows],
        observed=np.array([[1, 1], [1, 0], [1, 1]], bool)[rows],
        histories=tuple(those(histories[row]) for row in rows),
        support=tuple(map(those, support)),
        video_users=owners if with_gone else kept,
        pool_users=(_GONE, "p")[0 if with_gone else 1 :],
        pool_histories=(("3",), ("5",))[0 if with_gone else 1 :],
        settings={"pool_fraction": 0.25},
        counts={"too short": 3},
    )


def _bytes(directory):
    return {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_rows_of_removed_users_are_removed(run, forgotten):
    counts = forget_results(run, forgotten)
    assert pl.read_parquet(run / "predictions/a.parquet")["user_id"].to_list() == [_BOB]
    assert pl.read_parquet(run / "proxies/a.parquet")["video_id"].to_list() == [
        "1",
        "2",
    ]
    assert (run / "answers.csv").read_text() == f"user_id,probability\n{_BOB},0.50\n"
    # A row each of two tables, the CSV, the projector and the manifest; in three more
    # files a name.
    assert counts == {"rows": 5, "files": 8}
    assert (run / "report.html").read_text() == f"<td>u_forgotten</td><td>{_BOB}</td>"


def test_a_class_keeps_its_position_and_loses_its_name(run, forgotten):
    forget_results(run, forgotten)
    config = json.loads((run / "config.json").read_text())
    assert config["classes"] == [_BOB, "u_forgotten"]
    predictions = pl.read_parquet(run / "predictions.parquet")
    assert predictions["predicted"].to_list() == ["u_forgotten", _CAT]
    assert predictions["label"].to_list() == [_BOB, _CAT]


def test_the_projector_loses_the_vector_with_the_label(run, forgotten):
    forget_results(run, forgotten)
    assert (run / "tensorboard/users_labels.tsv").read_text() == f"{_BOB}\n{_CAT}\n"
    assert (run / "tensorboard/users.tsv").read_text() == "1\t1\n3\t3\n"


def test_the_manifest_is_that_of_an_evaluation_without_them(run, forgotten):
    forget_results(run, forgotten)
    kept = (run / "manifests/cold_user.json").read_text()
    assert kept == _manifest(with_gone=False)


def test_a_second_time_changes_no_byte(run, forgotten):
    forget_results(run, forgotten)
    before = _bytes(run)
    assert forget_results(run, forgotten) == {}
    assert _bytes(run) == before


def test_a_dry_run_counts_and_changes_no_byte(run, forgotten):
    before = _bytes(run)
    assert forget_results(run, forgotten, dry_run=True) == {"rows": 5, "files": 8}
    assert _bytes(run) == before


def test_a_file_of_answers_is_cleaned_alone(run, forgotten):
    assert forget_results(run / "answers.csv", forgotten) == {"rows": 1, "files": 1}


def test_vectors_and_labels_change_together(run, forgotten, monkeypatch):
    def stop(self, *_):
        raise KeyboardInterrupt

    before = _bytes(run)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(AtomicUpdate, "commit", stop)
        forget_results(run, forgotten)
    assert _bytes(run) == before
    forget_results(run, forgotten)
    test_the_projector_loses_the_vector_with_the_label(run, forgotten)


@pytest.mark.parametrize("name", ["predictions.parquet", "config.json"])
def test_a_file_that_cannot_be_read_is_named(run, forgotten, name):
    (run / name).write_bytes(b'{"\xff')
    with pytest.raises(DataError, match=f"{name}: cannot be read; restore") as e:
        forget_results(run, forgotten)
    assert "\n" not in str(e.value)


@pytest.fixture
def bundle(tmp_path):
    """A bundle whose challenge is described by a removed post and another."""
    key = Pseudonymizer(b"k" * 32).fingerprint
    posts = [post_code(key, _POST), post_code(key, "6871947673600000002")]
    content = {"describing_posts": {"dance": posts}, "num_folds": 3}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
    digest = hashlib.sha256(config.read_bytes()).hexdigest()
    sums = {"assets/config.json": "0" * 64, "config.json": digest}
    write_sums(tmp_path / "SHA256SUMS", sums)
    return tmp_path


def test_a_bundle_loses_the_codes_of_forgotten_posts(bundle, forgotten):
    config = bundle / "config.json"
    before = json.loads(config.read_text("utf-8"))
    assert forget_bundle(bundle, forgotten, dry_run=True) == {"files": 1}
    assert json.loads(config.read_text("utf-8")) == before
    assert forget_bundle(bundle, forgotten) == {"files": 1}
    [first, second] = before["describing_posts"]["dance"]
    after = json.loads(config.read_text("utf-8"))
    assert after == {**before, "describing_posts": {"dance": ["u_forgotten", second]}}
    assert first not in config.read_text("utf-8")
    digest = hashlib.sha256(config.read_bytes()).hexdigest()
    assert read_sums(bundle / "SHA256SUMS") == {
        "assets/config.json": "0" * 64,
        "config.json": digest,
    }
    assert forget_bundle(bundle, forgotten) == {}


def test_a_bundle_that_a_stopped_run_left_is_finished(bundle, forgotten, monkeypatch):
    def stop(self, *_):
        raise KeyboardInterrupt

    before = read_sums(bundle / "SHA256SUMS")
    monkeypatch.setattr(AtomicUpdate, "commit", stop)
    with pytest.raises(KeyboardInterrupt):
        forget_bundle(bundle, forgotten)
    monkeypatch.undo()
    assert read_sums(bundle / "SHA256SUMS") == before
    assert forget_bundle(bundle, forgotten) == {"files": 1}
    digest = hashlib.sha256((bundle / "config.json").read_bytes()).hexdigest()
    assert f"{digest}  config.json" in (bundle / "SHA256SUMS").read_text("utf-8")
