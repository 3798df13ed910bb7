import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.forgetting.artifacts import find_artifacts, remove_leftovers
from dc_keras.serving.ranking import UserTable

_FILES = {
    "corpus": {"corpus.json": "{}", "videos.parquet": ""},
    "frames": {
        "manifest.json": '{"kind": "frames"}',
        "frames-00000-of-00001.tfrecord": "",
    },
    "features": {
        "manifest.json": '{"kind": "features"}',
        "features-00000-of-00001.tfrecord": "",
    },
    "model": {"model.keras": "", "config.json": '{"task": "participation"}'},
    "evaluation": {"config.json": '{"models": ["all"]}', "manifest.json": "{}"},
    "bundle": {"saved_model.pb": "", "config.json": '{"task": "participation"}'},
    "text encoder": {"saved_model.pb": ""},
    "graph": {"graph.json": "{}", "users.parquet": ""},
    "survey": {"survey.html": "", "communities.csv": ""},
    "reach": {"reach.json": "{}", "users.csv": "user_id,chance\n"},
}


def _write(directory, files):
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


@pytest.mark.parametrize("kind", _FILES)
def test_an_artifact_is_told_by_its_files(tmp_path, kind):
    place = _write(tmp_path / "any", _FILES[kind])
    found = find_artifacts([place])
    assert found.of_kind(kind) == [place]
    assert len(found.artifacts) == 1
    assert found.unknown == ()


@pytest.mark.parametrize("trace", ["history.csv", "user_proxy"])
def test_a_training_under_way_is_a_model(tmp_path, trace):
    place = _write(tmp_path / "model", {trace: ""})
    assert find_artifacts([place]).of_kind("model") == [place]


def test_a_directory_of_several_is_searched_to_any_depth(tmp_path):
    model = _write(tmp_path / "run/deep/model", _FILES["model"])
    _write(tmp_path / "run/deep/model/user_proxy", _FILES["model"])
    version = _write(tmp_path / "run/export/1", _FILES["bundle"])
    media = _write(tmp_path / "run/media/inner", {"1.mp4": ""}).parent
    answers = tmp_path / "run/answers.csv"
    answers.write_text("user_id,challenge,probability\n")
    seeds = tmp_path / "run/seeds.csv"
    seeds.write_text("rank,user_id,community,probability\n")
    explanation = tmp_path / "run/explained/explanation.json"
    explanation.parent.mkdir()
    explanation.write_text("{}")
    # A run of reach that was stopped before its end.
    chances = tmp_path / "run/users.csv"
    chances.write_text("user_id,chance\n")
    (tmp_path / "run/other.csv").write_text("user_id,age\n")
    users = tmp_path / "run/users.parquet"
    prepared = np.zeros((1, 3), np.float32)
    UserTable(("someone",), prepared, "of a bundle").save(users)
    (tmp_path / "run/other.parquet").write_bytes(b"no table")
    found = find_artifacts([tmp_path / "run", tmp_path / "run/deep/model"])
    # Its proxies belong to the model.
    assert {a.path.resolve() for a in found.artifacts} == {
        *(answers, seeds, chances, users),
        *(model, version, explanation),
    }
    assert found.of_kind("predictions") == [answers, seeds, chances, users]
    assert found.unknown == (media,)


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        ({"notes.txt": ""}, "an artifact must be a corpus, frame or feature records"),
        ({"frames-00000-of-00002.tfrecord": ""}, "records without a manifest.json"),
    ],
)
def test_what_is_none_of_ours_is_refused(tmp_path, files, rule):
    with pytest.raises(DataError, match=rule):
        find_artifacts([_write(tmp_path / "any", files)])


def test_what_is_no_directory_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"must be a directory. Received: artifacts="):
        find_artifacts([tmp_path / "missing"])


def test_half_written_files_are_removed(tmp_path):
    place = _write(tmp_path / "corpus", _FILES["corpus"])
    (place / ".videos.parquet.tmp").write_text("half")
    remove_leftovers(place)
    assert {p.name for p in place.iterdir()} == set(_FILES["corpus"])
