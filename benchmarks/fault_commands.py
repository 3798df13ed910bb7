"""The commands that are killed and started, and how their results are compared.

After a kill, the same command must complete and write the files of an undisturbed run
with the same bytes, with these exceptions:

- Lock files of killed processes are ignored, because they lock nobody out. The receipt
  of `forget` contains times and is written elsewhere.
- In a model directory of `train`, `tensorboard/` is ignored, because event files
  contain times. `SHA256SUMS` must match the files, but its bytes are not compared. The
  weights and the configuration in `model.keras` are compared, but not `metadata.json`,
  which contains a date, nor the numbers of shared objects, which are addresses in
  memory. Training uses `--deterministic`, one machine and one seed.
- A kill at the end of `export_model` may leave a complete version. The second run then
  writes the next one, and each version must be that of an undisturbed run.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Contents = dict[str, bytes]

_FRAMES = ("--num_frames=2", "--image_size=32", "--num_shards=4", "--workers=1")
_VISION = ("--vision=MobileNetV3Small", "--vision_weights=random")
# Small, so that most of a run is reading and writing.
_TRAINING = (
    *("--hidden_dim=8", "--projection_dim=6", "--frame_pooling=mean"),
    *("--challenge_pooling=mean", "--user_pooling=mean", "--interaction=dot"),
    *("--nolayer_norm", "--epoch_steps=2", "--batch_size=64", "--deterministic"),
)
_FOLDS = (
    *("--models=simple", "--models=videos_only", "--split=cold_user"),
    *("--num_folds=2", "--seeds=1"),
)
# In the configuration of a Keras model.
_SHARED = re.compile(rb'"shared_object_id": \d+')


def read_files(place: Path) -> Contents:
    """Returns the files that must be equal, by name."""
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def read_model(place: Path) -> Contents:
    """Returns what must be equal of a model directory, by name."""
    from tfrecords.storage.checksums import SUMS_FILE
    from tfrecords.storage.integrity import find_faults

    found: Contents = {}
    for name, content in read_files(place).items():
        path = place / name
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                parts = set(archive.namelist()) - {"metadata.json"}
                found |= {
                    f"{name}/{part}": _SHARED.sub(b"", archive.read(part))
                    for part in parts
                }
        elif path.name == SUMS_FILE:
            found[name] = repr(list(find_faults(path.parent))).encode()
        elif "tensorboard" not in name.split("/"):
            found[name] = content
    return found


def read_bundle(place: Path) -> Contents:
    """Returns what must be equal of a directory of versions; all versions as one."""
    found: Contents = {}
    for name, content in read_files(place).items():
        version, _, inside = name.partition("/")
        whole = f"VERSION/{inside}" if version.isdigit() else name
        if found.setdefault(whole, content) != content:
            found[name] = content
    return found


@dataclass(frozen=True)
class Command:
    """A command that writes one place.

    Attributes:
        parts: script and flags, with {} for the place.
        before: directory that is copied to the place first; None for nothing.
        read: returns what must be equal of the place.
    """

    parts: tuple[str, ...]
    before: Path | None = None
    read: Callable[[Path], Contents] = read_files

    def prepare(self, place: Path) -> list[str]:
        """Makes the place as it was before the command, and returns the command."""
        shutil.rmtree(place.parent, ignore_errors=True)
        place.parent.mkdir()
        if self.before is not None:
            shutil.copytree(self.before, place)
        return self.of(place)

    def of(self, place: Path) -> list[str]:
        """Returns script and flags for a place."""
        return [part.format(place) for part in self.parts]

    def result(self, place: Path) -> Contents:
        """Returns what must be equal: of the place, and which files lie beside it."""
        others = [path for path in place.parent.iterdir() if path.suffix != ".lock"]
        beside = {f"../{path.name}": b"" for path in others if path != place}
        return {**self.read(place), **beside}


def long_commands(
    run: Path, key: Path, half: Path, ids: Path, receipt: Path
) -> dict[str, Command]:
    """Returns the commands by name.

    Args:
        run: of `pipelines.demo`, or another directory with `world/`, `corpus/`,
            `frames/`, `features/NAME/`, `model/` and `export/`.
        key: of the pseudonyms.
        half: a corpus of half of the posts.
        ids: file with ids of posts to be forgotten.
        receipt: where `forget` writes its receipt.
    """
    corpus, study = f"--corpus={run}/corpus", f"--study={run}/world/study.toml"
    keyed, output = f"--key_file={key}", "--output={}"
    features = sorted((run / "features").iterdir())
    data = (corpus, study, *(f"--features={path}" for path in features))
    importing = (
        *("import_corpus", f"--input={run}/world/items.ndjson"),
        *(f"--media_root={run}/world/media", "--corpus={}", keyed),
    )
    frames, asked = f"--records={run}/frames", f"--ids={ids}"
    training = (*data, *_TRAINING, output)
    return {
        "import_corpus": Command(importing),
        "import_corpus into a corpus": Command(importing, half),
        "write_tfrecords": Command(("write_tfrecords", corpus, output, *_FRAMES)),
        "extract_features": Command(("extract_features", frames, output, *_VISION)),
        "train": Command(
            ("train", *training, "--epochs=4", "--patience=1"), read=read_model
        ),
        "evaluate": Command(("evaluate", *training, *_FOLDS, "--epochs=1")),
        "export_model": Command(
            ("export_model", f"--model={run}/model", output), read=read_bundle
        ),
        "predict": Command(
            ("predict", f"--bundle={run}/export", corpus, output, "--num_shards=3")
        ),
        "build_graph": Command(("build_graph", corpus, output)),
        "forget": Command(
            ("forget", asked, keyed, "--artifacts={}", f"--receipt={receipt}"),
            run / "corpus",
        ),
    }
