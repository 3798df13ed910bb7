import json
from dataclasses import replace

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.options import ProtocolOptions, TrainingOptions
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.split_manifest import VERSION, Manifest, make_manifest
from dc_keras.study.splits import SPLITS, Fold, make_folds
from dc_keras.study.temporal import join_cutoffs

_PROTOCOL = ProtocolOptions(num_folds=2)
_TRAINING = TrainingOptions(validation_fraction=0.2, seed=5)
_FOLD = Fold("cold_user", 0, np.array([0, 2]), np.array([3]), np.array([5]))


@pytest.fixture(scope="session")
def wide_grid(make_grid):
    """Challenges enough to hold some out."""
    return make_grid(
        tuple("abcdef"),
        np.arange(12) % 6,
        ("pool0",),
        seed=1,
        exceptions=0.2,
        unseen=([2, 9], [0, 1]),
        history_length=lambda row: 2,
    )


@pytest.fixture(scope="session")
def make(wide_grid):
    """Makes the manifest of a split, with two seeds."""

    def make(split="cold_user", grid=wide_grid):
        if split == "temporal":
            grid = join_cutoffs([grid, grid, grid], [1, 2, 3])
        return make_manifest(grid, split, 2, _PROTOCOL, _TRAINING)

    return make


def _edited(manifest, directory, **changes):
    """Returns the path of a manifest with edited parts."""
    content = json.loads(manifest.to_json())
    for path, value in changes.items():
        *parents, last = path.split("__")
        part = content
        for name in parents:
            part = part[next(iter(part)) if name == "first" else name]
        part[last] = value
    path = directory / "edited.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize("split", SPLITS)
def test_a_manifest_survives_its_file(make, split, tmp_path):
    manifest = make(split)
    manifest.write(tmp_path / "manifests")
    path = tmp_path / "manifests" / f"{split}.json"
    again = Manifest.read(path)
    assert again.to_json() == manifest.to_json() == path.read_text("utf-8")
    assert Manifest.stated_sha256(path) == again.sha256 == manifest.sha256
    assert again.split == split
    assert again.grid.sha256 == manifest.grid.sha256
    assert again.seeds == manifest.seeds
    assert again.folds.keys() == manifest.folds.keys()
    for name, fold in manifest.folds.items():
        other = again.folds[name]
        assert (other.split, other.index) == (fold.split, fold.index)
        assert other.hidden_users == fold.hidden_users
        assert other.hidden_challenges == fold.hidden_challenges
        for part in ("train", "valid", "test"):
            np.testing.assert_array_equal(getattr(other, part), getattr(fold, part))


def test_folds_of_each_seed_have_distinct_names(make, wide_grid):
    manifest, pairs = make("cold_challenge"), grid_pairs(wide_grid)
    assert manifest.seeds == {
        f"cold_challenge-seed{seed}-fold{index}": seed
        for seed in (0, 1)
        for index in (0, 1)
    }
    for seed in (0, 1):
        # Seeds begin with that of the training options, 5.
        for fold in make_folds(wide_grid, pairs, "cold_challenge", 2, 0.2, 5 + seed):
            named = manifest.folds[f"cold_challenge-seed{seed}-fold{fold.index}"]
            np.testing.assert_array_equal(named.test, fold.test)
            np.testing.assert_array_equal(named.valid, fold.valid)


def test_file_has_one_letter_per_pair(wide_grid):
    manifest = Manifest.of_folds("cold_user", wide_grid, [[_FOLD]])
    content = json.loads(manifest.to_json())
    # 12 × 6 pairs, two of them unobserved.
    letters = "t-tv-x" + 64 * "-"
    assert content["folds"]["cold_user-seed0-fold0"]["parts"] == letters
    assert content["version"] == VERSION


def test_equal_manifests_give_equal_text(make):
    assert make().to_json() == make().to_json()


