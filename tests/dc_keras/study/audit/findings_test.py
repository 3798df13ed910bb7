import json

import pytest

from dc_keras.study.audit.findings import Check, Finding, Report, named, places

_LEAK = Finding(
    "leak", "label in the input", "hide it", places(users=["b", "a", "a"], folds=[])
)
_WARNING = Finding("warning", "look", "well")


def _report(*findings):
    check = Check("tales", "study.toml", "posts", 7, findings)
    skipped = Check.skipped("copies", "study.toml", "no frames")
    return Report((check, skipped))


@pytest.mark.parametrize(
    ("findings", "is_sound"),
    [((), True), ((_WARNING,), True), ((_WARNING, _LEAK), False)],
)
def test_warnings_alone_are_sound(findings, is_sound):
    assert _report(*findings).is_sound is is_sound
    assert not Report(
        (Check("x", "y", "z", 1, (Finding("fault", "a", "b"),)),)
    ).is_sound


def test_counts_list_all_checks_and_reasons_for_skipped_ones():
    assert _report().describe_counts().splitlines() == [
        "study.toml",
        "  tales   checked 7 posts, found 0",
        "  copies  not run: no frames",
    ]
    counts = _report(_WARNING, _LEAK, _WARNING).describe_counts()
    assert "found 3 (1 leak, 2 warnings)" in counts
    assert _report(_LEAK).describe_verdict() == (
        "2 checks, 1 of them not run: found 1 (1 leak)"
    )


def test_worst_findings_come_first_and_the_rest_is_counted():
    lines = _report(*[_WARNING] * 20, _LEAK).describe_findings().splitlines()
    assert lines == [
        "leak: study.toml: label in the input",
        "    hide it",
        *["warning: study.toml: look", "    well"] * 19,
        "    … and 1 more of tales",
    ]


def test_json_holds_every_finding():
    content = json.loads(_report(_LEAK, _WARNING).to_json())
    assert content["is_sound"] is False
    assert content["checks"][0]["num_checked"] == 7
    assert content["checks"][0]["findings"][0]["where"] == {"users": ["a", "b"]}
    assert content["checks"][1]["not_run"] == "no frames"


def test_long_lists_of_names_are_shortened():
    assert named("cab") == "a, b, c"
    assert named("gfedcbaa") == "a, b, c, d, e and 2 more"
