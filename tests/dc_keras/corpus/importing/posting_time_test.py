import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st

from dc_keras.corpus.importing.posting_time import (
    find_unconfirmed,
    posting_time,
    time_of_id,
)

_POSTED = 1_600_000_000
_ID = str((_POSTED << 32) + 77)  # 6871947673600000077
_DAY = 86_400


def test_an_id_contains_its_posting_time():
    assert time_of_id("6871947673600000077") == 1_600_000_000


@pytest.mark.parametrize(
    ("given", "time", "notes"),
    [
        (_POSTED, _POSTED, []),
        (_POSTED + 40, _POSTED + 40, []),  # uploaded, then published
        (None, _POSTED, ["create_time_from_id"]),
        # Local times: UTC-7, UTC+5:45, UTC+14.
        (_POSTED - 25_200, _POSTED, ["local.create_time"]),
        (_POSTED + 20_701, _POSTED, ["local.create_time"]),
        (_POSTED + 50_400, _POSTED, ["local.create_time"]),
        # Not a multiple of 15 minutes, not the offset of a zone, not more than a day.
        (_POSTED + 25_300, _POSTED + 25_300, []),
        (_POSTED + 54_000, _POSTED + 54_000, []),
        (_POSTED + 2 * _DAY, _POSTED + 2 * _DAY, ["id_time_mismatch"]),
        # Milliseconds, and a time before the platform existed.
        (
            1000 * _POSTED,
            _POSTED,
            ["implausible.create_time", "create_time_from_id"],
        ),
        (0, _POSTED, ["implausible.create_time", "create_time_from_id"]),
    ],
)
def test_the_given_time_is_validated_with_the_id(given, time, notes):
    noted = []
    assert posting_time(_ID, given, noted) == time
    assert noted == notes


@pytest.mark.parametrize(
    ("given", "time", "notes"),
    [
        (_POSTED, _POSTED, []),
        (None, None, ["unknown.create_time"]),
        (2**60, None, ["implausible.create_time", "unknown.create_time"]),
    ],
)
def test_an_id_without_a_time_validates_nothing(given, time, notes):
    noted = []
    assert posting_time("123", given, noted) == time
    assert noted == notes


_OFFSETS = st.integers(-400, 400) | st.integers(-3 * _DAY, 3 * _DAY)
_TIMES = st.none() | st.integers(0, 2**63 - 1) | _OFFSETS.map(_POSTED.__add__)


@given_by(times=st.lists(_TIMES), video_id=st.sampled_from([_ID, "123", "9" * 19]))
def test_confirmed_times_are_kept_as_given(times, video_id):
    doubtful = find_unconfirmed([video_id] * len(times), times)
    assert doubtful == sorted(set(doubtful))
    for row, given in enumerate(times):
        if row not in doubtful:
            noted = []
            assert posting_time(video_id, given, noted) == given is not None
            assert noted == []


def test_missing_or_differing_times_are_unconfirmed():
    times = [_POSTED, None, _POSTED + 300, _POSTED + 301, _POSTED - 300, 0]
    assert find_unconfirmed([_ID] * 6, times) == [1, 3, 5]
    assert find_unconfirmed(["123"], [_POSTED]) == [0]
