import os
import signal
import subprocess
import sys
import time

import pytest

from dc_keras.errors import DataError
from tfrecords.storage.locking import find_places, writing

_HOLD = """
import sys, time
from pathlib import Path
from tfrecords.storage.locking import writing
with writing(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""
_RACE = """
import sys, time
from pathlib import Path
from dc_keras.errors import DataError
from tfrecords.storage.locking import writing
print("ready", flush=True)
sys.stdin.readline()
try:
    with writing(Path(sys.argv[1])):
        print("won", flush=True)
        time.sleep(1)
except DataError:
    print("told", flush=True)
"""


def _start(code, place):
    return subprocess.Popen(
        [sys.executable, "-c", code, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_second_writer_is_refused_with_the_process_id(tmp_path):
    place = tmp_path / "deep" / "corpus"
    same = tmp_path / "deep" / "x" / ".." / "corpus"
    with writing(place):
        rule = rf"process={os.getpid()}, lock="
        with pytest.raises(DataError, match=rule), writing(same):
            pass
        with writing(tmp_path / "deep" / "other"):
            pass
    assert list((tmp_path / "deep").iterdir()) == []
    with writing(place):
        pass


def test_the_lock_file_of_a_killed_process_has_no_effect(tmp_path):
    place = tmp_path / "corpus"
    with _start(_HOLD, place) as holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(DataError, match=f"process={holder.pid}"), writing(place):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (tmp_path / ".corpus.lock").exists()
    with writing(place):
        pass
    assert list(tmp_path.iterdir()) == []


def test_of_many_writers_that_start_at_once_one_wins(tmp_path):
    writers = [_start(_RACE, tmp_path / "corpus") for _ in range(8)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    told = [writer.communicate()[0] for writer in writers]
    assert sorted(told) == ["told\n"] * 7 + ["won\n"]


def test_places_are_given_back_when_one_of_them_is_taken(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    with writing(second):
        with pytest.raises(DataError, match="another process"), writing(first, second):
            pass
        with writing(first):
            time.sleep(0)


def test_places_with_a_lock_file_are_found(tmp_path):
    place, other = tmp_path / "run", tmp_path / "run/deep/corpus"
    assert list(find_places(place)) == []
    with writing(place, other, tmp_path / "beside"):
        (place / ".foreign.lock").write_text("host 5")
        assert set(find_places(place)) == {place, other}
    (place / ".killed.lock").write_text("12345")
    assert list(find_places(place)) == [place / "killed"]
