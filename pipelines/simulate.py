"""Simulates a world of short videos with a known ground truth; all data is synthetic.

    python -m pipelines.simulate --output=world --users=120 --challenges=8 --seed=0

Writes `world/items.ndjson` (one web item per line; --format selects the format of
another tool), `world/media/<video id>.mp4`, `world/study.toml` (the challenges),
`world/truth.json` (true participations and their probabilities) and `world/README`. The
same flags give the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from pipelines._cli import app

_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Directory of the world: new, empty, or an existing world.",
    required=True,
)
_USERS = flags.DEFINE_integer("users", None, "Number of users (120).", lower_bound=2)
_CHALLENGES = flags.DEFINE_integer(
    "challenges", None, "Number of challenges (8).", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", None, "Seed of all draws (0).", lower_bound=0)
_FORMAT = flags.DEFINE_enum(
    "format",
    "web_item",
    [
        *("web_item", "zeeschuimer", "share_item", "aweme", "yt_dlp", "research_api"),
        *("fourcat_csv", "pyktok", "traktok", "pytok", "tiktok_scraper", "whichtok"),
    ],
    "Format of the export.",
)
_WORKERS = flags.DEFINE_integer(
    "workers", 2, "Threads that draw and encode videos.", lower_bound=1
)


def main() -> None:
    """Draws a world, writes it, and prints how predictable it is."""
    from dc_keras.simulation.world import WorldConfig, simulate_world, write_world

    given: dict[str, Any] = {
        "num_users": _USERS.value,
        "num_challenges": _CHALLENGES.value,
        "seed": _SEED.value,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    world = simulate_world(WorldConfig(**chosen))
    output = Path(_OUTPUT.value)
    write_world(world, output, _WORKERS.value, format_name=_FORMAT.value)

    num_media = sum(post.has_media for post in world.posts)
    app.say(
        f"Synthetic world of {len(world.cast.accounts)} users, "
        f"{len(world.cast.challenges)} challenges, {len(world.posts)} posts and "
        f"{num_media} videos, format {_FORMAT.value}: {output}"
    )
    app.say(
        f"Prevalence: {world.prevalence:.3f} "
        "(share of all (user, challenge) pairs that joined)"
    )
    app.say(
        f"Bayes-optimal average precision: {world.bayes_average_precision():.3f} "
        "(of the true probabilities as scores, over all pairs: no model can rank "
        "better in expectation)"
    )
    app.suggest(
        "import_corpus",
        input=output,
        media_root=output / "media",
        corpus=output.parent / "corpus",
    )


if __name__ == "__main__":
    app.run(main, writes="output")
