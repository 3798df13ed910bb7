"""Evaluates deepChallenger's context on panels of the size of most studies.

    python -m benchmarks.panels --data=../shared/data/famous --output=/tmp/panels

Random parts of the real benchmark (`famous.py`), 100 to 400 users and 10 to 40
challenges, each judged in three folds of a split. Prints for each panel the average
precision of its strongest simple baseline, the distance of deepChallenger without
videos to that baseline, and the paired 95 % interval of the distance over users.

Then it prints two mean distances over all panels of a split, each with an interval over
panels. The first is to the strongest baseline of each panel. That baseline is chosen
out of sixteen on the judged pairs, so chance favours it, the more the fewer joins a
panel has. The second is to the one baseline that is strongest on average over the
panels: the best rule that somebody could settle on before a study. There are no media.
Panels are drawn with --seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.famous import Famous
from benchmarks.famous_captions import define_flags, make_experiment
from dc_keras.errors import DataError
from dc_keras.evaluation.fold_runner import run_experiment
from dc_keras.evaluation.results import SplitResult, judge_split
from dc_keras.options import ProtocolOptions
from dc_keras.study.participation import Grid

_DATA, _OUTPUT = define_flags()
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the panels.", lower_bound=0)
_PANELS = flags.DEFINE_integer("panels", 3, "Panels of each size.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes.", lower_bound=1)

SPLITS = ("cold_user", "cold_challenge", "random_pair")
SIZES = ((100, 10), (200, 20), (400, 20), (400, 40))
_CONTEXT = "context only"
_MODELS = ("simple", "context_only")
_DRAWS = 1000


def main(_: list[str]) -> None:
    """Runs all panels and prints a line for each, and one for each split."""
    output = Path(_OUTPUT.value)
    famous = Famous(Path(_DATA.value))
    whole = make_experiment(
        famous, output, tell, protocol=ProtocolOptions(num_folds=3), models=_MODELS
    )
    found = defaultdict(list)
    for name, grid in draw_panels(famous.grid, _PANELS.value, _SEED.value):
        experiment = whole.on_grid(grid)
        for split in SPLITS:
            place = output / f"seed{_SEED.value}" / name / split
            try:
                run_experiment(experiment, [split], 1, place, tell, _WORKERS.value)
            except DataError as error:
                print(f"{name} {split}: not judged: {error}")
                continue
            judgement = judge_split(place, split)
            print_panel(name, split, grid, judgement)
            found[split].append(distances(judgement))
    for split, panels in found.items():
        print_pooled(split, panels)


def draw_panels(grid: Grid, count: int, seed: int) -> Iterator[tuple[str, Grid]]:
    """Yields random parts of a grid by name, `count` of each of `SIZES`.

    Users and challenges of the panel are drawn without replacement, and a third as many
    users of the pool as of the panel. Challenges that none of those describes are left
    out.
    """
    rng = np.random.default_rng(seed)
    for num_users, num_challenges in SIZES:
        for number in range(count):
            name = f"{num_users}x{num_challenges}-{number}"
            yield name, _part(grid, num_users, num_challenges, rng)


def _part(
    grid: Grid, num_users: int, num_challenges: int, rng: np.random.Generator
) -> Grid:
    users, challenges, pool = (
        np.sort(rng.choice(size, min(wanted, size), replace=False))
        for size, wanted in (
            (len(grid.users), num_users),
            (len(grid.challenges), num_challenges),
            (len(grid.pool_users), num_users // 3),
        )
    )
    pool_users = tuple(grid.pool_users[row] for row in pool)
    support = {
        column: tuple(
            v for v in grid.support[column] if grid.video_users[v] in pool_users
        )
        for column in challenges.tolist()
    }
    columns = [column for column, videos in support.items() if videos]
    return replace(
        grid,
        challenges=tuple(grid.challenges[column] for column in columns),
        users=tuple(grid.users[row] for row in users),
        labels=grid.labels[np.ix_(users, columns)],
        observed=grid.observed[np.ix_(users, columns)],
        histories=tuple(grid.histories[row] for row in users),
        support=tuple(support[column] for column in columns),
        pool_users=pool_users,
        pool_histories=tuple(grid.pool_histories[row] for row in pool),
    )


def print_panel(name: str, split: str, grid: Grid, judgement: SplitResult) -> None:
    """Prints the distance to the strongest baseline of a panel."""
    strongest = judgement.strongest or ""  # simple baselines are always judged here
    value, interval = judgement.difference(_CONTEXT, strongest).cells()
    print(
        f"{name} {split}, {int(grid.labels.sum())} joins: {strongest} "
        f"{judgement.average_precision(strongest):.3f}, {value:+.3f} {interval}",
        flush=True,
    )


def distances(judgement: SplitResult) -> dict[str, float]:
    """Returns how far the model lies above each simple baseline of a panel."""
    ours = judgement.average_precision(_CONTEXT)
    return {
        model: ours - judgement.average_precision(model)
        for model in judgement.models
        if model != _CONTEXT
    }


def print_pooled(split: str, panels: Sequence[Mapping[str, float]]) -> None:
    """Prints the mean distances over panels."""
    mean = {name: np.mean([panel[name] for panel in panels]) for name in panels[0]}
    best = min(mean, key=lambda name: mean[name])
    rows = {
        "the strongest baseline of each panel": [min(p.values()) for p in panels],
        f"one baseline, {best}": [panel[best] for panel in panels],
    }
    for name, values in rows.items():
        low, high = _interval_over_panels(np.array(values))
        print(
            f"{split}, {len(panels)} panels, above {name}: {np.mean(values):+.4f} "
            f"[{low:+.4f} {high:+.4f}]"
        )


def _interval_over_panels(values: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % interval of the mean over panels, drawn with replacement."""
    drawn = np.random.default_rng(0).choice(values, (_DRAWS, len(values)))
    low, high = np.percentile(drawn.mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def tell(line: str) -> None:
    """Prints nothing about single folds, because a panel takes seconds."""
    if line.startswith("embedding"):
        print(line, flush=True)


if __name__ == "__main__":
    app.run(main)
