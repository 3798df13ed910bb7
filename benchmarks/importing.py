"""Measures the import of web items from JSON lines, compared with parsing alone.

    python -m benchmarks.importing

Synthetic items in the format and size of the platform's web endpoint (about 4.3 kB
each, seed 0), ten per author. Prints the items per second and core of the complete
import into Parquet and of `orjson.loads` on each line, their ratio (medians of five
interleaved runs), the peak memory of an import of 1, 4 and 12 files, which should be
about the same, and the seconds of the clock of an import of 12 files by one process and
by two workers. The target ratio is 0.35.
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from benchmarks.turns import run_alone
from dc_keras import __version__

_NUM_ITEMS = 40_000
_NUM_RUNS = 5
_NUM_ROUNDS = 3
_NUM_FILES = (4, 12)
_FIRST_POST = 1_600_000_000
_WORDS = ("new", "dance", "with", "my", "sister", "at", "the", "beach", "this", "was")
_IMPORT = """
import resource, sys, time
from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.pseudonyms import Pseudonymizer
workers, corpus, *files = sys.argv[1:]
key = Pseudonymizer(b"k" * 32)
cpu, clock = time.process_time(), time.perf_counter()
import_files(files, corpus, pseudonymizer=key, workers=int(workers))
print(time.process_time() - cpu, time.perf_counter() - clock)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def make_item(number: int, rng: random.Random) -> dict[str, Any]:
    """Returns a web item with all keys of the endpoint."""
    video_id = str((_FIRST_POST + 37 * number << 32) + rng.getrandbits(31))
    author = rng.randrange(_NUM_ITEMS // 10)
    tags = [f"tag{int(rng.paretovariate(0.6)) % 5000}" for _ in range(rng.randrange(5))]
    caption = " ".join([*rng.sample(_WORDS, 6), *(f"#{tag}" for tag in tags)])
    if number % 5 == 0:
        caption += f" @user{rng.randrange(_NUM_ITEMS // 10)}"
    url = f"https://example.invalid/{rng.getrandbits(128):032x}/{'x' * 60}"
    stats = {
        "playCount": int(1000 * rng.paretovariate(0.8)),
        "diggCount": rng.randrange(1000),
        "commentCount": rng.randrange(100),
        "shareCount": rng.randrange(100),
        "collectCount": rng.randrange(100),
    }
    return {
        "id": video_id,
        "desc": caption,
        "createTime": _FIRST_POST + 37 * number,
        "author": {
            "id": str(6_000_000_000_000_000_000 + author * 7_654_321),
            "uniqueId": f"user{author}",
            "nickname": f"User No {author}",
            "secUid": f"MS4wLjABAAAA{author:064x}",
            "signature": "just here for the dances",
            "verified": False,
            **dict.fromkeys(("avatarLarger", "avatarMedium", "avatarThumb"), url),
            **dict.fromkeys(("privateAccount", "secret", "ftc", "ttSeller"), False),
            **dict.fromkeys(("commentSetting", "duetSetting", "stitchSetting"), 0),
        },
        "authorStats": dict.fromkeys(
            ("diggCount", "followerCount", "followingCount", "heart", "videoCount"), 311
        ),
        "music": {
            "id": str(6_800_000_000_000_000_000 + rng.randrange(3000) * 9_876_543),
            "title": "a sound that everybody uses",
            "authorName": "Somebody",
            "original": False,
            "duration": 13,
            "album": "",
            **dict.fromkeys(
                ("coverLarge", "coverMedium", "coverThumb", "playUrl"), url
            ),
        },
        "challenges": [
            {"id": str(1_000_000 + i), "title": tag, "desc": "", "isCommerce": False}
            for i, tag in enumerate(tags)
        ],
        "textExtra": [
            {
                "awemeId": "",
                "start": 10 * i,
                "end": 10 * i + 7,
                "hashtagId": str(1_000_000 + i),
                "hashtagName": tag,
                "isCommerce": False,
                "type": 1,
                "subType": 0,
                **dict.fromkeys(("userId", "userUniqueId", "secUid"), ""),
            }
            for i, tag in enumerate(tags)
        ],
        "stats": stats,
        "statsV2": {name: str(count) for name, count in stats.items()},
        "duetInfo": {"duetFromId": "0"},
        "locationCreated": "US",
        "textLanguage": "en",
        "video": {
            "id": video_id,
            "duration": 13,
            "width": 576,
            "height": 1024,
            "bitrateInfo": [
                {
                    "Bitrate": 1396914,
                    "PlayAddr": {"UrlList": [url, url], "UrlKey": "v0"},
                }
            ],
            **dict.fromkeys(("cover", "originCover", "dynamicCover"), url),
            **dict.fromkeys(("playAddr", "downloadAddr", "reflowCover"), url),
            "zoomCover": dict.fromkeys(("240", "480", "720", "960"), url),
        },
        **dict.fromkeys(("isAd", "digged", "secret", "shareEnabled", "vl1"), False),
    }


def write_items(path: Path) -> None:
    """Writes `_NUM_ITEMS` items, one per line, in random order."""
    rng = random.Random(0)
    numbers = list(range(_NUM_ITEMS))
    rng.shuffle(numbers)
    with path.open("wb") as file:
        for number in numbers:
            file.write(orjson.dumps(make_item(number, rng)) + b"\n")


def parse_seconds(path: Path) -> float:
    """Returns the CPU seconds of parsing all lines."""
    start = time.process_time()
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)
    return time.process_time() - start


