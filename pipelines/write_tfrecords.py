r"""Writes a corpus's posts as frame records: sampled JPEG frames with their captions.

    python -m pipelines.write_tfrecords --corpus=run/corpus --output=run/frames \
        --num_frames=50 --num_shards=16 --workers=2

Leaves `frames-00000-of-00016.tfrecord` … and `manifest.json` in --output, with a record
for every post of the corpus. Stopped at any time, the same command goes on where it
was. Media that cannot be read is named in the manifest and makes the exit code 1,
unless --max_bad_media allows it. --shard_index and --shard_count, or --runner=ray,
share the shards among machines (docs/scale.md); the bytes are the same.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from absl import flags

from pipelines._cli import app, sharding

_CORPUS = flags.DEFINE_string("corpus", None, "Directory of the corpus.", required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory for the records.", required=True
)
_MEDIA_ROOT = flags.DEFINE_string(
    "media_root",
    None,
    "Directory of the media; the one that the corpus names if unset.",
)
_NUM_FRAMES = flags.DEFINE_integer(
    "num_frames", None, "Frames a video (50).", lower_bound=1
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size", None, "Height and width of the frames in pixels (224).", lower_bound=1
)
_FPS = flags.DEFINE_float(
    "fps",
    None,
    "0 spreads the frames over the whole video; above 0 takes the frames at this rate "
    "from its start, at most --num_frames (0).",
    lower_bound=0.0,
)
_RESIZE = flags.DEFINE_enum(
    "resize",
    None,
    ["stretch", "crop"],
    "How frames become square: squeezed, or their centre cut out (stretch).",
)
_SLIDESHOWS = flags.DEFINE_enum(
    "slideshows",
    None,
    ["frames", "drop"],
    "Takes the images of a slideshow as frames, or leaves it without frames (frames).",
)
_NUM_SHARDS = flags.DEFINE_integer("num_shards", 16, "Files to write.", lower_bound=1)
_WORKERS = flags.DEFINE_integer(
    "workers",
    None,
    "Processes, or CPUs of a Ray that is started for the run; all cores if unset.",
    lower_bound=1,
)
_MAX_BAD_MEDIA = flags.DEFINE_integer(
    "max_bad_media", 0, "Media files that may be unreadable.", lower_bound=0
)
sharding.define()


def main() -> None:
    """Writes the records and says where they are."""
    from dc_keras.corpus.store import Corpus
    from tfrecords.frame_runner import write_frame_records
    from tfrecords.frame_sampling import SamplingConfig

    given: dict[str, Any] = {
        "num_frames": _NUM_FRAMES.value,
        "image_size": _IMAGE_SIZE.value,
        "fps": _FPS.value,
        "resize": _RESIZE.value,
        "slideshows": _SLIDESHOWS.value,
    }
    corpus = Corpus.open(Path(_CORPUS.value))
    media_root = corpus.media_root
    if _MEDIA_ROOT.value is not None:
        media_root = Path(_MEDIA_ROOT.value)
    workers, cluster = _WORKERS.value, sharding.cluster(_WORKERS.value)
    if workers is None:
        workers = len(os.sched_getaffinity(0))
    run = write_frame_records(
        corpus.iter_videos(),
        media_root,
        Path(_OUTPUT.value),
        SamplingConfig(**{k: v for k, v in given.items() if v is not None}),
        num_shards=_NUM_SHARDS.value,
        workers=workers,
        cluster=cluster,
        part=sharding.part(),
        overwrite=sharding.overwrites(),
        max_bad_media=_MAX_BAD_MEDIA.value,
    )
    num_records = sum(entry.num_records for entry in run.entries)
    app.say(
        f"{num_records} records in {len(run.entries)} shards "
        f"({run.num_resumed} done before): {_OUTPUT.value}"
    )
    if run.manifest is None:
        app.say("manifest.json comes when the other shards are done, by their runs")
        return
    for name, count in sorted(run.manifest["counts"].items()):
        app.say(f"  {name}: {count}")


if __name__ == "__main__":
    app.run(main, writes="output", kind="frames", locks=False)
