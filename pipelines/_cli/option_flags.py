"""Flags that several scripts share, generated from the option dataclasses.

The default of a flag is None, which stands for the default of the dataclass, so that
each default is defined once. `--flagfile=presets/paper.flags` sets the paper's values.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from absl import flags

from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    Options,
    ProtocolOptions,
    StudyOptions,
    TrainingOptions,
)

# Makes them flags of the script that defines them, so that its --help lists them.
flags.disclaim_key_flags()

_T = TypeVar("_T")


def define(*classes: type[Options]) -> None:
    """Defines a flag for each field of some option classes."""
    for cls in classes:
        for item in dataclasses.fields(cls):
            _define_field(item)


def resolve(cls: type[_T]) -> _T:
    """Returns a dataclass, with the values of the given flags over the defaults."""
    fields: Any = dataclasses.fields(cls)  # type: ignore[arg-type]
    names = [item.name for item in fields if item.name in flags.FLAGS]
    given = {name: flags.FLAGS[name].value for name in names}
    return cls(**{name: value for name, value in given.items() if value is not None})


def define_all() -> None:
    """Defines the flags of all options of a fit."""
    define(ModelOptions, TrainingOptions, StudyOptions, ProtocolOptions, ContextOptions)


def _define_field(item: dataclasses.Field[Any]) -> None:
    help_text = str(item.metadata["help"])
    if item.default is not None:
        help_text += f"; default {item.default}"
    choices = item.metadata["choices"]
    if choices:
        flags.DEFINE_enum(item.name, None, choices, help_text)
    elif isinstance(item.default, bool):
        flags.DEFINE_boolean(item.name, None, help_text)
    elif isinstance(item.default, int) or item.type == "int | None":
        flags.DEFINE_integer(item.name, None, help_text, lower_bound=0)
    elif isinstance(item.default, float):
        flags.DEFINE_float(item.name, None, help_text, lower_bound=0.0)
    else:
        flags.DEFINE_string(item.name, None, help_text)
