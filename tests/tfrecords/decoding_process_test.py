import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfrecords import decoding_process
from tfrecords.decoding_process import DecodingProcess
from tfrecords.errors import MediaError
from tfrecords.frame_sampling import SamplingConfig, sample_media

_ROOT = Path(__file__).parents[2]
_CONFIG = SamplingConfig(num_frames=4, image_size=32, fps=2.5, resize="crop")


def _assert_equal(ours, theirs):
    for name in ("timestamps_us", "jpegs", "duration_us", "source_num_frames"):
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.fixture
def process():
    with DecodingProcess() as made:
        yield made


def test_frames_are_those_of_this_process(tmp_path, write_clip, process):
    clip = write_clip(tmp_path / "é\udcff 'x'.mp4", 30)
    for is_slideshow, files in ((False, [clip]), (True, [clip, clip])):
        here = sample_media(files, _CONFIG, is_slideshow=is_slideshow)
        there = process.sample(files, _CONFIG, is_slideshow=is_slideshow)
        _assert_equal(there, here)


def test_reasons_are_those_of_this_process(tmp_path, process):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    for name in ("bad.mp4", "missing.mp4"):
        with pytest.raises(MediaError) as here:
            sample_media([tmp_path / name], _CONFIG, is_slideshow=False)
        with pytest.raises(MediaError) as there:
            process.sample([tmp_path / name], _CONFIG, is_slideshow=False)
        assert str(there.value) == str(here.value)
        assert there.value.name == name


def test_a_crash_takes_the_process_and_names_the_file(
    tmp_path, write_clip, process, monkeypatch
):
    monkeypatch.setattr(decoding_process, "_SERVER", "crashing_decoder")
    good = write_clip(tmp_path / "good.mp4", 10)
    for name in ("crash.mp4", "large.mp4", "once.mp4"):
        shutil.copy(good, tmp_path / name)
    expected = sample_media([good], _CONFIG, is_slideshow=False)
    for name in ("crash.mp4", "large.mp4"):
        with pytest.raises(MediaError, match=rf"^{name}: crashes the decoder$"):
            process.sample([tmp_path / name], _CONFIG, is_slideshow=False)
        _assert_equal(process.sample([good], _CONFIG, is_slideshow=False), expected)
    # What goes well the second time was the machine's fault.
    once = process.sample([tmp_path / "once.mp4"], _CONFIG, is_slideshow=False)
    _assert_equal(once, expected)


def test_a_mistake_of_ours_keeps_its_traceback(tmp_path, process, monkeypatch):
    monkeypatch.setattr(decoding_process, "_SERVER", "crashing_decoder")
    with pytest.raises(
        RuntimeError, match=r"decoding failed:\n(.|\n)*KeyError: 'a mist"
    ):
        process.sample([tmp_path / "mistake.mp4"], _CONFIG, is_slideshow=False)


_ASK = """
import sys, time
from pathlib import Path
from tfrecords.decoding_process import DecodingProcess
from tfrecords.frame_sampling import SamplingConfig
process = DecodingProcess()
process.sample([Path(sys.argv[1])], SamplingConfig(num_frames=1), is_slideshow=False)
print(process._process.pid, flush=True)
time.sleep(60)
"""


def test_the_process_ends_with_the_one_that_asks(tmp_path, write_clip):
    clip = write_clip(tmp_path / "clip.mp4", 5)
    with subprocess.Popen(
        [sys.executable, "-c", _ASK, str(clip)], cwd=_ROOT, stdout=subprocess.PIPE
    ) as asking:
        decoding = int(asking.stdout.readline())
        assert _is_there(decoding)
        asking.send_signal(signal.SIGKILL)
    end = time.monotonic() + 20
    while _is_there(decoding):
        assert time.monotonic() < end, "the process that decodes goes on"
        time.sleep(0.05)


def _is_there(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_decoding_takes_no_tensorflow():
    code = (
        "import sys, tfrecords.decoding_process;"
        "sys.exit(not {'tensorflow', 'polars'}.isdisjoint(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
