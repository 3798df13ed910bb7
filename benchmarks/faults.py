r"""Tests the guarantees of docs/reliability.md with many random faults.

    python -m benchmarks.faults --run=demo --key_file=demo/pseudonym.key

Works on copies of what `python -m pipelines.demo --workdir=demo` left behind. Prints a
table: what was tried, how often, and how often the promise held. --part picks some, and
--command picks the commands that are killed and started.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from absl import app, flags

from benchmarks.fault_processes import Faults, Row
from benchmarks.mutations import flip_bit, mutate

_PARTS = ("flips", "records", "clips", "kills", "starts")
_RUN = flags.DEFINE_string("run", "", "Directory of the demo.")
_KEY = flags.DEFINE_string("key_file", "", "Its key.")
_PART = flags.DEFINE_multi_enum("part", list(_PARTS), list(_PARTS), "What to try.")
_COMMANDS = flags.DEFINE_multi_string(
    "command", [], "Name of a command to kill and to start; all if unset."
)
_FLIPS = flags.DEFINE_integer("flips", 1000, "Flipped bits, in all.", 1)
_RECORDS = flags.DEFINE_integer("records", 20_000, "Mutated records a format.", 1)
_CLIPS = flags.DEFINE_integer("clips", 20_000, "Mutated clips.", 1)
_KILLS = flags.DEFINE_integer("kills", 100, "Kills of each command.", 1)
_STARTS = flags.DEFINE_integer("starts", 20, "Starts at once of each command.", 2)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything that is drawn.", 0)


def main(argv: list[str]) -> None:
    """Runs the chosen parts and prints the table."""
    del argv
    # Not required where they are defined: a test imports this module.
    if not _RUN.value or not _KEY.value:
        raise SystemExit("give --run and --key_file of a demo")
    rng = random.Random(_SEED.value)
    run = Path(_RUN.value)
    print("| tried | times | held | else |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as work:
        for part in dict.fromkeys(_PART.value):
            for row in _rows_of(part, run, Path(work), rng):
                print("| {} | {:,} | {:,} | {} |".format(*row), flush=True)


def _rows_of(part: str, run: Path, work: Path, rng: random.Random) -> Iterator[Row]:
    if part == "flips":
        return iter(flip_files(run, work, _FLIPS.value, rng))
    if part == "records":
        return mutate_records(work, _RECORDS.value, rng)
    if part == "clips":
        clips = sorted((run / "world" / "media").rglob("*.mp4"))
        return iter([mutate_clips(clips, work, _CLIPS.value, rng)])
    faults = Faults(
        run.resolve(),
        work / part,
        Path(_KEY.value).resolve(),
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    return _disturb(part, faults, rng)


def _disturb(part: str, faults: Faults, rng: random.Random) -> Iterator[Row]:
    for name in _COMMANDS.value or faults.commands:
        if part == "kills":
            yield faults.kill(name, _KILLS.value, rng)
        else:
            yield faults.start_together(name, _STARTS.value)


def flip_files(run: Path, work: Path, number: int, rng: random.Random) -> list[Row]:
    """Flips a bit in a file of an artifact, and opens it as the scripts do.

    Args:
        run: holds artifacts at any depth.
        work: for copies.
        number: of bits, shared out evenly among the kinds of artifacts.
        rng: draws artifacts, files and bits.

    Returns:
        A row a kind: how many were named in one line.
    """
    from dc_keras.errors import DataError
    from dc_keras.privacy.artifacts import find_artifacts
    from tfrecords.storage.integrity import verify_again

    by_kind: dict[str, list[Path]] = {}
    for artifact in find_artifacts([run]).artifacts:
        if artifact.kind in _OPENERS:
            by_kind.setdefault(artifact.kind, []).append(artifact.path)
    copies = {
        kind: [_copied(path, work / f"{kind} {i}") for i, path in enumerate(paths)]
        for kind, paths in by_kind.items()
    }
    rows = []
    for kind, places in copies.items():
        tried, held, other = max(1, number // len(copies)), 0, ""
        for _ in range(tried):
            place = rng.choice(places)
            path = rng.choice(_files_of(place))
            whole = path.read_bytes()
            path.write_bytes(flip_bit(whole, rng))
            verify_again()  # as another process would
            try:
                _OPENERS[kind](place)
                other = f"{path.name} was read"
            except DataError as error:
                is_named = path.name in str(error) and "\n" not in str(error)
                held += is_named
                other = other if is_named else str(error)[:80]
            except Exception as error:  # a fault of ours, which the table shows
                other = f"{path.name}: {type(error).__name__}"
            path.write_bytes(whole)
        rows.append((f"flipped bit in a file of: {kind}", tried, held, other))
    return rows


def _copied(path: Path, target: Path) -> Path:
    if path.is_dir():
        return Path(shutil.copytree(path, target))
    target.mkdir()
    for part in path.parent.glob(f"{path.name}*"):
        shutil.copy(part, target)
    return target / path.name


def _files_of(place: Path) -> list[Path]:
    """Returns the files that are not empty and not hidden."""
    if place.is_file():
        return sorted(place.parent.iterdir())
    inside = (path.relative_to(place).parts for path in place.rglob("*"))
    names = [p for p in inside if not any(part.startswith(".") for part in p)]
    paths = [place.joinpath(*parts) for parts in names]
    return sorted(p for p in paths if p.is_file() and p.stat().st_size)


def _open_corpus(place: Path) -> None:
    from dc_keras.corpus.store import Corpus

    Corpus.open(place)


def _open_records(place: Path) -> None:
    from tfrecords.reader import iter_serialized, list_shard_paths

    for path in list_shard_paths(place):
        for _ in iter_serialized(path):
            pass


def _open_model(place: Path) -> None:
    from dc_keras.training.model_directory import load_model

    load_model(place)


def _open_run(place: Path) -> None:
    from dc_keras.evaluation.saved_run import SavedRun

    SavedRun.open(place)


def _open_bundle(place: Path) -> None:
    from dc_keras.serving.predictor import Predictor

    Predictor.load(place)


def _open_graph(place: Path) -> None:
    from dc_keras.social.graph_store import read_graph

    read_graph(place)


def _open_pages(place: Path) -> None:
    from tfrecords.storage.integrity import verify_directory

    verify_directory(place, "survey_graph")


def _open_answers(place: Path) -> None:
    from tfrecords.storage.integrity import verify_file

    verify_file(place, "rank")


_OPENERS: dict[str, Callable[[Path], None]] = {
    "corpus": _open_corpus,
    "frames": _open_records,
    "features": _open_records,
    "model": _open_model,
    "evaluation": _open_run,
    "bundle": _open_bundle,
    "graph": _open_graph,
    "survey": _open_pages,
    "reach": _open_pages,
    "predictions": _open_answers,
}


def mutate_records(work: Path, number: int, rng: random.Random) -> Iterator[Row]:
    """Imports damaged records of each format that `simulate` writes.

    Yields:
        A row a format: how many records ended in the corpus or in the quarantine.
    """
    from dc_keras.corpus.importing.importer import import_files
    from dc_keras.corpus.pseudonyms import Pseudonymizer
    from dc_keras.simulation.export_formats import FORMATS, export_files
    from dc_keras.simulation.web_items import iter_items
    from dc_keras.simulation.world import WorldConfig, simulate_world

    config = WorldConfig(num_users=20, num_challenges=2)
    world = simulate_world(config)
    items = list(iter_items(world.posts, world.cast.accounts))
    for name in FORMATS:
        place = work / f"format {name}"
        place.mkdir()
        lines = [
            line
            for text in export_files(items, name).values()
            for line in text.encode().splitlines()
        ]
        held, other = 0, ""
        for start in range(0, number, 1000):
            batch = [
                mutate(rng.choice(lines), rng).replace(b"\n", b" ")
                for _ in range(min(1000, number - start))
            ]
            (place / "damaged.ndjson").write_bytes(b"\n".join(batch) + b"\n")
            try:
                import_files(
                    [str(place / "damaged.ndjson")],
                    place / f"corpus {start}",
                    pseudonymizer=Pseudonymizer(b"k" * 32),
                )
                held += len(batch)
            except Exception as error:  # a fault of ours, which the table shows
                other = f"{type(error).__name__}: {error}"[:80]
        yield f"mutated record of {name}", number, held, other


def mutate_clips(clips: list[Path], work: Path, number: int, rng: random.Random) -> Row:
    """Samples frames of damaged clips; a crash would end the benchmark."""
    from tfrecords.errors import MediaError
    from tfrecords.frame_sampling import SamplingConfig, sample_frames

    config = SamplingConfig(num_frames=3, image_size=32)
    path, held, other = work / "damaged.mp4", 0, ""
    contents = [clip.read_bytes() for clip in clips[:20]]
    for _ in range(number):
        path.write_bytes(mutate(rng.choice(contents), rng))
        try:
            sample_frames(path, config)
            held += 1
        except MediaError:
            held += 1
        except Exception as error:  # a fault of ours, which the table shows
            other = f"{type(error).__name__}: {error}"[:80]
    return "mutated clip", number, held, other


if __name__ == "__main__":
    app.run(main)
