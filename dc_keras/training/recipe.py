"""What a participation model sees and how it is fitted: a row of the tables."""

from __future__ import annotations

from dataclasses import dataclass, field

from dc_keras.context.context_model import GROUPS
from dc_keras.context.pair_features import NAMES
from dc_keras.errors import DataError
from dc_keras.models.config import ContextOptions, ModelOptions, TrainingOptions


@dataclass(frozen=True)
class Recipe:
    """A recipe of a participation model.

    Attributes:
        name: its row in the tables.
        model: shape of proxies and fusion.
        training: how they are fitted.
        groups: groups of context features, or single ones, that are weighed; none for
            videos only.
        has_videos: whether it sees what the fusion of videos says.
    """

    name: str
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    groups: tuple[str, ...] = GROUPS
    has_videos: bool = True

    @classmethod
    def of(
        cls, model: ModelOptions, training: TrainingOptions, context: ContextOptions
    ) -> Recipe:
        """Returns the recipe that options describe.

        Raises:
            DataError: an unknown context feature or group, or nothing to see.
        """
        groups = parse_groups(context.context)
        if not groups and not context.videos:
            raise DataError(
                "a model must see videos or context. Received: context=none, "
                "videos=False"
            )
        return cls("deepChallenger", model, training, groups, context.videos)


def parse_groups(wanted: str) -> tuple[str, ...]:
    """Returns what an option names: `all`, `none`, or groups and features with commas.

    Raises:
        DataError: an unknown group or feature.
    """
    if wanted in ("all", "none"):
        return GROUPS if wanted == "all" else ()
    groups = tuple(dict.fromkeys(name.strip() for name in wanted.split(",")))
    if not set(groups) <= {*GROUPS, *NAMES}:
        raise DataError(
            f"`context` must be all, none, or some of {', '.join(GROUPS)} with commas; "
            f"a single feature is named as in {NAMES[0]}. Received: context={wanted}"
        )
    return groups
