"""Options of models, training, studies and evaluation.

The defaults are the default preset; `presets/paper.flags` has the values of the paper.
The number in brackets in a help text is the row of docs/paper.md that discusses the
option. Scripts build their flags from these classes. This module does not import
TensorFlow, so that `--help` is fast.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

from dc_keras.errors import DataError

POOLINGS = ("attention", "concat", "mean", "mean_std")
INTERACTIONS = ("product_difference", "none", "dot")
# What an option of each type accepts.
_TYPES = {"bool": bool, "int": int, "float": int | float, "str": str}


def option(
    default: Any,
    help_text: str,
    choices: tuple[str, ...] = (),
    *,
    at_least: float | None = None,
    below: float | None = None,
) -> Any:
    """Declares a dataclass field that scripts offer as a flag of the same name.

    Args:
        default: value in the default preset.
        help_text: help of the flag, with the row of docs/paper.md in brackets.
        choices: accepted strings; empty for any value of the default's type.
        at_least: smallest accepted number; None for no lower bound.
        below: number that the value must be below; None for no upper bound.
    """
    metadata = {
        "help": help_text,
        "choices": choices,
        "at_least": at_least,
        "below": below,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Options:
    """A frozen set of options, stored as JSON with the results made from it.

    Raises:
        DataError: if a value is not an accepted choice or is outside its range.
    """

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if hasattr(value, "item"):  # a number of NumPy, which JSON does not have
                value = value.item()
                object.__setattr__(self, item.name, value)
            rule = _broken_rule(value, item)
            if rule is not None:
                raise DataError(
                    f"`{item.name}` must be {rule}. Received: {item.name}={value}."
                )

    def to_dict(self) -> dict[str, Any]:
        """Returns the options as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Builds options from the result of `to_dict`.

        Raises:
            DataError: if a name is unknown, or a value is not accepted.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise DataError(
                f"{cls.__name__} must only have {', '.join(sorted(known))}. Received: "
                f"{', '.join(unknown)}; written by another version?"
            )
        return cls(**values)


def _broken_rule(value: Any, item: dataclasses.Field[Any]) -> str | None:
    kind, _, optional = str(item.type).partition(" | ")
    if value is None and optional:
        return None
    choices = item.metadata["choices"]
    if choices and value not in choices:
        return f"one of {', '.join(choices)}"
    # A bool is an int to Python.
    is_other = isinstance(value, bool) and kind != "bool"
    if is_other or not isinstance(value, _TYPES[kind]):
        return f"of type {kind}, not {type(value).__name__}"
    at_least, below = item.metadata["at_least"], item.metadata["below"]
    if at_least is not None and not value >= at_least:
        return f"at least {at_least}"
    if below is not None and not value < below:
        return f"below {below}"
    return None


@dataclass(frozen=True)
class ModelOptions(Options):
    """Architecture of the proxies, the representations and the fusion model."""

    frame_pooling: str = option(
        "attention", "pooling of the frames of a video [8]", POOLINGS
    )
    standardize: bool = option(
        True,
        "whether to standardize features by mean and standard deviation of the "
        "training rows (not in the paper) [13]",
    )
    hidden_dim: int = option(
        128, "width of each fully connected layer [13]", at_least=1
    )
    num_layers: int = option(
        1, "number of fully connected layers of a proxy [13]", at_least=1
    )
    layer_norm: bool = option(
        True, "whether to apply LayerNorm after each fully connected layer [13]"
    )
    dropout: float = option(
        0.4, "dropout rate after each fully connected layer [13]", at_least=0, below=1
    )
    challenge_pooling: str = option(
        "mean", "pooling of a challenge's videos, eq. (1) [16]", POOLINGS
    )
    user_pooling: str = option(
        "mean", "pooling of a user's videos, eq. (2) [18]", POOLINGS
    )
    interaction: str = option(
        "product_difference",
        "interaction terms in addition to [x^c, x^u]: product and difference of "
        "projections, none, or a two-tower dot product instead [22]",
        INTERACTIONS,
    )
    projection_dim: int = option(
        32, "width of the projections of `interaction` [22]", at_least=1
    )
    modality_dropout: float = option(
        0.4,
        "share of training examples without frames or without caption, and of pairs "
        "without x^c or x^u (not in the paper) [30]",
        at_least=0,
        below=1,
    )
    set_dropout: float = option(
        0.5,
        "share of training pairs whose challenge is described by a random subset of 1 "
        "to n of its videos (not in the paper) [30]",
        at_least=0,
        below=1,
    )


# The paper's architecture. A test compares it with `presets/paper.flags`.
PAPER_MODEL = ModelOptions(
    frame_pooling="concat",
    standardize=False,
    hidden_dim=256,
    layer_norm=False,
    dropout=0.2,
    challenge_pooling="concat",
    user_pooling="concat",
    interaction="none",
    projection_dim=128,  # unused without an interaction
    modality_dropout=0.0,
    set_dropout=0.0,
)


