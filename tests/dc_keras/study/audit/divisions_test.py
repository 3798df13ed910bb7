from dataclasses import replace

import numpy as np
import pytest

from dc_keras.study.audit.divisions import check_divisions
from dc_keras.study.splits import SPLITS


@pytest.fixture
def plant():
    """Returns the findings about a manifest whose first fold is changed."""

    def change(manifest, edit):
        name, fold = next(iter(manifest.folds.items()))
        folds = {**manifest.folds, name: replace(fold, **edit(fold))}
        checks = check_divisions("m.json", replace(manifest, folds=folds))
        found = {check.name: check.findings for check in checks if check.findings}
        for findings in found.values():
            assert all(name in f.where["folds"] for f in findings)
        return found

    return change


@pytest.mark.parametrize("split", SPLITS)
def test_what_evaluate_writes_has_no_finding(grid, manifest_of, split):
    manifest = manifest_of(grid, split)
    checks = check_divisions("m.json", manifest)
    assert all(check.findings == () for check in checks)
    assert all(check.num_checked == len(manifest.folds) for check in checks)
    assert all(check.not_run is None for check in checks)
    expected = {"random_pair": 1, "cold_user": 3, "cold_challenge": 3, "cold_both": 3}
    assert len(checks) == expected.get(split, 2)


@pytest.mark.parametrize("split", SPLITS)
def test_a_pair_in_two_parts_leaks(grid, manifest_of, plant, split):
    found = plant(
        manifest_of(grid, split),
        lambda fold: {"train": np.append(fold.train, fold.test[0])},
    )
    [finding] = found["pairs in two parts, or in none"]
    assert finding.severity == "leak"
    assert "1 pairs are in train and in test: " in finding.what


def test_a_pair_under_two_positions_is_still_one_pair(grid, manifest_of):
    manifest = manifest_of(grid, "random_pair")
    fold = next(iter(manifest.folds.values()))
    row = int(np.nonzero(grid.observed)[0][fold.test[0]])
    other = int(np.nonzero(grid.observed)[0][fold.train[0]])
    users = list(grid.users)
    users[other] = users[row]
    doubled = replace(grid, users=tuple(users), observed=np.ones_like(grid.observed))
    doubled = manifest_of(doubled, "random_pair")
    findings = check_divisions("m.json", doubled)[0].findings
    assert any("in train and in test" in finding.what for finding in findings)


def test_pairs_in_no_part_and_empty_parts_are_faults(grid, manifest_of, plant):
    found = plant(
        manifest_of(grid, "random_pair"), lambda fold: {"test": fold.test[:0]}
    )
    whats = [f.what for f in found["pairs in two parts, or in none"]]
    # A fifth of 34 pairs.
    assert whats == [
        "random_pair-seed0-fold0: 7 of 34 pairs are in no part",
        "random_pair-seed0-fold0: test has no pairs",
    ]


@pytest.mark.parametrize(
    ("split", "kind"),
    [
        ("cold_user", "users"),
        ("cold_challenge", "challenges"),
        ("cold_both", "users"),
        ("cold_both", "challenges"),
    ],
)
def test_a_name_on_two_sides_leaks(grid, manifest_of, plant, split, kind):
    found = plant(
        manifest_of(grid, split),
        lambda fold: {"train": np.append(fold.train, fold.test[0])},
    )
    [findings] = [found[name] for name in found if name.endswith("in two parts")]
    lines = [f.what for f in findings if f"1 {kind} are in train and in test" in f.what]
    assert len(lines) == 1
    assert all(finding.severity == "leak" for finding in findings)


@pytest.mark.parametrize("split", ["cold_user", "cold_challenge", "cold_both"])
@pytest.mark.parametrize("kind", ["users", "challenges"])
def test_held_out_name_that_is_not_hidden_leaks(grid, manifest_of, plant, split, kind):
    manifest = manifest_of(grid, split)
    found = plant(manifest, lambda _: {f"hidden_{kind}": frozenset()})
    if split in ("cold_user", "cold_challenge") and kind not in split + "s":
        assert found == {}
        return
    [[finding]] = found.values()
    assert finding.severity == "leak"
    assert f"hidden_{kind} lacks" in finding.what
    first = next(iter(manifest.folds.values()))
    assert {*finding.where[kind]} <= getattr(first, f"hidden_{kind}")


def test_a_label_window_that_reaches_into_the_test_leaks(grid, manifest_of):
    manifest = manifest_of(grid, "temporal")
    late = 1_600_000_000 - 86_400
    cutoffs = manifest.grid.user_cutoffs
    moved = tuple(late if c < 1_600_000_000 else c for c in cutoffs)
    planted = replace(manifest, grid=replace(manifest.grid, user_cutoffs=moved))
    *_, check = check_divisions("m.json", planted)
    assert [f.severity for f in check.findings] == ["leak", "leak"]
    assert f"cutoffs {late} (UTC seconds) end after" in check.findings[0].what


def test_check_without_a_horizon_is_skipped(grid, manifest_of):
    manifest = manifest_of(grid, "temporal")
    settings = {k: v for k, v in manifest.grid.settings.items() if k != "horizon_days"}
    *_, check = check_divisions(
        "m.json", replace(manifest, grid=replace(manifest.grid, settings=settings))
    )
    assert check.not_run == "the manifest states no horizon_days"
