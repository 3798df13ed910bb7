import json
from dataclasses import replace

import pytest

from dc_keras.errors import DataError
from dc_keras.study.audit.checks import (
    Sources,
    audit_grid,
    audit_manifests,
    find_manifests,
)
from dc_keras.study.audit.findings import Report
from dc_keras.study.split_manifest import Manifest
from dc_keras.study.splits import SPLITS


def _mask_nothing(focal):
    return lambda captions: captions


@pytest.fixture
def sources(videos, study):
    return Sources(videos, _mask_nothing, study, cleanings={"features": None})


@pytest.fixture
def written(tmp_path, grid, manifest_of):
    """Manifests of every split, as evaluate writes them."""
    for split in SPLITS:
        manifest_of(grid, split).write(tmp_path)
    return tmp_path


def _read(directory):
    return {path: Manifest.read(path) for path in find_manifests([directory])}


def test_sound_manifests_have_no_finding_and_each_grid_is_checked_once(
    written, sources
):
    checks = audit_manifests(_read(written), sources)
    report = Report(tuple(checks))
    assert report.is_sound
    assert [finding for check in checks for finding in check.findings] == []
    assert [check.name for check in checks].count("unchanged since it was written") == 5
    # Four splits of one grid, and the grid of two cutoffs.
    assert [check.name for check in checks].count("labels") == 2
    assert {check.name for check in checks if check.not_run} == {"the same media twice"}


def test_a_manifest_edited_by_hand_is_named(written, sources):
    path = written / "cold_user.json"
    content = json.loads(path.read_text("utf-8"))
    fold = content["folds"]["cold_user-seed0-fold0"]
    fold["parts"] = fold["parts"].replace("x", "t", 1)
    path.write_text(json.dumps(content), "utf-8")
    checks = audit_manifests(_read(path), sources)
    found = {check.name: check.findings for check in checks if check.findings}
    [finding] = found.pop("unchanged since it was written")
    assert finding.severity == "fault"
    assert f"states sha256 {content['sha256'][:12]}" in finding.what


def test_two_runs_with_the_same_fold_names_are_both_audited(
    tmp_path, grid, manifest_of, sources, describe_with
):
    # user01's own post describes cat: seen only where user01 is judged and not hidden.
    planted = describe_with(grid, "cat", "user01-3")
    whole = manifest_of(planted, "cold_user")
    name = next(n for n, f in whole.folds.items() if "user01" in f.hidden_users)
    bare = replace(whole.folds[name], hidden_users=frozenset())
    leaky = replace(whole, folds={**whole.folds, name: bare})
    for run, manifest in (("a", leaky), ("b", whole)):
        manifest.write(tmp_path / run)
    paths = find_manifests([tmp_path / "a", tmp_path / "b"])
    checks = audit_manifests({path: Manifest.read(path) for path in paths}, sources)
    [first, second] = [c for c in checks if c.name == "own posts among a challenge's"]
    assert [f.severity for f in first.findings] == ["leak"]
    assert [f.severity for f in second.findings] == ["warning"]


def test_grid_without_manifests_is_audited(grid, sources):
    checks = audit_grid("study.toml", grid, sources)
    assert all(check.findings == () for check in checks)
    skipped = {check.name: check.not_run for check in checks if check.not_run}
    assert "--records" in skipped["the same media twice"]
    assert "--manifest" in skipped["folds"]


def test_every_kind_of_leak_shows_in_one_report(grid, sources, show_in_history):
    planted = show_in_history(grid, "user01", "user01-3")
    checks = audit_grid("study.toml", planted, sources)
    # Its participation in its own history: with the tag, and after the cutoff.
    assert {check.name for check in checks if check.findings} == {
        "challenge marks in histories",
        "posts after the cutoff",
    }
    assert not Report(tuple(checks)).is_sound


def test_manifests_are_found_in_directories_and_by_name(written):
    paths = find_manifests([written, written / "temporal.json"])
    assert [path.stem for path in paths] == sorted(SPLITS)
    assert find_manifests([]) == []


def test_missing_manifests_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no manifest here"):
        find_manifests([tmp_path / "nothing.json"])
    with pytest.raises(DataError, match="must contain the manifests of evaluate"):
        find_manifests([tmp_path])
