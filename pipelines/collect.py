r"""Collects posts, and their videos, from TikTok as it is now.

    python -m pipelines.collect --hashtag=renegadechallenge --user=tiktok \
        --count=200 --media --output=collected

Leaves behind in --output: raw/ (every answer as it came, one line each, for
`import_corpus`), details/ (ids of hashtags and users) and media/ (ID.mp4). The same
command goes on where it stopped and asks for nothing that is there. Ends with 1 if
something is missing, and says what and why. Needs the extra `collect` and a Chromium.
The cookie msToken of a signed-in browser is read from TIKTOK_MS_TOKEN and never stored.
"""

from __future__ import annotations

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
    "Handle whose suggested users, and theirs in turn, become a group whose posts are "
    "collected.",
)
_GROUP_SIZE = flags.DEFINE_integer(
    "group_size", None, "How many users the group should have.", lower_bound=1
)
_COUNT = flags.DEFINE_integer(
    "count", 100, "How many posts of each hashtag, user and sound.", lower_bound=1
)
_MEDIA = flags.DEFINE_bool("media", False, "Fetch the video of each post as well.")
_INTERVAL = flags.DEFINE_float(
    "interval",
    3.0,
    "Least seconds between two requests; up to half as much again is added.",
    lower_bound=0.0,
)
_BROWSER = flags.DEFINE_string(
    "browser",
    None,
    "Path of a Chromium. Default: playwright's own, else /usr/bin/chromium.",
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory to make or to go on with.", required=True
)


def main() -> int:
    """Collects what the flags name; returns 1 if anything is missing."""
    import os
    from pathlib import Path

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
        _say(outcome)
    missing = sum(not outcome.is_complete for outcome in outcomes)
    app.say(f"{_OUTPUT.value}: {len(outcomes) - missing} of {len(outcomes)} complete")
    if missing:
        app.progress(f"{missing} incomplete; run the same command again to go on")
    return int(missing > 0)


def _say(outcome: Outcome) -> None:
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
            f"    media: {media.fetched} fetched, {media.present} there before, "
            f"{media.slideshows} slideshows without a video, "
            f"{len(media.missing)} missing"
        )
        for line in media.missing:
            app.say(f"    {line}")


if __name__ == "__main__":
    app.run(main, writes="output")
