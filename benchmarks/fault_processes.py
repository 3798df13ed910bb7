"""Kills commands, and starts them several times at the same moment."""

from __future__ import annotations

import random
import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.fault_commands import Command, Contents, long_commands
from benchmarks.forked_scripts import Ended, ForkedScripts

# What was tried, how often, how often it held, and what happened otherwise.
Row = tuple[str, int, int, str]

# TensorFlow's own messages, and empty lines.
_OTHER_LINES = re.compile(r"WARNING: All log messages|[EIW]0000 00:00:|To enable the|$")


class Faults:
    """Kills and starts the commands of `long_commands` on copies of a run.

    Args:
        run: as for `long_commands`.
        work: directory for everything that is written.
        key: key file of the pseudonyms.
        tell: called with a line after each kill.
    """

    def __init__(
        self,
        run: Path,
        work: Path,
        key: Path,
        tell: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._tell = tell
        self._work, self._place = work, work / "place" / "result"
        self._scripts = ForkedScripts(work / "processes")
        half, ids = self._prepare(run, key)
        self.commands = long_commands(run, key, half, ids, work / "receipt.json")

    def kill(self, name: str, number: int, rng: random.Random) -> Row:
        """Kills a command, runs it again, and compares.

        Half of the kills are at changes that `PowerCut` counts, drawn without
        repetition; the others happen at random moments. A kill held if the second run
        left the files of an undisturbed run.
        """
        command = self.commands[name]
        wanted, ended = self._undisturbed(command)
        num_changes = ended.num_changes or 0
        cuts = rng.sample(range(num_changes), min(num_changes, number // 2))
        held, other = 0, ""
        for trial in range(number):
            if trial < len(cuts):
                given = command.prepare(self._place)
                self._scripts.run(given, cut_at=cuts[trial])
                moment = f"change {cuts[trial]}"
            else:
                moment = self._kill_at_random(command, ended.seconds, rng)
            again = self._scripts.run(command.of(self._place))
            fault = _difference(again, command.result(self._place), wanted)
            held += fault is None
            other = other if fault is None else f"{moment}: {fault}"
            self._tell(f"{name}, {trial + 1} of {number}, {moment}: {fault or 'held'}")
        return (
            f"kill of {name}, at {len(cuts)} of {num_changes} changes of the disk and "
            f"{number - len(cuts)} random moments of {ended.seconds:.1f} s",
            number,
            held,
            other,
        )

    def start_together(self, name: str, number: int) -> Row:
        """Starts a command several times at the same moment.

        A process held if it wrote, or was told in one line that another process writes;
        none held if none wrote, or what is left is not what one process leaves.
        """
        command = self.commands[name]
        wanted, _ = self._undisturbed(command)
        given = command.prepare(self._place)
        together = self._scripts.run_together(given, number)
        ends = Counter(_how(ended) for ended in together)
        is_whole = ends["wrote"] > 0 and command.result(self._place) == wanted
        held = ends["wrote"] + ends["told"] if is_whole else 0
        return (
            f"start of {name}, {number} at once: {ends['wrote']} wrote, "
            f"{ends['told']} were told",
            number,
            held,
            "" if held == number else f"{dict(ends)}, whole: {is_whole}"[-200:],
        )

    def _undisturbed(self, command: Command) -> tuple[Contents, Ended]:
        ended = self._scripts.run(command.prepare(self._place))
        if ended.code != 0:
            raise RuntimeError(f"{command.parts[0]} failed undisturbed: {ended.stderr}")
        return command.result(self._place), ended

    def _kill_at_random(
        self, command: Command, seconds: float, rng: random.Random
    ) -> str:
        while True:
            after, given = rng.uniform(0, seconds), command.prepare(self._place)
            ended = self._scripts.start(given).kill_after(after)
            if ended.code == -signal.SIGKILL:
                return f"{after:.2f} s"
            seconds = ended.seconds  # it was quicker than the undisturbed run

    def _prepare(self, run: Path, key: Path) -> tuple[Path, Path]:
        """Makes a corpus of half of the posts, and a list of posts to be forgotten."""
        import polars as pl

        self._work.mkdir(parents=True, exist_ok=True)
        items = (run / "world" / "items.ndjson").read_bytes().splitlines(keepends=True)
        part, half = self._work / "half.ndjson", self._work / "half"
        part.write_bytes(b"".join(items[::2]))
        inputs = (f"--input={part}", f"--media_root={run}/world/media")
        ended = self._scripts.run(
            ["import_corpus", *inputs, f"--corpus={half}", f"--key_file={key}"]
        )
        if ended.code != 0:
            raise RuntimeError(f"half of the posts cannot be imported: {ended.stderr}")
        ids = self._work / "ids.txt"
        videos = pl.read_parquet(run / "corpus" / "videos.parquet")
        ids.write_text(f"{videos['video_id'][0]}\n", "utf-8")
        return half, ids


def _how(ended: Ended) -> str:
    if ended.code == 0:
        return "wrote"
    lines = ended.stderr.splitlines()
    lines = [line for line in lines if not _OTHER_LINES.match(line)]
    is_told = len(lines) == 1 and "another process is writing" in lines[0]
    return "told" if is_told else f"exit code {ended.code}: {lines[-1:]}"


def _difference(ended: Ended, found: Contents, wanted: Contents) -> str | None:
    """Returns how a second run differs from an undisturbed one, or None."""
    if ended.code != 0:
        return f"exit code {ended.code}: {ended.stderr.splitlines()[-1:]}"[:200]
    names = [n for n in {**found, **wanted} if found.get(n) != wanted.get(n)]
    return f"other bytes in {', '.join(names[:3])}" if names else None
