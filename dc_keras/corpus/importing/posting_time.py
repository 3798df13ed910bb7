"""The posting time of a post: the time in the export, validated with the id.

The upper half of a video id is the posting time: `id >> 32`, UTC seconds. Some exports
contain local times without a zone, some no time, and some invalid times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_DAY_S = 24 * 60 * 60
# 2014-01-01: the platform had no posts before, so smaller ids contain no time.
_EARLIEST = 1_388_534_400
_LATEST = 2**32  # 2106
_SAME_S = 5 * 60
# Offsets of time zones are multiples of 15 minutes between UTC-12 and UTC+14.
_QUARTER_S = 15 * 60
_WIDEST_OFFSET_S = 14 * 60 * 60
_TOLERANCE_S = 2


def time_of_id(video_id: str) -> int:
    """Returns the posting time in a video id: `id >> 32`, UTC seconds."""
    return int(video_id) >> 32


def posting_time(video_id: str, given: int | None, notes: list[str]) -> int | None:
    """Returns the posting time, UTC seconds since 1970, or None if it is unknown.

    Args:
        video_id: digits.
        given: the time in the export, UTC seconds, or None.
        notes: extended with words for repairs and doubts: `create_time_from_id`,
            `unknown.create_time`, `implausible.create_time`, `local.create_time`
            (differs by a multiple of 15 minutes), `id_time_mismatch` (differs by more
            than a day; the time in the export is kept).
    """
    carried: int | None = time_of_id(video_id)
    if carried is not None and carried < _EARLIEST:
        carried = None
    if given is not None and not _EARLIEST <= given <= _LATEST:
        notes.append("implausible.create_time")
        given = None
    if given is None:
        notes.append("create_time_from_id" if carried else "unknown.create_time")
        return carried
    if carried is None or abs(given - carried) <= _SAME_S:
        return given
    if _is_local(given - carried):
        notes.append("local.create_time")
        return carried
    if abs(given - carried) > _DAY_S:
        notes.append("id_time_mismatch")
    return given


def find_unconfirmed(
    video_ids: Sequence[str], given: Sequence[int | None]
) -> list[int]:
    """Returns the rows whose posting time is not confirmed by the id.

    Args:
        video_ids: digits, at most 19 each.
        given: the times in the export, UTC seconds, or None.

    Returns:
        The indices, ascending. For all other rows, `posting_time` returns the given
        time and adds no note.
    """
    carried = np.array(list(map(int, video_ids)), np.uint64) >> 32
    times = np.array(given, dtype=np.float64)  # None becomes NaN
    is_plausible = (times >= _EARLIEST) & (times <= _LATEST)
    is_same = np.abs(times - carried) <= _SAME_S
    return np.flatnonzero(~(is_plausible & is_same)).tolist()


def _is_local(difference: int) -> bool:
    off = abs(difference) % _QUARTER_S
    is_whole = min(off, _QUARTER_S - off) <= _TOLERANCE_S
    return is_whole and abs(difference) <= _WIDEST_OFFSET_S + _TOLERANCE_S
