"""Backtests the reach forecasts on the sounds of the real benchmark.

    python -m benchmarks.reach --data=../shared/data/famous --output=/tmp/reach

Writes a corpus and a study of datares/TikTok_Famous (`famous.py`) to --output: a
challenge is a sound, identified by the titles of the posts that describe it. Then runs
build_graph and reach on them and prints their output.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import polars as pl
from absl import app, flags

from benchmarks.famous import Famous
from benchmarks.famous_captions import define_flags
from dc_keras.corpus.records import User, Video
from dc_keras.corpus.store import CorpusWriter, table_of_columns, write_text

_DATA, _OUTPUT = define_flags()
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 10, "Number of first adopters.", 1)
_HORIZON = flags.DEFINE_float(
    "horizon_days", 30.0, "Number of days after them in which adopters count.", 0.1
)
_LAYERS = flags.DEFINE_multi_string(
    "layer", ["co-hashtag", "co-sound"], "Layer of the graph; repeatable."
)


def main(_: list[str]) -> None:
    """Runs the two commands and prints their output."""
    start = time.monotonic()
    output = Path(_OUTPUT.value)
    make_corpus(Famous(Path(_DATA.value)), output)
    corpus, graph = f"--corpus={output}/corpus", output / "graph"
    layers = [f"--layer={name}" for name in _LAYERS.value]
    commands = (
        ["build_graph", corpus, f"--output={graph}", *layers],
        [
            *("reach", corpus, f"--graph={graph}", f"--study={output}/study.toml"),
            *(f"--output={output}/reach", f"--num_seeds={_NUM_SEEDS.value}"),
            f"--horizon_days={_HORIZON.value}",
        ],
    )
    for name, *arguments in commands:
        subprocess.run(
            [sys.executable, "-m", f"pipelines.{name}", *arguments], check=True
        )
    print(f"{time.monotonic() - start:.0f} s")


def make_corpus(famous: Famous, output: Path) -> None:
    """Writes `corpus` and `study.toml`; the id of a sound is that of the challenge.

    A post belongs to a sound if its title is that of a support post of the sound. Other
    sounds have no id and are identified by their titles.
    """
    titles = dict(famous.videos.select("video_id", "music_title").iter_rows())
    owners: dict[str, str] = {}
    for name, posts in zip(famous.grid.challenges, famous.grid.support, strict=True):
        owners |= {titles[post]: name for post in posts if titles[post]}
    sound = pl.col("music_title").replace_strict(
        list(owners), list(owners.values()), default=None, return_dtype=pl.String
    )
    videos = famous.videos.sort("video_id").with_columns(
        music_id=sound, create_time=pl.col("create_time").cast(pl.Int64)
    )
    columns = {
        name: videos[name].to_list()
        for name in Video.__dataclass_fields__
        if name in videos.columns
    }
    table = table_of_columns(Video, {**columns, "source": ["famous"] * videos.height})
    with CorpusWriter(output / "corpus") as writer:
        writer.add_videos(table)
        writer.finish(
            [User(user) for user in sorted(set(columns["user_id"]))],
            key_fingerprint="0" * 16,
            media_root=None,
            num_quarantined=0,
        )
    study = ['[study]\nname = "famous"\n']
    study += [
        f'[challenges."{name}"]\nsounds = ["{name}"]\n'
        for name in famous.grid.challenges
    ]
    write_text(output / "study.toml", "\n".join(study))


if __name__ == "__main__":
    app.run(main)
