"""Reading a damaged file gives a value or a one-line error, for any damage."""

import json
import random
import shutil
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saved_runs import write_run
from scipy import sparse

from benchmarks.mutations import mutate
from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.pseudonyms import Pseudonymizer, load_or_create_key
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.evaluation.known_truth import load_truth
from dc_keras.evaluation.saved_run import SavedRun
from dc_keras.privacy.artifacts import find_artifacts
from dc_keras.privacy.removal_requests import read_lines
from dc_keras.serving.ranking import read_users
from dc_keras.social.building import GraphPlan
from dc_keras.social.graph import Layer, SocialGraph
from dc_keras.social.graph_store import read_graph, save_graph
from dc_keras.social.model_scores import read_probabilities, read_readiness, read_seeds
from dc_keras.social.representations import read_representations
from dc_keras.study.audit.published import read_table
from dc_keras.study.study import Study
from dc_keras.training.model_directory import claim_directory
from pipelines._cli.app import describe_system_error
from tfrecords.progress import kept_settings, read_progress
from tfrecords.reader import list_shard_paths
from tfrecords.storage.checksums import SUMS_FILE
from tfrecords.writer import read_manifest, write_manifest, write_shard

_KEY = Pseudonymizer(b"k" * 32)
_USERS = ("a" * 32, "b" * 32)
_GRAPH = SocialGraph(
    _USERS, (Layer("mention", sparse.csr_array(1 - np.eye(2)), is_directed=True),)
)
_STUDY = """
[study]
name = "paper"
cutoff = "2020-12-19"
[challenges.dance]
hashtags = ["dance", "däns"]
"""


def _csv(**columns):
    return pl.DataFrame({"user_id": _USERS, **columns}).write_csv().encode()


def _parquet(path, **columns):
    pl.DataFrame({"user_id": _USERS, **columns}).write_parquet(path)
    return path.read_bytes()


# Files of the user's own: name → (content, reader).
_FILES = {
    "pseudonym.key": (
        b"ab" * 32,
        lambda path: load_or_create_key(path, corpus_dir=path.parent / "corpus"),
    ),
    "study.toml": (_STUDY.encode(), Study.load),
    "ids.txt": ("7103\n@ann  # ä\n".encode(), read_lines),
    "truth.json": (
        json.dumps(
            {"users": ["1"], "challenges": ["x"], "probabilities": [[0.5]]}
        ).encode(),
        lambda path: load_truth(path, SimpleNamespace(users=(), challenges=()), _KEY),
    ),
    "table.csv": (
        b"model,precision,recall,f1\nours,.5,.5,.5\n",
        read_table,
    ),
    "predictions.csv": (
        _csv(probability=[0.5, 0.25]),
        lambda path: read_probabilities(path, _USERS),
    ),
    "seeds.csv": (_csv(probability=[0.5, 0.25]), lambda path: read_seeds(path, _GRAPH)),
    "ready.csv": (_csv(probability=[0.5, 0.25]), lambda p: read_readiness(p, _GRAPH)),
}


def _read(read, path):
    try:
        read(path)
    except DataError as error:
        told = str(error)
    except OSError as error:
        told = describe_system_error(error)
        assert told
        assert "\n" not in told


@pytest.mark.parametrize("name", _FILES)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_a_damaged_file_of_the_users_is_one_line(name, tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("damaged") / name
    content, read = _FILES[name]
    path.write_bytes(mutate(content, random.Random(seed)))
    path.chmod(0o600)
    _read(read, path)


@pytest.mark.parametrize("name", _FILES)
def test_what_is_no_file_is_one_line(name, tmp_path):
    path, (_, read) = tmp_path / name, _FILES[name]
    places = [tmp_path / "directory", tmp_path / "dangling", tmp_path / ("x" * 300)]
    places[0].mkdir()
    places[1].symlink_to(tmp_path / "nowhere")
    path.write_bytes(b"")
    for place in (*places, path / "below", path):
        _read(read, place)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_of_vectors_is_one_line(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("damaged") / "users.parquet"
    content = _parquet(path, prepared=[[1.0], [2.0]])
    path.write_bytes(mutate(content, random.Random(seed)))
    _read(read_users, path)
    _read(lambda place: read_representations(place, _USERS), path)


def _corpus(place):
    rows = [
        {
            "id": f"71{i}0000000000000",
            "desc": "#dance",
            "createTime": 1600000000 + i,
            "author": {"id": f"{i}", "uniqueId": f"u{i}"},
        }
        for i in range(3)
    ]
    raw = place / "items.ndjson"
    raw.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    import_files([str(raw)], place / "corpus", pseudonymizer=_KEY)
    Forgotten(_KEY).with_codes(["7" * 19]).save(place / "corpus")
    return place / "corpus"


def _open_corpus(place):
    corpus = Corpus.open(place)
    tables = (corpus.videos, corpus.users, corpus.edges, corpus.media_root)
    Forgotten.load(place, _KEY)
    find_artifacts([place])
    return tables, list(corpus.iter_videos())


def _graph(place):
    plan = GraphPlan(layers=("mention",)).to_dict()
    save_graph(place / "graph", _GRAPH, {"plan": plan})
    return place / "graph"


def _open_graph(place):
    _, info = read_graph(place)
    find_artifacts([place])
    return GraphPlan.from_dict(info["plan"])


def _records(place):
    (place / "frames").mkdir()
    name = "frames-00000-of-00001.tfrecord"
    entry = write_shard(place / "frames", name, "d", [b"a"], dict)
    write_manifest(place / "frames", "frames", {"num_frames": 2}, [entry])
    return place / "frames"


def _open_records(place):
    read_progress(place, "frames-00000-of-00001.tfrecord")
    kept_settings(place)
    find_artifacts([place])
    return read_manifest(place), list_shard_paths(place)


def _run(place):
    return write_run(place / "run", num_users=12, num_seeds=1)


def _open_run(place):
    find_artifacts([place])
    return SavedRun.open(place).tables


def _model(place):
    (place / "model").mkdir()
    config = {"task": "participation", "study": {"name": "x"}, "grid_sha256": "0"}
    (place / "model" / "config.json").write_text(json.dumps(config))
    (place / "model" / "history.csv").write_text("epoch\n")
    return place / "model"


def _open_model(place):
    find_artifacts([place])
    claim_directory(place, {"task": "participation"})


_ARTIFACTS = {
    "corpus": (_corpus, _open_corpus),
    "graph": (_graph, _open_graph),
    "records": (_records, _open_records),
    "run": (_run, _open_run),
    "model": (_model, _open_model),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One artifact of each kind."""
    return {
        name: make(tmp_path_factory.mktemp(name))
        for name, (make, _) in _ARTIFACTS.items()
    }


@pytest.mark.parametrize("name", _ARTIFACTS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_damaged_artifact_without_checksums_is_one_line(
    name, made, tmp_path_factory, seed
):
    rng = random.Random(seed)
    place = tmp_path_factory.mktemp("damaged") / "artifact"
    shutil.copytree(made[name], place)
    (place / SUMS_FILE).unlink(missing_ok=True)
    path = rng.choice(sorted(p for p in place.rglob("*") if p.is_file()))
    path.write_bytes(mutate(path.read_bytes(), rng))
    _read(_ARTIFACTS[name][1], place)
