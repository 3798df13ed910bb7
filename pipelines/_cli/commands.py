"""The console command `dc-keras COMMAND --flags`, which runs a script of pipelines/.

    dc-keras                 lists the commands
    dc-keras help COMMAND    explains a command and its flags
    dc-keras --version       prints the version

`presets/NAME` and `studies/NAME` in a flag stand for the files that come with the
package where the working directory has no such file.
"""

from __future__ import annotations

import ast
import difflib
import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from dc_keras.version import __version__
from pipelines._cli import app

_PIPELINES = Path(__file__).parents[1]
_PACKED_FLAG = re.compile(r"(--\w+=)((?:presets|studies)/[\w.]+)")


def main() -> int:
    """Runs the command that `sys.argv` names; returns the exit code."""
    words = sys.argv[1:]
    # Errors begin with it, also under `python -m pipelines`.
    sys.argv[0] = "dc-keras"
    if not words or words[0] in ("help", "--help", "-h"):
        if len(words) < 2:
            _list()
            return 0
        words = [words[1], "--help"]
    if words[0] == "--version":
        app.say(__version__)
        return 0
    name = words[0].replace("-", "_")
    commands = _commands()
    if name not in commands:
        return app.fail(_unknown(words[0], list(commands)), 2)
    sys.argv = [f"dc-keras {name}", *map(_with_packed_file, words[1:])]
    # As `python -m` does: the command ends the process itself.
    runpy.run_module(f"pipelines.{name}", run_name="__main__", alter_sys=True)
    return 0


def find_packed(name: str) -> Path | None:
    """Returns a file that comes with the package; None where there is none."""
    in_checkout = _PIPELINES.parent / name
    if in_checkout.exists():
        return in_checkout
    from importlib.metadata import distribution

    for path in distribution("dc_keras").files or ():
        if path.as_posix().endswith(f"share/dc_keras/{name}"):
            return Path(str(path.locate()))
    return None


def _commands() -> dict[str, Path]:
    paths = sorted(_PIPELINES.glob("*.py"))
    return {path.stem: path for path in paths if not path.stem.startswith("_")}


def _list() -> None:
    commands = _commands()
    width = max(map(len, commands))
    app.say("dc-keras COMMAND --flags; `dc-keras help COMMAND` explains a command:")
    app.say()
    for name, path in commands.items():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        app.say(f"  {name:<{width}}  {text.partition(chr(10))[0]}")
    preset = find_packed("presets/default.flags")
    if preset is not None:
        app.say()
        app.say(f"Presets and example studies: {preset.parents[1].resolve()}")


def _unknown(name: str, commands: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.replace("-", "_"), commands, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}`dc-keras` lists the commands. Received: command={name}"


def _with_packed_file(word: str) -> str:
    match = _PACKED_FLAG.fullmatch(word)
    if match is None or Path(match[2]).exists():
        return word
    packed = find_packed(match[2])
    return word if packed is None else f"{match[1]}{packed}"
