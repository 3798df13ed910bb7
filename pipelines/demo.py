"""Takes a simulated world from raw posts and videos to a served answer.

    python -m pipelines.demo --workdir=demo

Runs the other commands one after another and ends with a table that compares models, a
sentence that says which of them is best, and a page that links everything that was
made. Encoders and mp4 files are real, people are invented. A demo that was stopped
continues where it was, and a second run does nothing twice.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dc_keras.errors import DataError
from pipelines._cli import app, inputs

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from pipelines._cli.command_server import CommandServer
    from pipelines._cli.demo_steps import Step

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory for everything that the demo makes.", required=True
)
_USERS = flags.DEFINE_integer("users", 120, "Number of users.", lower_bound=40)
_CHALLENGES = flags.DEFINE_integer(
    "challenges", 8, "Number of challenges.", lower_bound=2
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the world.", lower_bound=0)
_VERBOSE = flags.DEFINE_bool(
    "verbose", False, "Also prints each command and what it prints."
)

_NUM_ANSWERS = 5
_NUM_TOLD = 12  # lines of a command that failed


def main() -> None:
    """Runs every step, then shows what came of it."""
    from rich.console import Console

    from pipelines._cli.command_server import CommandServer
    from pipelines._cli.demo_results import show_results, write_index
    from pipelines._cli.demo_steps import answering_steps, fitting_steps

    start = time.monotonic()
    work = Path(_WORKDIR.value)
    work.mkdir(parents=True, exist_ok=True)
    _claim_directory(work)
    _write_key(work / "pseudonym.key")
    for name in ("logs", "steps"):
        (work / name).mkdir(exist_ok=True)
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"A synthetic world of {_USERS.value} users and {_CHALLENGES.value} challenges,"
        f" from videos to answers, in {work} (about two minutes on two cores)\n"
    )
    world = (_USERS.value, _CHALLENGES.value, _SEED.value)
    with CommandServer() as server:
        # What is asked about depends on the model's validation users.
        fitted = fitting_steps(work, *world)
        for number, step in enumerate(fitted, 1):
            _run(console, server, work, step, number)
        answers = answering_steps(work, _held_out_users(work))
        for number, step in enumerate(answers, len(fitted) + 1):
            _run(console, server, work, step, number)
    show_results(console, work / "evaluation", _answers(work))
    page = write_index(work, f"{_USERS.value} users, {_CHALLENGES.value} challenges")
    console.print(f"\nEverything that was made: {page.resolve()}")
    console.print(f"{time.monotonic() - start:.0f} s")


def _claim_directory(work: Path) -> None:
    """Refuses a directory that holds another world, which would be mixed with this."""
    from tfrecords.storage.atomic_update import write_text

    requested = (
        f"--users={_USERS.value} --challenges={_CHALLENGES.value} --seed={_SEED.value}"
    )
    path = work / "demo.txt"
    found = path.read_text("utf-8") if path.exists() else requested
    if found != requested:
        raise DataError(
            f"{work} holds the demo of {found}; choose another --workdir, or the same "
            f"world. Received: {requested}"
        )
    write_text(path, requested)


def _write_key(path: Path) -> None:
    """Derives the key from the seed, so that every demo of a world has one result.

    The key of invented people need not be secret.
    """
    if not path.exists():
        path.touch(mode=0o600)
        key = hashlib.sha256(f"demo {_SEED.value}".encode()).hexdigest()
        path.write_text(f"{key}\n", "ascii")


def _run(
    console: Console, server: CommandServer, work: Path, step: Step, number: int
) -> None:
    """Runs a step, unless the same step is complete, and prints a line about it.

    What it prints goes to `logs/`. A command that fails ends the demo.
    """
    from rich.markup import escape

    log, stamp = work / "logs" / f"{step.name}.txt", work / "steps" / step.name
    command = f"python -m pipelines.{step.command} " + " ".join(step.arguments)
    is_done = stamp.exists() and stamp.read_text("utf-8") == command
    label = f"{number:2}  {step.command:20} {step.what}"
    if is_done and (work / step.makes).exists():
        console.print(f"{label} [dim](done before)[/]")
        return
    stamp.unlink(missing_ok=True)
    if _VERBOSE.value:
        console.print(f"$ {escape(command)}")
    start = time.monotonic()
    with console.status(label):
        code = server.run(step.command, step.arguments, log)
    text = log.read_text("utf-8", errors="replace").rstrip() if log.exists() else ""
    if code != 0:
        app.show("\n".join(text.splitlines()[-_NUM_TOLD:]))
        app.progress(f"{step.command} ended with {code}; its output is in {log}")
        sys.exit(abs(code))
    if _VERBOSE.value:
        app.show(text)
    console.print(f"{label} [dim]{time.monotonic() - start:.0f} s[/]")
    stamp.write_text(command, "utf-8")


def _held_out_users(work: Path) -> list[str]:
    """Returns users whose pairs the trained model was not fitted on."""
    import polars as pl

    predictions = pl.read_parquet(work / "model" / "predictions.parquet")
    return sorted(predictions["user_id"].unique())[:_NUM_ANSWERS]


def _answers(work: Path) -> pl.DataFrame:
    """Returns some answers of the exported model beside the truth."""
    import numpy as np
    import polars as pl

    from dc_keras.corpus.store import Corpus
    from dc_keras.evaluation.known_truth import load_truth
    from dc_keras.study.resolution import resolve_study
    from dc_keras.study.study import Study

    corpus = Corpus.open(work / "corpus")
    grid = resolve_study(Study.load(work / "world" / "study.toml"), corpus)
    pseudonymizer = inputs.load_pseudonymizer(corpus, str(work / "pseudonym.key"))
    truth = load_truth(work / "world" / "truth.json", grid, pseudonymizer)
    user, challenge = np.nonzero(grid.observed)
    pairs = pl.DataFrame(
        {
            "user_id": [grid.users[u] for u in user],
            "challenge": [grid.challenges[c] for c in challenge],
            "truth": truth[user, challenge],
            "joined": grid.labels[user, challenge] == 1,
        }
    )
    served = pl.read_csv(work / "predictions.csv")
    answers = served.join(pairs, on=["user_id", "challenge"], maintain_order="left")
    shown = answers.sample(min(_NUM_ANSWERS, answers.height), seed=_SEED.value)
    return shown.sort("probability", descending=True)


if __name__ == "__main__":
    app.run(main, writes="workdir")
