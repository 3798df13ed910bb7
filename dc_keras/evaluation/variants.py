"""The recipes of deepChallenger that are judged side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from dc_keras.study.participation import Grid
from dc_keras.evaluation.result_tables import CONTEXT_ONLY, DEEP_CHALLENGER
from dc_keras.models.config import (
    PAPER_MODEL,
    PAPER_TRAINING,
    ContextOptions,
    ModelOptions,
    TrainingOptions,
)
from dc_keras.training.dataset import FeatureTable, VisionFeatures
from dc_keras.training.recipe import Recipe, parse_groups

SUPPORT_SIZES = (1, 2, 4, 8)


def list_recipes(
    models: Sequence[str],
    model: ModelOptions,
    training: TrainingOptions,
    context: ContextOptions,
    absent: Collection[str] = (),
) -> list[Recipe]:
    """Returns the recipes that a run asks for, each once.

    Args:
        models: `all`, or some of "deepChallenger" (as the options say), "videos_only"
            (without context), "context_only" (without videos), "deepChallenger_paper"
            (the paper's shape and loss, the run's batch size and epochs), "ablations"
            (without one group of context features each; not in `all`).
        model: of the run.
        training: of the run.
        context: of the run.
        absent: groups that say nothing here (`past` without cutoffs, `frames` without
            frames), so that there is nothing to leave out.

    Raises:
        DataError: an unknown group of context features.
    """
    groups = parse_groups(context.context)
    of_paper = ("class_weight", "monitor", "decay")
    paper = replace(training, **{n: getattr(PAPER_TRAINING, n) for n in of_paper})
    forms = [
        ("deepChallenger", Recipe(DEEP_CHALLENGER, model, training, groups)),
        ("videos_only", Recipe("videos only", model, training, ())),
        ("context_only", Recipe(CONTEXT_ONLY, model, training, groups, False)),
        (
            "deepChallenger_paper",
            Recipe(f"{DEEP_CHALLENGER} (paper)", PAPER_MODEL, paper, ()),
        ),
    ]
    forms += [
        (
            "ablations",
            Recipe(
                f"{DEEP_CHALLENGER} without {group}",
                model,
                training,
                tuple(other for other in groups if other != group),
            ),
        )
        for group in groups
        if len(groups) > 1 and group not in absent
    ]
    chosen: list[Recipe] = []
    for kind, form in forms:
        is_wanted = kind in models or ("all" in models and kind != "ablations")
        is_new = all(replace(form, name=known.name) != known for known in chosen)
        has_nothing = not form.groups and not form.has_videos
        if is_wanted and is_new and not has_nothing:
            chosen.append(form)
    return chosen


def smaller_supports(
    grid: Grid, table: FeatureTable
) -> Iterator[tuple[str, Grid, FeatureTable]]:
    """Yields what a challenge of fewer videos looks like, down to a brief.

    Yields:
        A name ("4 challenge videos"), the grid with the first so many videos of each
        challenge, and the features to see them with. A brief is the caption of one post
        without its frames; where there are no frames, or no captions, it is left out.
    """
    largest = max(len(videos) for videos in grid.support)
    for size in SUPPORT_SIZES:
        if size < largest:
            yield _size_name(size), _first(grid, size), table
    if table.vision and table.captions is not None:
        brief = _first(grid, 1)
        rows = table.rows([video for videos in brief.support for video in videos])
        yield "a brief", brief, replace(table, vision=_without_frames(table, rows))


def _size_name(size: int) -> str:
    return f"{size} challenge video{'s' if size > 1 else ''}"


def _without_frames(table: FeatureTable, rows: np.ndarray) -> dict[str, VisionFeatures]:
    """The frames of all videos but some; histories keep theirs."""
    blind = {}
    for name, features in table.vision.items():
        frames, mask = features.frames.copy(), features.mask.copy()
        frames[rows], mask[rows] = 0, False
        blind[name] = replace(features, frames=frames, mask=mask)
    return blind


def _first(grid: Grid, size: int) -> Grid:
    return replace(grid, support=tuple(videos[:size] for videos in grid.support))
