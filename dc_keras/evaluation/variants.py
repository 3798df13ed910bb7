"""The variants of deepChallenger that an evaluation compares."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from dc_keras.evaluation.result_tables import (
    CONTEXT_ONLY,
    DEEP_CHALLENGER,
    VIDEOS_ONLY,
    WITHOUT_FRAMES,
)
from dc_keras.features import Features
from dc_keras.options import (
    PAPER_MODEL,
    PAPER_TRAINING,
    ContextOptions,
    ModelOptions,
    TrainingOptions,
)
from dc_keras.study.participation import Grid
from dc_keras.training.recipe import Recipe, parse_groups

SUPPORT_SIZES = (1, 2, 4, 8)


def list_recipes(
    models: Sequence[str],
    model: ModelOptions,
    training: TrainingOptions,
    context: ContextOptions,
    absent: Collection[str] = (),
    baselines: Sequence[str] = (),
) -> list[Recipe]:
    """Returns the recipes of a run, without duplicates.

    Args:
        models: groups of models; see `Experiment.models`.
        model: model options of the run.
        training: training options of the run.
        context: context options of the run.
        absent: groups without any values, such as `past` without cutoffs or `frames`
            without frames, for which there is no ablation.
        baselines: names of the baselines of the paper.

    Raises:
        DataError: if a group of context features is unknown.
    """
    groups = parse_groups(context.context)
    of_paper = ("class_weight", "monitor", "decay")
    paper = replace(training, **{n: getattr(PAPER_TRAINING, n) for n in of_paper})
    recipes = [
        *(
            ({"all", "paper"}, Recipe.of(model, training, context, baseline))
            for baseline in baselines
        ),
        ({"all", "deepChallenger"}, Recipe(DEEP_CHALLENGER, model, training, groups)),
        ({"all", "videos_only"}, Recipe(VIDEOS_ONLY, model, training, ())),
        (
            {"all", "context_only"},
            Recipe(CONTEXT_ONLY, model, training, groups, has_videos=False),
        ),
        (
            {"all", "deepChallenger_paper"},
            Recipe(f"{DEEP_CHALLENGER} (paper)", PAPER_MODEL, paper, ()),
        ),
    ]
    for group in groups:
        rest = tuple(other for other in groups if other != group)
        if group == "frames" and group not in absent:
            without = Recipe(WITHOUT_FRAMES, model, training, rest, has_frames=False)
            recipes.append(({"ablations", "without_frames"}, without))
        elif rest and group not in absent:
            name = f"{DEEP_CHALLENGER} without {group}"
            recipes.append(({"ablations"}, Recipe(name, model, training, rest)))
    chosen: list[Recipe] = []
    for kinds, recipe in recipes:
        is_requested = not kinds.isdisjoint(models)
        is_new = all(replace(recipe, name=other.name) != other for other in chosen)
        has_input = recipe.groups or recipe.has_videos
        if is_requested and is_new and has_input:
            chosen.append(recipe)
    return chosen


def smaller_supports(
    grid: Grid, table: Features
) -> Iterator[tuple[str, Grid, Features]]:
    """Yields grids with fewer videos per challenge.

    Yields:
        A name such as "4 challenge videos", the grid with the first videos of each
        challenge, and its features. The last one, "a brief", describes each challenge
        by the caption of one post without its frames; it is left out if there are no
        frames or no captions.
    """
    largest = max(len(videos) for videos in grid.support)
    for size in SUPPORT_SIZES:
        if size < largest:
            yield _size_name(size), _first(grid, size), table
    if table.vision and table.captions is not None:
        brief = _first(grid, 1)
        rows = table.rows([video for videos in brief.support for video in videos])
        vision = {n: v.without_frames(rows) for n, v in table.vision.items()}
        yield "a brief", brief, replace(table, vision=vision)


def _size_name(size: int) -> str:
    return f"{size} challenge video{'s' if size > 1 else ''}"


def _first(grid: Grid, size: int) -> Grid:
    return replace(grid, support=tuple(videos[:size] for videos in grid.support))
