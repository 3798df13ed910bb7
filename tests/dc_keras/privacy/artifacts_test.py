import shutil

import polars as pl
import pytest

from dc_keras.errors import DataError
from dc_keras.privacy.artifacts import discard, find_artifacts, remove_leftovers

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
    "predictions": {"config.json": '{"users_sha256": "0"}'},
    "reach": {"reach.json": "{}", "users.csv": "user_id,chance\n"},
}


def _write(directory, files):
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


@pytest.mark.parametrize("kind", _FILES)
def test_an_artifact_is_recognised_by_its_files(tmp_path, kind):
    place = _write(tmp_path / "any", _FILES[kind])
    found = find_artifacts([place])
    assert found.of_kind(kind) == [place]
    assert len(found.artifacts) == 1
    assert found.unknown == ()


def test_a_survey_with_the_graph_as_json_is_a_survey(tmp_path):
    place = _write(tmp_path / "any", {**_FILES["survey"], "graph.json": "{}"})
    assert find_artifacts([place]).of_kind("survey") == [place]


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
    users = tmp_path / "run/users/users-00000-of-00001.parquet"
    users.parent.mkdir()
    pl.DataFrame({"user_id": ["someone"], "prepared": [[0.0]]}).write_parquet(users)
    shard = tmp_path / "run/shards/predictions-00000-of-00001.parquet"
    shard.parent.mkdir()
    columns = ("user_id", "challenge", "probability")
    pl.DataFrame(schema=columns).write_parquet(shard)
    (tmp_path / "run/other.parquet").write_bytes(b"no table")
    found = find_artifacts([tmp_path / "run", tmp_path / "run/deep/model"])
    # Its proxies belong to the model.
    assert {a.path.resolve() for a in found.artifacts} == {
        *(answers, seeds, chances, shard, users),
        *(model, version, explanation),
    }
    assert found.of_kind("predictions") == [*(answers, seeds, chances, shard, users)]
    assert found.unknown == (media,)


def test_unknown_directories_are_reported(tmp_path):
    place = _write(tmp_path / "any", {"notes.txt": ""})
    found = find_artifacts([place])
    assert (found.artifacts, found.unknown) == ((), (place,))


def test_records_without_a_manifest_are_refused(tmp_path):
    place = _write(tmp_path / "any", {"frames-00000-of-00002.tfrecord": ""})
    with pytest.raises(DataError, match=r"records without a manifest\.json"):
        find_artifacts([place])


def test_a_file_is_no_artifact_directory(tmp_path):
    with pytest.raises(DataError, match=r"must be a directory. Received: artifacts="):
        find_artifacts([tmp_path / "missing"])


def test_half_written_files_are_removed(tmp_path):
    place = _write(tmp_path / "corpus", _FILES["corpus"])
    (place / ".videos.parquet.tmp").write_text("half")
    _write(place / ".next", {"videos.parquet": "half"})
    _write(tmp_path / ".corpus-import-abc_1234", {"part-00000.parquet": "captions"})
    other = _write(tmp_path / ".corpus-import-of-mine", {"a": ""})
    # Of an import that was killed before there was a corpus, and of a single file.
    _write(tmp_path / ".first-import-abc_1234", {"part-00000.parquet": "captions"})
    (tmp_path / ".answers.csv.tmp").write_text("half")
    for name in ("corpus", "first", "answers.csv"):
        remove_leftovers(tmp_path / name)
    assert {p.name for p in place.iterdir()} == set(_FILES["corpus"])
    assert set(tmp_path.iterdir()) == {place, other}


def test_interrupted_removals_are_finished(tmp_path, monkeypatch):
    place = _write(tmp_path / "survey", _FILES["survey"])

    def stop(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", stop)
        discard(place)
    assert not place.exists()
    remove_leftovers(place)
    assert list(tmp_path.iterdir()) == []
