"""Checks that apply to the flags of all scripts, such as no empty text and no NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from absl import flags


def find_misuse(argv: Sequence[str]) -> str | None:
    """Returns a message about the first invalid flag or argument, or None.

    Args:
        argv: Name of the script and the arguments that absl did not parse as flags.
    """
    if len(argv) > 1:
        return f"unexpected argument {argv[1]!r}; every option is a --flag"
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        if module.startswith("absl"):
            continue
        for flag in defined:
            rule = _find_broken_rule(flag) if flag.present else None
            if rule is not None:
                return f"--{flag.name} must {rule}. Received: {flag.name}={flag.value}"
    return None


def _find_broken_rule(flag: Any) -> str | None:
    values = flag.value if isinstance(flag.value, list) else [flag.value]
    if any(isinstance(v, str) and not v.strip() for v in values):
        return "not be empty"
    if any(isinstance(v, str) and "\0" in v for v in values):
        return "have no null character"
    if any(isinstance(v, float) and not math.isfinite(v) for v in values):
        return "be a finite number"
    if any(isinstance(v, int) and abs(v) >= 2**63 for v in values):
        return "be below 2^63"
    return None
