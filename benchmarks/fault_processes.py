"""Scripts that are killed, and scripts that are started at once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Of a training: times, places and dates are in it.
_LEFT_OUT = ("tensorboard", "model.keras", "SHA256SUMS")
_FRAMES = ("--num_frames=2", "--image_size=32", "--num_shards=4", "--workers=1")
_VISION = ("--vision=ResNet50", "--vision_weights=random")
_SIMPLE = ("--models=simple", "--seeds=1", "--split=cold_user")


def commands(run: Path, key: Path) -> dict[str, tuple[list[str], str]]:
    """Returns the commands, with {} for the place that each writes; by its name.

    Beside each: what of the run is there before.
    """
    corpus, study = f"--corpus={run}/corpus", f"--study={run}/world/study.toml"
    items = f"--input={run}/world/items.ndjson"
    keyed = f"--key_file={key}"
    data = [corpus, study, f"--features={run}/features/vgg16"]
    small = ["--epochs=1", "--batch_size=64"]
    return {
        "import": (["import_corpus", items, "--corpus={}", keyed], ""),
        "merging import": (["import_corpus", items, "--corpus={}", keyed], "corpus"),
        "records": (
            ["write_tfrecords", corpus, "--output={}", *_FRAMES],
            "",
        ),
        "features": (
            ["extract_features", f"--records={run}/frames", "--output={}", *_VISION],
            "",
        ),
        "train": (["train", *data, *small, "--output={}"], ""),
        "evaluate": (
            ["evaluate", *data, *small, *_SIMPLE, "--output={}"],
            "",
        ),
        "export": (["export_model", f"--model={run}/model", "--output={}"], ""),
        "graph": (["build_graph", corpus, "--output={}"], ""),
        "forget": (
            ["forget", f"--ids={run}/ids.txt", keyed, "--artifacts={}"],
            "corpus",
        ),
    }


def count_kills(
    run: Path, work: Path, key: Path, number: int, rng: random.Random
) -> Iterator[tuple[str, int, int, str]]:
    """Kills each command, half at changes of names and half at random moments.

    Yields:
        A row a command: after how many kills a rerun gave the bytes of an undisturbed
        run.
    """
    _write_ids(run)
    for name, (command, before) in commands(run, key).items():
        wanted, seconds = _undisturbed(run, work / "wanted", command, before)
        held, other = 0, ""
        for trial in range(number):
            place = _fresh(run, work / "killed", before)
            full = [part.format(place) for part in command]
            if trial % 2:
                _start_killed(full, trial // 2)
            else:
                _start_stopped(full, rng.uniform(0, seconds))
            done = _run(full)
            found = _contents(place)
            if done.returncode == 0 and found == wanted:
                held += 1
            else:
                other = (done.stderr.strip().splitlines() or ["other bytes"])[-1][:80]
        yield f"kill of {name}, then a rerun", number, held, other


def count_starts(
    run: Path, work: Path, key: Path, number: int
) -> Iterator[tuple[str, int, int, str]]:
    """Starts each command several times at once.

    Yields:
        A row a command: how many won or were told who is at work, if one won and what
        it left is that of an undisturbed run.
    """
    _write_ids(run)
    for name, (command, before) in commands(run, key).items():
        wanted, _ = _undisturbed(run, work / "wanted", command, before)
        place = _fresh(run, work / "at once", before)
        full = [part.format(place) for part in command]
        processes = [_popen(full) for _ in range(number)]
        ends: Counter[str] = Counter()
        for process in processes:
            _, told = process.communicate()
            is_told = "another process is writing" in told
            won = "won" if process.returncode == 0 else told.strip()[-80:]
            ends["told" if is_told else won] += 1
        held = ends["won"] + ends["told"]
        is_whole = _contents(place) == wanted
        other = "" if held == number else str(ends)
        yield (
            f"start of {name}, {number} at once",
            number,
            held if ends["won"] and is_whole else 0,
            other,
        )


def _write_ids(run: Path) -> None:
    import polars as pl

    videos = pl.read_parquet(run / "corpus" / "videos.parquet")
    (run / "ids.txt").write_text(f"{videos['video_id'][0]}\n", "utf-8")


def _undisturbed(
    run: Path, place: Path, command: list[str], before: str
) -> tuple[dict[str, bytes], float]:
    _fresh(run, place, before)
    start = time.monotonic()
    _run([part.format(place) for part in command]).check_returncode()
    return _contents(place), time.monotonic() - start


def _fresh(run: Path, place: Path, before: str) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    if before:
        shutil.copytree(run / before, place)
    return place


def _contents(place: Path) -> dict[str, bytes]:
    """Returns what must be equal: receipts hold times, and so does what trains."""
    found = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        is_left_out = any(part in _LEFT_OUT for part in path.relative_to(place).parts)
        if path.is_file() and not is_left_out and "forget-receipt" not in name:
            found[name] = path.read_bytes()
    return found


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    full = [sys.executable, "-m", f"pipelines.{command[0]}", *command[1:]]
    return subprocess.run(full, capture_output=True, text=True, check=False)


def _popen(command: list[str]) -> subprocess.Popen[str]:
    full = [sys.executable, "-m", f"pipelines.{command[0]}", *command[1:]]
    return subprocess.Popen(
        full, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _start_killed(command: list[str], at: int) -> None:
    full = [sys.executable, "-m", "benchmarks.power_cut", str(at), *command]
    subprocess.run(full, capture_output=True, check=False)


def _start_stopped(command: list[str], seconds: float) -> None:
    process = _popen(command)
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
