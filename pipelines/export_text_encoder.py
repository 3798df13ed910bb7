"""Exports a keras-nlp BERT as a SavedModel for tensorflow-hub.

    python -m pipelines.export_text_encoder --text=keras_nlp:DIR --output=out/bert

Writes `out/bert`, a SavedModel with the standard encoder interface and its vocabulary,
for `--text=hub:out/bert`.
"""

from __future__ import annotations

from absl import flags

from pipelines._cli import app

_TEXT = flags.DEFINE_string(
    "text",
    None,
    "Encoder to export: keras_nlp: and the name of a preset or a directory (a "
    "keras-nlp preset, or a Hugging Face checkpoint with safetensors).",
    required=True,
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Directory of the SavedModel; an existing SavedModel is replaced.",
    required=True,
)


def main() -> None:
    """Exports the encoder and prints how to use it."""
    from dc_keras.encoders.hub_export import export_text_encoder

    directory = export_text_encoder(_TEXT.value, _OUTPUT.value, app.progress)
    app.say(f"Wrote {directory}. Use it with --text=hub:{directory}")


if __name__ == "__main__":
    app.run(main, writes="output", kind="text encoder")
