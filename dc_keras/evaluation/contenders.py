"""The forms of deepChallenger that are judged side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dc_keras.corpus.grid import Grid
from dc_keras.evaluation.tables import DEEP_CHALLENGER
from dc_keras.models.config import (
    PAPER_MODEL,
    PAPER_TRAINING,
    ModelOptions,
    SignalOptions,
    TrainingOptions,
)
from dc_keras.signals import ties
from dc_keras.signals.table import parse_groups
from dc_keras.training.data import FeatureTable, VisionFeatures

SUPPORT_SIZES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Contender:
    """One form of deepChallenger.

    Attributes:
        name: its row in the tables.
        model: shape of proxies and fusion.
        training: how they are fitted.
        groups: groups of signals that are combined; none for the videos alone.
        has_videos: whether what the fusion of videos says is combined with them.
    """

    name: str
    model: ModelOptions
    training: TrainingOptions
    groups: tuple[str, ...]
    has_videos: bool = True


def list_contenders(
    models: Sequence[str],
    model: ModelOptions,
    training: TrainingOptions,
    signals: SignalOptions,
    absent: Collection[str] = (),
) -> list[Contender]:
    """Returns the contenders that a run asks for, each form once.

    Args:
        models: `all`, or some of "deepChallenger" (as the options say), "videos_alone"
            (without signals: what `train` fits and `export_model` serves),
            "context_alone" (without videos),
            "paper_preset" (the paper's shape and loss, the run's batch size and
            epochs), "ablations" (without one group of signals each; not in `all`).
        model: of the run.
        training: of the run.
        signals: of the run.
        absent: groups that have no signal here (`past` without cutoffs, `frames`
            without frames), so that there is nothing to leave out.

    Raises:
        DataError: an unknown group of signals, or ties without the extra `social`.
    """
    groups = parse_groups(signals.signals)
    if signals.ties:
        ties.require_extra()
        groups = (*groups, ties.GROUP)
    of_paper = ("class_weight", "monitor", "decay")
    paper = replace(training, **{n: getattr(PAPER_TRAINING, n) for n in of_paper})
    forms = [
        ("deepChallenger", Contender(DEEP_CHALLENGER, model, training, groups)),
        (
            "videos_alone",
            Contender(f"{DEEP_CHALLENGER}, videos alone", model, training, ()),
        ),
        (
            "context_alone",
            Contender(
                f"{DEEP_CHALLENGER}, context alone",
                model,
                training,
                groups,
                has_videos=False,
            ),
        ),
        (
            "paper_preset",
            Contender(f"{DEEP_CHALLENGER}, paper preset", PAPER_MODEL, paper, ()),
        ),
    ]
    forms += [
        (
            "ablations",
            Contender(
                f"{DEEP_CHALLENGER} without {group}",
                model,
                training,
                tuple(other for other in groups if other != group),
            ),
        )
        for group in groups
        if len(groups) > 1 and group not in absent
    ]
    chosen: list[Contender] = []
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
