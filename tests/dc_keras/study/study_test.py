from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from dc_keras.errors import DataError
from dc_keras.study.study import Challenge, Study, parse_cutoff

_STUDIES = Path(__file__).parents[3] / "studies"


def _load(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return Study.load(path)


_MINIMAL = '[study]\nname = "s"\n[challenges.a]\nhashtags = ["a"]\n'


def test_a_minimal_study_has_the_stated_defaults(tmp_path):
    study = _load(tmp_path, _MINIMAL)
    assert study == Study("s", (Challenge("a", ("a",), (), ("a",)),))
    assert study.settings() == {
        "name": "s",
        "history_max": 8,
        "history_min": 1,
        "min_participations": 1,
        "cutoff": None,
        "pool_fraction": 0.25,
        "support_max": 1000,
        "support_order": "newest",
    }


def test_the_papers_study_names_its_eleven_challenges():
    study = Study.load(_STUDIES / "paper.toml")
    assert len(study.challenges) == 11
    tags = {challenge.hashtags for challenge in study.challenges}
    assert {("karenchallenge",), ("boredinthehouse",), ("godaddygo",)} <= tags
    assert (study.history_max, study.history_min, study.min_participations) == (8, 8, 3)
    assert study.cutoff is None


def test_the_example_study_loads():
    assert Study.load(_STUDIES / "example.toml").name == "example"


# 2020-12-19 00:00 UTC is 1608336000.
@pytest.mark.parametrize(
    "value",
    [
        "2020-12-19",
        date(2020, 12, 19),
        datetime(2020, 12, 19, tzinfo=UTC),
        "2020-12-19T08:00:00+08:00",
        1608336000,
    ],
)
def test_cutoff_is_parsed_to_utc_seconds(value):
    assert parse_cutoff(value) == 1608336000


@pytest.mark.parametrize(
    "value",
    ["yesterday", "2020-12-19T08:00:00", datetime(2020, 12, 19), 1.5, True, None],
)
def test_invalid_cutoff_is_refused(value):
    with pytest.raises(DataError, match="`cutoff` must be a date such as 2020-12-19"):
        parse_cutoff(value)
    with pytest.raises(DataError, match=r"`start` must be .* Received: start="):
        parse_cutoff(value, "start")


@pytest.mark.parametrize(
    "cutoff", ['"2020-12-19"', "2020-12-19", "2020-12-19T00:00:00Z"]
)
def test_toml_dates_and_texts_are_cutoffs(tmp_path, cutoff):
    text = _MINIMAL.replace('"s"\n', f'"s"\ncutoff = {cutoff}\n')
    assert _load(tmp_path, text).cutoff == 1608336000


def test_overrides_replace_settings_and_are_checked(tmp_path):
    study = _load(tmp_path, _MINIMAL)
    assert study.with_settings(history_max=3, cutoff="2020-12-19").cutoff == 1608336000
    assert study.with_settings(cutoff=None).cutoff is None
    with pytest.raises(DataError, match=r"the overrides may only have .* historymax"):
        study.with_settings(historymax=3)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("history_max = 0", "`history_max` must be a whole number, at least 1"),
        ("history_max = 2.5", "`history_max` must be a whole number"),
        ("history_max = true", "`history_max` must be a whole number"),
        ('history_max = "8"', "`history_max` must be a whole number"),
        ("history_min = 9", "`history_min` must be a whole number, between 1 and 8"),
        ("min_participations = 2", "`min_participations` .* between 0 and 1"),
        ("pool_fraction = 1.0", "`pool_fraction` must lie between 0 and 1"),
        ("pool_fraction = 0", "`pool_fraction` must lie between 0 and 1"),
        ('pool_fraction = "a"', "`pool_fraction` must be a number"),
        ("support_max = 0", "`support_max` must be a whole number, at least 1"),
        ('support_order = "oldest"', "`support_order` must be one of newest, views"),
        ("histroy_max = 8", r"\[study\] may only have .* Received: histroy_max"),
        ('cutoff = "soon"', "`cutoff` must be a date"),
    ],
)
def test_invalid_setting_is_refused_with_the_file_name(tmp_path, setting, message):
    text = _MINIMAL.replace('"s"\n', f'"s"\n{setting}\n')
    with pytest.raises(DataError, match=f"study.toml: {message}"):
        _load(tmp_path, text)


def test_a_missing_study_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"mine\.toml: there is no such study file"):
        Study.load(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[study", "not TOML"),
        ("", r"\[study\] with a `name` is missing"),
        ("[study]\n", r"\[study\] with a `name` is missing"),
        ('[study]\nname = ""\n[challenges.a]\nsounds=["1"]', "`name` must be a text"),
        ('[study]\nname = "s"\n', r"at least one \[challenges.NAME\] is needed"),
        (
            '[study]\nname = "s"\n[challenges]\n',
            "a study must have at least one challenge",
        ),
        (_MINIMAL + "[extra]\n", "the file may only have study, challenges"),
        (
            _MINIMAL + '[challenges.b]\nhashtags = ["#A"]\n',
            "a hashtag must belong to one challenge. Received: 'a' in a and in b",
        ),
        (
            _MINIMAL + 'sounds = ["1"]\n[challenges.b]\nsounds = ["1"]\n',
            "a sound must belong to one challenge",
        ),
    ],
)
def test_invalid_file_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=f"study.toml: {message}"):
        _load(tmp_path, text)
