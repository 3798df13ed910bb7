r"""Adds a challenge to an exported bundle, from a brief or sample videos.

    python -m pipelines.add_challenge --bundle=run/export --challenge=umbrelladance \
        --brief="open an umbrella on the beat, spin it, #umbrelladance"

Nothing is trained: the networks of the bundle embed the brief (--brief) or up to 20
video files (--video, with --brief as their caption), and the next version of the bundle
contains the challenge. docs/serving.md shows how accurate such predictions are.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from pipelines._cli import app, raw_posts

_BUNDLE = flags.DEFINE_string(
    "bundle", None, "Bundle, or the directory of its versions.", required=True
)
_CHALLENGE = flags.DEFINE_string(
    "challenge", None, "Name of the new challenge.", required=True
)
_VERSION = flags.DEFINE_integer(
    "version", None, "Number of the version. Default: the next one.", lower_bound=1
)
_BRIEF, _VIDEOS = raw_posts.define_challenge_flags()


def main() -> None:
    """Writes a version of the bundle with the challenge."""
    from dc_keras.serving.add_challenge import add_challenge
    from dc_keras.serving.bundle_config import find_version, read_config
    from tfrecords.storage.locking import writing

    place = find_version(Path(_BUNDLE.value))
    with writing(place.parent):
        config = read_config(place)
        posts = raw_posts.of_challenge(_BRIEF.value, _VIDEOS.value, config)
        made = add_challenge(
            place, _CHALLENGE.value, posts, _VERSION.value, app.progress
        )
    app.say(f"{made}: added {_CHALLENGE.value}, from {len(posts)} posts")
    app.suggest(
        "rank",
        bundle=made,
        corpus=app.find_corpus(made.parent),
        challenge=_CHALLENGE.value,
        output=made.parent.with_name("seeds.csv"),
    )


if __name__ == "__main__":
    app.run(main)
