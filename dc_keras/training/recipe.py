"""Recipes: the inputs and options of a participation model."""

from __future__ import annotations

from dataclasses import dataclass, field

from dc_keras.context.context_model import GROUPS
from dc_keras.context.pair_features import NAMES
from dc_keras.errors import DataError
from dc_keras.options import ContextOptions, ModelOptions, TrainingOptions


@dataclass(frozen=True)
class Recipe:
    """The inputs and options of a participation model.

    Attributes:
        name: name of the model in tables.
        model: architecture of proxies and fusion.
        training: training options of proxies and fusion.
        groups: groups of context features, or single ones; empty for a model of videos
            only.
        has_videos: whether the model uses the fusion of videos.
        baseline: name of the baseline of the paper that replaces the fusion, which is
            that of its input variant, such as "VGG16+BERT"; None for deepChallenger.
        has_frames: whether the model sees frames; otherwise, a video is its caption.
    """

    name: str
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    groups: tuple[str, ...] = GROUPS
    has_videos: bool = True
    baseline: str | None = None
    has_frames: bool = True

    @classmethod
    def of(
        cls,
        model: ModelOptions,
        training: TrainingOptions,
        context: ContextOptions,
        baseline: str | None = None,
    ) -> Recipe:
        """Returns the recipe for the given options; `context` is not for a baseline.

        Raises:
            DataError: if a context feature or group is unknown, or there are neither
                context features nor videos.
        """
        if baseline is not None:
            return cls(baseline, model, training, (), baseline=baseline)
        groups = parse_groups(context.context)
        if not groups and not context.videos:
            raise DataError(
                "a model must use videos or context. Received: context=none, "
                "videos=False"
            )
        return cls("deepChallenger", model, training, groups, context.videos)

    @property
    def context(self) -> ContextOptions:
        """The options of the context, as of `of`."""
        is_all = self.groups == GROUPS
        groups = "all" if is_all else ",".join(self.groups) or "none"
        return ContextOptions(groups, self.has_videos)


def parse_groups(context: str) -> tuple[str, ...]:
    """Returns the features of the option `context`: all, none, or a list.

    Raises:
        DataError: if a group or feature is unknown.
    """
    if context in ("all", "none"):
        return GROUPS if context == "all" else ()
    groups = tuple(dict.fromkeys(name.strip() for name in context.split(",")))
    if not set(groups) <= {*GROUPS, *NAMES}:
        raise DataError(
            "`context` must be all, none, or a comma-separated list of "
            f"{', '.join(GROUPS)} or of features such as {NAMES[0]}. "
            f"Received: context={context}"
        )
    return groups
