import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from dc_keras.errors import DataError
from pipelines._cli import app
from pipelines._cli.app import describe_system_error
from tfrecords.storage.locking import writing

_ROOT = Path(__file__).parents[3]

_OBEYED = "\x1b]0;owned\x07\x9b2J\u202e"
_SHOWN = r"\u001b]0;owned\u0007\u009b2J\u202e"
_OF_A_CHILD = """
import os, signal, tempfile
tempfile.mkstemp()
os.kill(os.getpid(), signal.SIGKILL)
"""


def _leave_files(end):
    """Returns a `main` that leaves temporary files, also in a child that is killed."""
    places = []

    def main():
        places.append(Path(tempfile.gettempdir()))
        tempfile.mkdtemp()
        subprocess.run([sys.executable, "-c", _OF_A_CHILD], check=False)
        assert len([path for path in places[0].iterdir() if path.suffix == ""]) == 3
        return end()

    return main, places


def _fail():
    raise DataError("no such thing")


def _break():
    raise ZeroDivisionError


@pytest.mark.parametrize("variable", ["set", None])
@pytest.mark.parametrize(("end", "code"), [(lambda: None, None), (_fail, 1)])
def test_a_script_leaves_no_temporary_file(tmp_path, monkeypatch, end, code, variable):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if variable is None:
        monkeypatch.delenv("TMPDIR")
    else:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
    main, places = _leave_files(end)
    assert app._guarded(main, ["script"], None, None, locks=False) == code
    assert places[0].parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == str(tmp_path)
    assert os.environ.get("TMPDIR") == (None if variable is None else str(tmp_path))


def test_a_script_that_breaks_leaves_no_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    main, _ = _leave_files(_break)
    with pytest.raises(ZeroDivisionError):
        app._guarded(main, ["script"], None, None, locks=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_script_that_is_asked_to_end_cleans_up(tmp_path, monkeypatch, capsys, number):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = signal.getsignal(number)
    main, _ = _leave_files(lambda: os.kill(os.getpid(), number))
    code = app._guarded(main, ["script"], None, None, locks=False)
    assert code == 128 + number
    assert "error: stopped; run the same command to go on\n" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) == before


def test_temporary_files_of_a_killed_script_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    names = ("dc-killed", "dc-running", "dc-starting", "dc-of-another", "other")
    for name in names:
        (tmp_path / name / "inside").mkdir(parents=True)
    for name in ("dc-killed", "dc-running", "dc-starting"):
        (tmp_path / name / ".running").touch()
    for name in ("dc-killed", "dc-running"):
        os.utime(tmp_path / name / ".running", (0, 0))
    with (tmp_path / "dc-running" / ".running").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        app._guarded(lambda: None, ["script"], None, None, locks=False)
    assert {path.name for path in tmp_path.iterdir()} == {*names} - {"dc-killed"}


def test_warnings_of_the_libraries_are_plain_lines(capfd, monkeypatch):
    def main():
        logging.getLogger("tfrecords.storage.integrity").warning("no checksums")
        logging.getLogger("dc_keras.corpus").warning("no posts")

    for name in ("dc_keras", "tfrecords"):
        log = logging.getLogger(name)
        monkeypatch.setattr(log, "propagate", log.propagate)
        monkeypatch.setattr(log, "handlers", log.handlers)
    app._guarded(main, ["script"], None, None, locks=False)
    assert capfd.readouterr().err == "no checksums\nno posts\n"


@pytest.mark.parametrize(
    "tell", [app.say, app.progress, lambda text: app.fail(text, 1)]
)
def test_control_characters_are_escaped_in_one_line(tell, capsys):
    tell(f"a caption {_OBEYED}\nand error: nothing is wrong\r\ud83d")
    told = "".join(capsys.readouterr())
    assert told.endswith(
        rf"a caption {_SHOWN}\nand error: nothing is wrong\r\ud83d" + "\n"
    )
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "start"),
    [("/x/predict.py", "python -m pipelines."), ("dc-keras predict", "dc-keras ")],
)
def test_the_next_command_can_be_copied_and_is_no_result(
    capsys, monkeypatch, script, start
):
    monkeypatch.setattr(sys, "argv", [script])
    app.suggest("explain", user="u_1", output=Path("a b"))
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"next: {start}explain --user=u_1 --output='a b'\n")


def test_a_name_that_is_not_utf8_is_refused_where_no_library_opens_it():
    for name, wanted in (("output", "be UTF-8"), ("input", None)):
        flag = SimpleNamespace(name=name, value="w1/\udcff")
        assert app._find_broken_rule(flag) == wanted


def test_a_file_in_place_of_a_directory_is_named(tmp_path):
    file, directory = tmp_path / "file", tmp_path / "directory"
    file.touch()
    directory.mkdir()
    for call in (
        file.mkdir,
        lambda: (file / "a" / "b").mkdir(parents=True),
        (file / "SHA256SUMS").read_bytes,
        lambda: directory.rename(file),
    ):
        with pytest.raises(OSError) as caught:
            call()
        told = describe_system_error(caught.value)
        assert told == f"{file} must be a directory. Received: a file"
    for call in (directory.read_bytes, lambda: file.rename(directory)):
        with pytest.raises(OSError) as caught:
            call()
        told = describe_system_error(caught.value)
        assert told == f"{directory} must be a file. Received: a directory"