@dataclass(frozen=True)
class TrainingOptions(Options):
    """Training of one model (section IV-D)."""

    batch_size: int = option(
        512, "global batch size over all replicas [26]", at_least=1
    )
    learning_rate: float = option(
        2e-3, "learning rate of the Adam optimizer [26]", at_least=0
    )
    decay: str = option(
        "cosine",
        "learning rate schedule over `epochs`: cosine decay to zero, or constant [26]",
        ("cosine", "none"),
    )
    epochs: int = option(10, "maximum number of epochs [25]", at_least=1)
    epoch_steps: int = option(
        30,
        "minimum number of batches per epoch; a smaller training set is repeated [25]",
        at_least=1,
    )
    patience: int = option(
        5,
        "number of epochs without improvement before early stopping; 0 disables it "
        "[25]",
        at_least=0,
    )
    monitor: str = option(
        "val_average_precision",
        "metric for early stopping of the participation models; proxies always use "
        "val_loss [25]",
        ("val_average_precision", "val_loss"),
    )
    validation_fraction: float = option(
        0.1,
        "share of the training rows kept for validation [25]",
        at_least=0,
        below=1,
    )
    class_weight: str = option(
        "balanced",
        "weights of positive and negative pairs: balanced, or equal for all pairs [21]",
        ("balanced", "none"),
    )
    shuffle_buffer: int = option(
        0,
        "number of examples that are shuffled together while they are read from "
        "TFRecords in a temporary directory; 0 keeps and shuffles all in memory [31]",
        at_least=0,
    )
    clip_norm: float = option(
        0.0,
        "maximum norm of the gradient of the global batch; 0 disables clipping [31]",
        at_least=0,
    )
    precision: str = option(
        "float32",
        "dtype policy of the layers; weights, outputs and loss are always float32 [31]",
        ("float32", "mixed_bfloat16", "mixed_float16"),
    )
    steps_per_execution: int = option(
        1, "number of steps per call of the compiled function [31]", at_least=1
    )
    jit: bool = option(False, "whether to compile the gradient with XLA [31]")
    deterministic: bool = option(
        False, "whether to restrict TensorFlow to deterministic operations [31]"
    )
    strategy: str = option(
        "default",
        "tf.distribute strategy: the default strategy, one device, mirrored over the "
        "GPUs of this machine, the workers in TF_CONFIG, or a TPU",
        ("default", "one_device", "mirrored", "multi_worker", "tpu"),
    )
    tpu_address: str = option(
        "", "for --strategy=tpu: name of the TPU, its grpc:// address, or `local`"
    )
    seed: int = option(
        0, "random seed of weights, dropout and shuffling", at_least=0, below=2**31
    )


# The paper's training. A test compares it with `presets/paper.flags`.
PAPER_TRAINING = TrainingOptions(
    batch_size=4,
    learning_rate=1e-3,
    decay="none",
    epochs=30,
    epoch_steps=1,
    monitor="val_loss",
    class_weight="none",
)


@dataclass(frozen=True)
class ContextOptions(Options):
    """Input of the model: context features (`context.pair_features`) and videos."""

    context: str = option(
        "all",
        "groups of context features that are combined with the fusion of videos: all, "
        "none, or a comma-separated list of rates, text, frames, neighbours, time, "
        "past, engagement, trees, and single features such as rates/popularity [29]",
    )
    videos: bool = option(
        True, "whether the model uses videos; otherwise it uses their context only [29]"
    )


@dataclass(frozen=True)
class StudyOptions(Options):
    """Settings of a run that override its study; None keeps the study's setting."""

    support: str = option(
        "outside_panel",
        "whose posts describe a challenge: outside_panel, those of users who are not "
        "evaluated, or included, those of all users, the pair's own user included [20]",
        ("outside_panel", "included"),
    )
    use_cutoff: bool = option(
        True, "whether to use the study's cutoff; the paper has none [18]"
    )
    history_max: int | None = option(
        None,
        "maximum number of posts per user, m of eq. (2); default: as in the study [18]",
    )
    history_min: int | None = option(
        None, "minimum number of posts per user; default: as in the study [19]"
    )
    support_max: int | None = option(
        None,
        "maximum number of posts that describe a challenge, n of eq. (1); default: as "
        "in the study [16]",
    )
    support_order: str | None = option(
        None,
        "order in which these posts are taken, newest or most viewed first; default: "
        "as in the study [16, 17]",
        ("newest", "views"),
    )

    def overrides(self) -> dict[str, Any]:
        """Returns the options as keyword arguments of `resolve_study`."""
        names = ("history_max", "history_min", "support_max", "support_order")
        changed = {name: getattr(self, name) for name in names}
        changed = {name: value for name, value in changed.items() if value is not None}
        changed["support"] = self.support
        return changed if self.use_cutoff else {**changed, "cutoff": None}


@dataclass(frozen=True)
class ProtocolOptions(Options):
    """Selection of training data from a grid."""

    user_classes: str = option(
        "train",
        "classes of the user proxy: the training users of the fold, or the whole "
        "panel; cold_user always uses the training users [15]",
        ("train", "panel"),
    )
    negatives: str = option(
        "10:1",
        "negative training pairs: `all`, or `K:1` for K random ones per positive [21]",
    )
    num_folds: int = option(
        3, "number of folds, or of shuffles for random_pair [24]", at_least=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        num_negatives(self.negatives)


def num_negatives(rule: str) -> int | None:
    """Returns K of the rule `K:1` for negative training pairs, or None for `all`.

    Raises:
        DataError: if the rule is neither.
    """
    if rule == "all":
        return None
    count, _, one = rule.partition(":")
    if one != "1" or not count.isdecimal() or int(count) == 0:
        raise DataError(f"`negatives` must be all or K:1. Received: negatives={rule}.")
    return int(count)
