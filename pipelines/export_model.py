"""Exports a trained deepChallenger as a SavedModel for raw captions and frames.

    python -m pipelines.export_model --model=runs/deep_challenger --output=export/dc

Writes a new numbered version below --output, which tf-serving can load; docs/serving.md
describes its signatures and files. --calibration maps scores to probabilities and is
fitted on the model's validation rows.
"""

from __future__ import annotations

import json
from pathlib import Path

from absl import flags

from pipelines._cli import app

_MODEL = flags.DEFINE_string(
    "model", None, "Model directory of train --task=participation.", required=True
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory of the bundle's versions.", required=True
)
_VERSION = flags.DEFINE_integer(
    "version", None, "Number of the version. Default: the next one.", lower_bound=1
)
_CALIBRATION = flags.DEFINE_enum(
    "calibration",
    "platt",
    ["platt", "temperature", "isotonic", "none"],
    "Calibration method, from the model's scores to probabilities.",
)
_SERVING_TARGET = flags.DEFINE_string(
    "serving_target",
    None,
    "Release of tensorflow/serving that must support the bundle, such as 2.20.",
)


def main() -> None:
    """Writes the bundle."""
    from dc_keras.training.model_directory import read_config

    read_config(Path(_MODEL.value))
    # Only now: TensorFlow takes seconds.
    from dc_keras.serving.bundle import AUDIT_FILE, export_bundle
    from dc_keras.serving.sample_requests import SAMPLES, WARM_UP_FILE

    app.progress("reading the model and its encoders, about half a minute")
    place = export_bundle(
        Path(_MODEL.value),
        Path(_OUTPUT.value),
        _VERSION.value,
        calibration=_CALIBRATION.value,
        serving_target=_SERVING_TARGET.value,
    )
    signatures = sorted(path.stem for path in (place / SAMPLES).iterdir())
    if not (place / WARM_UP_FILE).exists():
        app.progress("warm-up records need `pip install 'dc_keras[serving]'`")
    app.say(f"{place}: signatures {', '.join(signatures)}")
    audit = json.loads((place / AUDIT_FILE).read_text(encoding="utf-8"))
    servers = ", ".join(audit["supported_by"]) or "no known release"
    app.say(f"supported by tensorflow/serving: {servers}")
    for warning in audit["warnings"]:
        app.progress(warning)
    output = Path(_OUTPUT.value)
    app.suggest("predict", bundle=output, corpus=app.find_corpus(output))


if __name__ == "__main__":
    app.run(main, writes="output")