def test_a_command_with_an_unknown_value_is_not_suggested(capsys, tmp_path):
    bundle = tmp_path / "export"
    app.suggest("predict", bundle=bundle, corpus=app.find_corpus(bundle))
    assert capsys.readouterr().err == ""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "corpus.json").write_text("{}", "utf-8")
    app.suggest("predict", bundle=bundle, corpus=app.find_corpus(bundle))
    assert f"--corpus={tmp_path}/corpus" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["--corpus=c"], "--bundle is required"),
        ([], "--bundle is required; --corpus is required"),
        (["--bundle=b", "--bundel=c"], "Unknown command line flag 'bundel'. Did you"),
    ],
)
def test_wrong_flags_are_one_line_that_names_the_help(run_script, given, wanted):
    done = run_script("predict", *given)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"predict: error: {wanted}")
    assert line.endswith("; --help explains the flags")


def test_several_lines_are_shown_as_such(capsys):
    app.show(f"a table\n  {_OBEYED}")
    assert capsys.readouterr().out == f"a table\n  {_SHOWN}\n"


@pytest.mark.parametrize(
    ("name", "place", "flags"),
    [
        ("simulate", "out", ["--output=out"]),
        ("collect", "out", ["--output=out", "--hashtag=dance"]),
        ("demo", "out", ["--workdir=out"]),
        ("predict", "out.csv", ["--bundle=b", "--corpus=c", "--output=out.csv"]),
        ("rank", "out.csv", ["--bundle=b", "--corpus=c", "--output=out.csv"]),
        ("explain", "out", ["--bundle=b", "--corpus=c", "--user=u"]),
        ("add_challenge", "b", ["--bundle=b", "--challenge=new", "--brief=x"]),
    ],
)
def test_a_second_writer_is_refused(
    fails_in_one_line, tmp_path, monkeypatch, name, place, flags
):
    monkeypatch.chdir(tmp_path)
    bundle = tmp_path / "b" / "1"
    bundle.mkdir(parents=True)
    (bundle / "saved_model.pb").touch()
    if name == "explain":
        flags = [*flags, "--challenge=x", "--output=out"]
    flags = [flag.replace("=b", f"={tmp_path}/b") for flag in flags]
    flags = [flag.replace("=out", f"={tmp_path}/out") for flag in flags]
    with writing(tmp_path / place):
        line = fails_in_one_line(name, *flags)
    assert line.startswith(
        f"{tmp_path / place}: another process is writing there; wait"
    )


@pytest.mark.long
def test_of_simultaneous_writers_one_succeeds_and_the_others_fail(tmp_path):
    flags = ["--users=6", "--challenges=2", "--workers=1"]

    def start(place):
        command = [sys.executable, "-m", "pipelines.simulate", f"--output={place}"]
        return subprocess.Popen(
            [*command, *flags], cwd=_ROOT, stderr=subprocess.PIPE, text=True
        )

    alone = start(tmp_path / "alone")
    alone.communicate()
    assert alone.returncode == 0
    writers = [start(tmp_path / "world") for _ in range(6)]
    told = [writer.communicate()[1] for writer in writers]
    codes = [writer.returncode for writer in writers]
    assert 0 in codes
    for code, text in zip(codes, told, strict=True):
        if code:
            assert code == 1
            assert text.count("\n") == 1
            assert "another process is writing there" in text
    for path in (tmp_path / "alone").rglob("*"):
        if path.is_file():
            other = tmp_path / "world" / path.relative_to(tmp_path / "alone")
            assert other.read_bytes() == path.read_bytes()
    assert not list(tmp_path.glob(".*.lock"))


def test_a_missing_extra_is_one_line():
    with (
        pytest.raises(
            DataError,
            match=r"extra `report`: pip install 'dc_keras\[report\]'. Received",
        ),
        app.requiring_report_extra(),
    ):
        raise ImportError("No module named 'jinja2'")


# A disk that is full: no file may have more than a few bytes.
_ON_A_FULL_DISK = """
import resource, sys
import polars as pl
from pathlib import Path
from types import SimpleNamespace
from tfrecords.storage.atomic_update import write_table, write_text
from pipelines._cli.app import describe_system_error
pl.DataFrame({"a": [0]}).write_parquet("/dev/null")
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
for write in (
    lambda path: write_text(path, "x" * 1000),
    lambda path: write_table(path, pl.DataFrame({"a": range(1000)})),
):
    try:
        write(Path(sys.argv[1]))
    except Exception as error:
        print(repr(describe_system_error(error)))
"""


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP]
)
def test_what_the_system_refuses_is_one_line(number):
    error = OSError(number, os.strerror(number), "/some/where")
    assert describe_system_error(error) == f"/some/where: {os.strerror(number).lower()}"


def test_names_that_are_not_utf8_are_reported():
    error = FileNotFoundError(errno.ENOENT, "No such file", b"/m\xfcller")
    assert describe_system_error(error) == "/m\udcfcller: no such file"


def test_errors_of_libraries_about_files_are_one_line():
    error = pl.exceptions.ComputeError("cannot write\n  No space left on device")
    assert describe_system_error(error) == "cannot write No space left on device"
    assert (
        describe_system_error(pl.exceptions.ComputeError("a mistake of ours")) is None
    )


def test_mistakes_of_ours_keep_their_traceback():
    assert describe_system_error(ValueError("No space left on device")) is None
    assert describe_system_error(KeyError("x")) is None


def test_a_full_disk_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path / "file")],
        capture_output=True,
        text=True,
        check=True,
    )
    told = done.stdout.splitlines()
    assert len(told) == 2
    assert all("ile too large" in line for line in told), told