@pytest.mark.parametrize("split", ["cold_user", "random_pair"])
def test_digest_changes_with_a_label_a_letter_or_a_video(make, wide_grid, split):
    digest = make(split).sha256
    labels = wide_grid.labels.copy()
    labels[0, 0] = 1 - labels[0, 0]
    histories = (wide_grid.histories[0][:1], *wide_grid.histories[1:])
    for change in ({"labels": labels}, {"histories": histories}):
        assert make(split, replace(wide_grid, **change)).sha256 != digest
    folds = make(split).folds
    name = next(iter(folds))
    fewer = {**folds, name: replace(folds[name], train=folds[name].train[1:])}
    assert replace(make(split), folds=fewer).sha256 != digest


@pytest.mark.parametrize(
    "edit", ["label", "letter", "hidden", "seed", "split", "order"]
)
def test_an_edited_file_no_longer_has_its_digest(make, tmp_path, edit):
    content = json.loads(make().to_json())
    fold = next(iter(content["folds"].values()))
    if edit == "label":
        content["grid"]["labels"][0][0] ^= 1
    elif edit == "letter":
        fold["parts"] = "-" + fold["parts"][1:]
    elif edit == "hidden":
        del fold["hidden_users"][0]
    elif edit == "seed":
        fold["seed"] += 1
    elif edit == "split":
        content["split"] = "random_pair"
    else:
        content["grid"]["support"][0].reverse()
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(content), "utf-8")
    assert Manifest.stated_sha256(path) == make().sha256
    assert Manifest.read(path).sha256 != make().sha256


def test_a_pair_in_two_parts_is_refused(wide_grid):
    twice = replace(_FOLD, test=np.array([2, 5]))
    manifest = Manifest.of_folds("cold_user", wide_grid, [[twice]])
    with pytest.raises(ValueError, match=r"at most one part .* a pair in test and"):
        manifest.to_json()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"\x00"])
def test_invalid_json_is_no_manifest(tmp_path, content):
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"m.json is not a manifest \(.*\)$"):
        Manifest.read(path)


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"version": 1}'])
def test_other_json_is_no_manifest(tmp_path, content):
    path = tmp_path / "m.json"
    path.write_text(content, "utf-8")
    with pytest.raises(DataError, match=r"m.json is not a manifest of evaluate$"):
        Manifest.read(path)
    with pytest.raises(DataError, match=r"m.json is not a manifest of evaluate$"):
        Manifest.stated_sha256(path)


def test_another_version_is_refused(make, tmp_path):
    with pytest.raises(DataError, match=r"of version 1. Received: version=2$"):
        Manifest.read(_edited(make(), tmp_path, version=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": []}, "a grid must have .* written by another version"),
        ({"grid__users": ["user00"]}, "must fit its users and challenges"),
        ({"folds__first__parts": "t"}, "for each of 70 pairs. Received: 1 letters"),
        ({"folds__first__parts": "z" * 70}, "one letter t, v, x or - for each"),
        ({"folds__first__parts": 70}, "`folds` must be as evaluate wrote them"),
        ({"folds__first__index": "first"}, "`folds` must be as evaluate wrote them"),
        ({"folds__first__hidden_users": None}, "`folds` must be as evaluate wrote"),
        ({"folds__first": {"x": 1}}, "`folds` must be .* Received: KeyError: 'parts'"),
        ({"folds": []}, "`folds` must be as evaluate wrote them"),
    ],
)
def test_parts_that_do_not_fit_are_refused(make, tmp_path, change, message):
    if "folds__first" in change:
        change = {"folds": {"one": change["folds__first"]}}
    path = _edited(make(), tmp_path, **change)
    with pytest.raises(DataError, match=rf"edited.json: .*{message}") as refused:
        Manifest.read(path)
    assert "\n" not in str(refused.value)


def test_missing_manifest_raises_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        Manifest.read(tmp_path / "none.json")


def test_nothing_half_written_has_the_name_of_a_manifest(make, tmp_path, monkeypatch):
    make().write(tmp_path)
    before = (tmp_path / "cold_user.json").read_text("utf-8")
    monkeypatch.setattr(Manifest, "to_json", lambda self: "\ud800")
    with pytest.raises(UnicodeEncodeError):
        make().write(tmp_path)
    assert (tmp_path / "cold_user.json").read_text("utf-8") == before