def import_cost(
    paths: list[Path], corpus: Path, workers: int = 1
) -> tuple[float, float, float]:
    """Returns CPU seconds, seconds and peak MiB of the main process of an import."""
    # One thread, because the figure is per core.
    alone = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    cpu, clock, memory = run_alone(
        _IMPORT, workers, corpus, *paths, environment=os.environ | alone
    )
    return cpu, clock, memory


def main() -> None:
    """Prints the table."""
    print(
        f"dc_keras {__version__}, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}; {_NUM_ITEMS} items a file, "
        f"median of {_NUM_RUNS} runs\n"
    )
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        files = [root / f"items-{number}.ndjson" for number in range(_NUM_FILES[-1])]
        write_items(files[0])
        size = files[0].stat().st_size / _NUM_ITEMS
        parse, whole = [], []
        for run in range(_NUM_RUNS):
            parse.append(parse_seconds(files[0]))
            seconds, _, memory = import_cost(files[:1], root / f"corpus-{run}")
            whole.append(seconds)
        bare, ours = (statistics.median(times) for times in (parse, whole))
        print(f"{'':<28}{'items/s':>10}{'µs/item':>10}")
        for name, seconds in (("orjson.loads", bare), ("import_corpus", ours)):
            rate, each = _NUM_ITEMS / seconds, seconds / _NUM_ITEMS * 1e6
            print(f"{name:<28}{rate:>10,.0f}{each:>10.1f}")
        print(f"\nratio {bare / ours:.2f}; {size:,.0f} bytes an item")
        print(f"peak memory: {memory:,.0f} MiB", end="")
        for number, path in enumerate(files[1:], start=1):
            _shift(files[0], path, number)
        for number in _NUM_FILES:
            *_, peak = import_cost(files[:number], root / f"corpus-of-{number}")
            print(f", of {number} files {peak:,.0f} MiB", end="")
        clocks: dict[int, list[float]] = {1: [], 2: []}
        for run in range(_NUM_ROUNDS):
            for workers, measured in clocks.items():
                corpus = root / f"corpus-{run}-{workers}"
                measured.append(import_cost(files, corpus, workers)[1])
        one, two = map(statistics.median, clocks.values())
        print(
            f"\n1 process {one:.2f} s, 2 workers {two:.2f} s: {one / two:.2f} x as fast"
        )


def _shift(source: Path, target: Path, number: int) -> None:
    """Writes the same items with ids of a later time."""
    with source.open("rb") as lines, target.open("wb") as file:
        for line in lines:
            item = orjson.loads(line)
            item["id"] = str(int(item["id"]) + (number * 50_000_000 << 32))
            file.write(orjson.dumps(item) + b"\n")


if __name__ == "__main__":
    main()
