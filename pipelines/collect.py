r"""Collects current posts, and optionally their videos, from TikTok.

    python -m pipelines.collect --hashtag=renegadechallenge --user=tiktok \
        --count=200 --media --output=collected

Writes to --output: raw/ (every answer, one per line, for `import_corpus`), details/
(ids of hashtags and users) and media/ (ID.mp4). The same command continues an
interrupted collection and requests nothing twice. Exits with 1 if something is missing,
and prints the reasons. Needs the extra `collect` and a Chromium. The cookie msToken of
a signed-in browser is read from TIKTOK_MS_TOKEN and never stored.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from pipelines._cli import app

if TYPE_CHECKING:
    from dc_keras.corpus.collecting.collector import Outcome

_HASHTAG = flags.DEFINE_multi_string(
    "hashtag", [], "Hashtag whose posts to collect; repeatable."
)
_USER = flags.DEFINE_multi_string(
    "user", [], "Handle whose posts to collect; repeatable."
)
_SOUND = flags.DEFINE_multi_string(
    "sound", [], "Id of a sound whose posts to collect; repeatable."
)
_SEED_USER = flags.DEFINE_string(
    "seed_user",
    None,
    "Handle of the user whose suggested users, and theirs in turn, form a group; the "
    "posts of the group are collected.",
)
_GROUP_SIZE = flags.DEFINE_integer(
    "group_size", None, "Number of users in the group.", lower_bound=1
)
_COUNT = flags.DEFINE_integer(
    "count", 100, "Number of posts per hashtag, user and sound.", lower_bound=1
)
_MEDIA = flags.DEFINE_bool("media", False, "Download the video of each post too.")
_INTERVAL = flags.DEFINE_float(
    "interval",
    3.0,
    "Minimum seconds between two requests; up to half of it is added at random.",
    lower_bound=0.0,
)
_BROWSER = flags.DEFINE_string(
    "browser",
    None,
    "Path of a Chromium. Default: playwright's own, else /usr/bin/chromium.",
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory to create or to continue.", required=True
)


def main() -> int:
    """Collects the targets of the flags; returns 1 if anything is missing."""
    from dc_keras.corpus.collecting.collector import collect
    from dc_keras.corpus.collecting.plan import make_plan

    plan = make_plan(
        hashtags=_HASHTAG.value,
        users=_USER.value,
        sounds=_SOUND.value,
        seed_user=_SEED_USER.value,
        group_size=_GROUP_SIZE.value,
        count=_COUNT.value,
        with_media=_MEDIA.value,
    )
    outcomes = collect(
        plan,
        Path(_OUTPUT.value),
        interval_s=_INTERVAL.value,
        ms_token=os.environ.get("TIKTOK_MS_TOKEN"),
        browser=None if _BROWSER.value is None else Path(_BROWSER.value),
        report=app.progress,
    )
    for outcome in outcomes:
        _print_outcome(outcome)
    missing = sum(not outcome.is_complete for outcome in outcomes)
    app.say(f"{_OUTPUT.value}: {len(outcomes) - missing} of {len(outcomes)} complete")
    if missing:
        app.progress(f"{missing} incomplete; run the same command again to continue")
    return int(missing > 0)


def _print_outcome(outcome: Outcome) -> None:
    unit = "users" if outcome.target.request == "suggested" else "posts"
    line = f"{outcome.target}: {outcome.collected} of {outcome.requested} {unit}"
    if outcome.refusal is not None:
        line += f": {outcome.refusal}"
    elif outcome.collected < outcome.requested:
        line += ": the platform has no more"
    app.say(line)
    media = outcome.media
    if media is not None:
        app.say(
            f"    media: {media.fetched} downloaded, {media.present} already present, "
            f"{media.slideshows} slideshows without a video, "
            f"{len(media.missing)} missing"
        )
        for line in media.missing:
            app.say(f"    {line}")


if __name__ == "__main__":
    app.run(main, writes="output")
