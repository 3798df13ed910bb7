r"""Writes the posts of a corpus as frame records: captions and sampled JPEG frames.

    python -m pipelines.write_tfrecords --corpus=run/corpus --output=run/frames \
        --num_frames=50 --num_shards=16 --workers=2

Writes `frames-00000-of-00016.tfrecord` … and `manifest.json` to --output, with one
record per post of the corpus. The same command resumes an interrupted run. Unreadable
media are listed in the manifest, and the exit code is 1 if there are more than
--max_bad_media. --shard_index and --shard_count, or --runner=ray, distribute the shards
over machines (docs/scale.md) and produce the same bytes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from absl import flags

from pipelines._cli import app, raw_posts, sharding

_CORPUS = flags.DEFINE_string("corpus", None, "Directory of the corpus.", required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory for the records.", required=True
)
_MEDIA_ROOT = flags.DEFINE_string(
    "media_root",
    None,
    "Directory of the media. Default: the media root of the corpus.",
)
_NUM_FRAMES = flags.DEFINE_integer(
    "num_frames", None, "Number of frames per video (50).", lower_bound=1
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size", None, "Height and width of the frames in pixels (224).", lower_bound=1
)
_FPS = flags.DEFINE_float(
    "fps",
    None,
    "Frames per second, from the start of the video and at most --num_frames. 0 "
    "distributes the frames evenly over the video (0).",
    lower_bound=0.0,
)
_RESIZE = flags.DEFINE_enum(
    "resize",
    None,
    ["stretch", "crop"],
    "How frames are made square: stretched, or cropped to the centre (stretch).",
)
_SLIDESHOWS = flags.DEFINE_enum(
    "slideshows",
    None,
    ["frames", "drop"],
    "Whether the images of a slideshow are its frames, or it has none (frames).",
)
_NUM_SHARDS = flags.DEFINE_integer(
    "num_shards", 16, "Number of files to write.", lower_bound=1
)
_WORKERS = flags.DEFINE_integer(
    "workers",
    None,
    "Number of processes, or of CPUs of a Ray that is started for the run. Default: "
    "all cores.",
    lower_bound=1,
)
_MAX_BAD_MEDIA = flags.DEFINE_integer(
    "max_bad_media", 0, "Maximum number of unreadable media files.", lower_bound=0
)
sharding.define()


def main() -> None:
    """Writes the records and prints where they are."""
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
    media_root = raw_posts.find_media_root(corpus, _MEDIA_ROOT.value)
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
        app.say("the run that completes the last shard writes manifest.json")
        return
    for name, count in sorted(run.manifest["counts"].items()):
        app.say(f"  {name}: {count}")
    output = Path(_OUTPUT.value)
    app.suggest("extract_features", records=output, output=output.parent / "features")


if __name__ == "__main__":
    app.run(main, writes="output", kind="frames", locks=False)
