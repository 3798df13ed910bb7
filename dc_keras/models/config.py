"""Every choice that the paper leaves open and a model or its training depends on.

The defaults here are the default preset; `presets/paper.flags` holds the paper's. Each
field names the row of docs/paper.md that discusses it. No TensorFlow in here: the
scripts build their flags from these classes, and `--help` stays fast.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from dc_keras.errors import DataError

POOLINGS = ("attention", "concat", "mean", "mean_std")
INTERACTIONS = ("product_difference", "none", "dot")


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
        default: the default preset's value.
        help_text: the flag's help, with the row of docs/paper.md in brackets.
        choices: the accepted strings; empty for any value of the default's type.
        at_least: the smallest accepted number; None for any.
        below: what an accepted number is below; None for any.
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
    """A frozen set of options that travels as JSON beside what was made with it.

    Raises:
        DataError: a value that is no choice, or outside its range.
    """

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            rule = None if value is None else _broken_rule(value, item.metadata)
            if rule is not None:
                raise DataError(
                    f"`{item.name}` must be {rule}. Received: {item.name}={value}."
                )

    def to_dict(self) -> dict[str, Any]:
        """Returns the options as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuilds the options; an unknown name is a `DataError`."""
        known = {item.name for item in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise DataError(
                f"{cls.__name__} knows {sorted(known)}. Received: {unknown}, "
                "written by another version?"
            )
        return cls(**values)


def _broken_rule(value: Any, metadata: Mapping[str, Any]) -> str | None:
    choices = metadata["choices"]
    if choices and value not in choices:
        return f"one of {', '.join(choices)}"
    at_least, below = metadata["at_least"], metadata["below"]
    if at_least is not None and value < at_least:
        return f"at least {at_least}"
    if below is not None and value >= below:
        return f"below {below}"
    return None


@dataclass(frozen=True)
class ModelOptions(Options):
    """The shape of the proxies, the representations and the fusion model."""

    frame_pooling: str = option(
        "attention", "how the frames of a video are joined [8]", POOLINGS
    )
    standardize: bool = option(
        True,
        "whether features are centred and scaled by the moments of the training rows "
        "(not in the paper) [13]",
    )
    hidden_dim: int = option(
        128, "width of each fully connected layer [13]", at_least=1
    )
    num_layers: int = option(1, "fully connected layers of a proxy [13]", at_least=1)
    layer_norm: bool = option(True, "LayerNorm after each dense layer [13]")
    dropout: float = option(
        0.4, "dropout after each fully connected layer [13]", at_least=0, below=1
    )
    challenge_pooling: str = option(
        "mean", "eq. (1): how a challenge's videos are joined [16]", POOLINGS
    )
    user_pooling: str = option(
        "mean", "eq. (2): how a user's videos are joined [18]", POOLINGS
    )
    interaction: str = option(
        "product_difference",
        "what the fusion adds to [x^c, x^u]: product and difference of projections, "
        "nothing, or a two-tower dot alone [22]",
        INTERACTIONS,
    )
    projection_dim: int = option(
        32, "width of the projections of `interaction` [22]", at_least=1
    )
    modality_dropout: float = option(
        0.4,
        "share of training examples that lose their frames or their caption, and of "
        "pairs that lose x^c or x^u (not in the paper) [30]",
        at_least=0,
        below=1,
    )
    set_dropout: float = option(
        0.5,
        "share of training pairs whose challenge is described by a random part of its "
        "videos, of 1 to n (not in the paper) [30]",
        at_least=0,
        below=1,
    )


# The shape that the paper describes. `presets/paper.flags` must say the same: a test
# compares them.
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
    """How one model is fitted (section IV-D)."""

    batch_size: int = option(
        512, "global batch size, whatever the replicas [26]", at_least=1
    )
    learning_rate: float = option(2e-3, "Adam's learning rate [26]", at_least=0)
    decay: str = option(
        "cosine",
        "how the learning rate falls over `epochs`: along half a cosine to zero, or "
        "not at all [26]",
        ("cosine", "none"),
    )
    epochs: int = option(10, "epochs at most [25]", at_least=1)
    epoch_steps: int = option(
        30,
        "batches of an epoch at least: a smaller set is gone over several times in "
        "each [25]",
        at_least=1,
    )
    patience: int = option(
        5,
        "epochs without progress before training stops; 0 never stops early [25]",
        at_least=0,
    )
    monitor: str = option(
        "val_average_precision",
        "what early stopping of the participation models watches; proxies always watch "
        "val_loss [25]",
        ("val_average_precision", "val_loss"),
    )
    validation_fraction: float = option(
        0.1,
        "part of the training rows kept for validation [25]",
        at_least=0,
        below=1,
    )
    class_weight: str = option(
        "balanced", "weights of joining and not joining [21]", ("balanced", "none")
    )
    clip_norm: float = option(
        0.0,
        "largest norm of the whole batch's gradient; 0 clips nothing [31]",
        at_least=0,
    )
    precision: str = option(
        "float32",
        "what layers compute in; weights, outputs and the loss are float32 always [31]",
        ("float32", "mixed_bfloat16", "mixed_float16"),
    )
    steps_per_execution: int = option(
        1, "steps that run without a return to Python [31]", at_least=1
    )
    jit: bool = option(False, "whether XLA compiles the gradient [31]")
    deterministic: bool = option(
        False, "whether TensorFlow may only use operations without chance [31]"
    )
    strategy: str = option(
        "default",
        "tf.distribute strategy: the default one, one device, mirrored over this "
        "machine's GPUs, the workers that TF_CONFIG names, or a TPU",
        ("default", "one_device", "mirrored", "multi_worker", "tpu"),
    )
    tpu_address: str = option(
        "", "with --strategy=tpu: the TPU's name, its grpc:// address, or `local`"
    )
    seed: int = option(0, "seed of weights, dropout and shuffling")


# How the paper fits it; `presets/paper.flags` must say the same here too.
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
    """What the model sees beside the videos; see `dc_keras.context.pair_features`."""

    context: str = option(
        "all",
        "groups of context features that are weighed with the fusion of videos: all, "
        "none, or some of rates, text, frames, neighbours, time, past, engagement, "
        "trees with commas; also single features, such as rates/popularity [29]",
    )
    videos: bool = option(
        True, "whether the model sees videos; without, it sees their context alone [29]"
    )


@dataclass(frozen=True)
class StudyOptions(Options):
    """What a run changes of its Study; None leaves what the Study says."""

    support: str = option(
        "outside_panel",
        "whose challenge videos describe a challenge: those of users who are never "
        "evaluated, or everyone's, the user's own included [20]",
        ("outside_panel", "included"),
    )
    use_cutoff: bool = option(
        True, "whether the Study's cutoff date holds; the paper has none [18]"
    )
    history_max: int | None = option(
        None, "m of eq. (2): the latest posts of a user; default the Study's [18]"
    )
    history_min: int | None = option(
        None, "users with fewer posts are left out; default the Study's [19]"
    )
    support_max: int | None = option(
        None, "n of eq. (1): posts that describe a challenge; default the Study's [16]"
    )
    support_order: str | None = option(
        None,
        "which of them come first, newest or most viewed; default the Study's [16, 17]",
        ("newest", "views"),
    )

    def overrides(self) -> dict[str, Any]:
        """Returns the arguments of `Study.resolve` that these options stand for."""
        names = ("history_max", "history_min", "support_max", "support_order")
        changed = {name: getattr(self, name) for name in names}
        changed = {name: value for name, value in changed.items() if value is not None}
        changed["support"] = self.support
        return changed if self.use_cutoff else {**changed, "cutoff": None}


@dataclass(frozen=True)
class ProtocolOptions(Options):
    """Which rows of a grid train what."""

    user_classes: str = option(
        "train",
        "classes of the user proxy: the training users of the fold, or the whole "
        "panel; on cold_user always the training users [15]",
        ("train", "panel"),
    )
    negatives: str = option(
        "10:1", "training negatives: `all`, or `K:1` drawn for each positive [21]"
    )
    num_folds: int = option(
        3, "shuffles of random_pair, folds of cold_user [24]", at_least=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        num_negatives(self.negatives)


def num_negatives(rule: str) -> int | None:
    """Returns K of a rule `K:1` for training negatives; None for `all`.

    Raises:
        DataError: another rule.
    """
    if rule == "all":
        return None
    count, _, one = rule.partition(":")
    if one != "1" or not count.isdecimal() or int(count) == 0:
        raise DataError(f"`negatives` must be all or K:1. Received: negatives={rule}.")
    return int(count)
