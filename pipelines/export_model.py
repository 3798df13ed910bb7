"""Exports a trained deepChallenger as a SavedModel that takes raw captions and frames.

    python -m pipelines.export_model --model=runs/deep_challenger --output=export/dc

Leaves behind a new numbered version under --output, which tf-serving loads as it is;
see docs/serving.md for its signatures.
"""

from __future__ import annotations

from absl import flags

from pipelines import app

_MODEL = flags.DEFINE_string(
    "model", None, "Model directory of train --task=participation.", required=True
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory of the bundle's versions.", required=True
)
_VERSION = flags.DEFINE_integer(
    "version", None, "Number of the version; default the next.", lower_bound=1
)


def main() -> None:
    """Writes the bundle."""
    from pathlib import Path

    from dc_keras.serving.bundle import export_bundle

    place = export_bundle(Path(_MODEL.value), Path(_OUTPUT.value), _VERSION.value)
    app.say(f"{place}: signatures serving_default, score, embed_user, embed_challenge")


if __name__ == "__main__":
    app.run(main)
