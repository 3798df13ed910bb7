"""What no flag of any script takes: an empty text, a number that is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from absl import flags


def find_misuse(argv: Sequence[str]) -> str | None:
    """Returns what is wrong with the flags that were given; None if nothing is.

    Args:
        argv: the name of the script, and what absl took for no flag.
    """
    if len(argv) > 1:
        return f"unexpected argument {argv[1]!r}; every option is a --flag"
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        if module.startswith("absl"):
            continue
        for flag in defined:
            problem = _problem_of(flag) if flag.present else None
            if problem is not None:
                return (
                    f"--{flag.name} must {problem}. Received: {flag.name}={flag.value}"
                )
    return None


def _problem_of(flag: Any) -> str | None:
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
