import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dc_keras.errors import DataError
from pipelines import app

_OBEYED = "\x1b]0;owned\x07\x9b2J\u202e"
_SHOWN = r"\u001b]0;owned\u0007\u009b2J\u202e"
_OF_A_CHILD = """
import os, signal, tempfile
tempfile.mkstemp()
os.kill(os.getpid(), signal.SIGKILL)
"""


def _leave_files(end):
    """Returns a script's `main` that leaves files, in a child that is killed too."""
    places = []

    def main():
        places.append(Path(tempfile.gettempdir()))
        tempfile.mkdtemp()
        subprocess.run([sys.executable, "-c", _OF_A_CHILD], check=False)
        assert len(list(places[0].iterdir())) == 2
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
    assert app._guarded(main, ["script"], None) == code
    assert places[0].parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == str(tmp_path)
    assert os.environ.get("TMPDIR") == (None if variable is None else str(tmp_path))


def test_a_script_that_breaks_leaves_no_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    main, _ = _leave_files(_break)
    with pytest.raises(ZeroDivisionError):
        app._guarded(main, ["script"], None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "tell", [app.say, app.progress, lambda text: app.fail(text, 1)]
)
def test_a_line_is_one_line_that_no_terminal_obeys(tell, capsys):
    tell(f"a caption {_OBEYED}\nand error: nothing is wrong\r\ud83d")
    told = "".join(capsys.readouterr())
    assert told.endswith(
        rf"a caption {_SHOWN}\nand error: nothing is wrong\r\ud83d" + "\n"
    )
    assert told.count("\n") == 1


def test_several_lines_are_shown_as_such(capsys):
    app.show(f"a table\n  {_OBEYED}")
    assert capsys.readouterr().out == f"a table\n  {_SHOWN}\n"
