"""What the signals of tied users bring, on validation rows alone.

    python -m benchmarks.ties --data=../shared/data/famous \
        --captions=/tmp/participation/captions.npz

Of the training and validation pairs of fold 0 a quarter is judged (users, pairs or
challenges, as the split holds out) and the rest learned from; test pairs are in no
part. Prints the average precision of the logistic stack, of boosted trees and of the
signal head without videos, with and without the group `ties`, and the paired
difference over users. --data is the real benchmark (`famous.py`), with the caption
embeddings that `benchmarks.participation` left behind; without it a simulated world is
judged, whose communities are planted, half of their taste hidden from all words.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from absl import app, flags
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.famous import Famous
from dc_keras.corpus.grid import Grid
from dc_keras.corpus.importing import import_files
from dc_keras.corpus.pairs import grid_pairs
from dc_keras.corpus.privacy import Pseudonymizer
from dc_keras.corpus.store import Corpus
from dc_keras.corpus.study import Study
from dc_keras.corpus.world import WorldConfig, simulate_world, write_world
from dc_keras.evaluation.fold_signals import FoldSignals
from dc_keras.evaluation.metrics import Scores, bootstrap_average_precision
from dc_keras.evaluation.results import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED
from dc_keras.evaluation.splits import Fold, cold_fold, make_folds, split_rows
from dc_keras.signals.combination import fit_combination
from dc_keras.signals.facts import PostFacts, read_facts
from dc_keras.signals.table import GROUPS, STACK_C, TREES, SignalTable
from dc_keras.signals.ties import GROUP as TIES

_DATA = flags.DEFINE_string("data", None, "Directory of datares/TikTok_Famous.")
_CAPTIONS = flags.DEFINE_string("captions", None, "captions.npz, or none of them.")
_SPLIT = flags.DEFINE_multi_enum(
    "split",
    ["cold_user", "random_pair", "cold_challenge"],
    ["cold_user", "random_pair", "cold_challenge"],
    "Splits; repeatable.",
)
_QUARTERS = flags.DEFINE_integer("quarters", 2, "Quarters that are judged.", 1, 4)
_WORLD = WorldConfig(
    num_users=600,
    num_challenges=24,
    num_communities=6,
    prevalence=0.15,
    text_only_share=1.0,
)
_NUM_QUARTERS = 4
_NUM_FOLDS = 5
_VALIDATION_FRACTION = 0.1


@dataclass(frozen=True)
class Case:
    """Data to judge on.

    Attributes:
        name: for people.
        grid: users, challenges, labels.
        facts: of the posts that the grid shows.
        captions: caption embedding by video id, or None.
        folds: fold 0 of each split.
    """

    name: str
    grid: Grid
    facts: PostFacts
    captions: dict[str, np.ndarray] | None
    folds: dict[str, Fold]


def main(_: list[str]) -> None:
    """Prints a line a split and model."""
    start = time.process_time()
    case = _world() if _DATA.value is None else _famous(Path(_DATA.value))
    print(f"{case.name}: {case.grid.describe().splitlines()[0]}")
    for split in _SPLIT.value:
        report(case, split)
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {time.process_time() - start:.0f} CPU seconds"
    )


def report(case: Case, split: str) -> None:
    """Prints what each model reaches with and without ties."""
    pairs = grid_pairs(case.grid)
    without: dict[str, list[Scores]] = {}
    tied: dict[str, list[Scores]] = {}
    for fold in list(quarters(case, split))[: _QUARTERS.value]:
        signals = FoldSignals(
            case.grid, case.facts, case.captions, fold, seed=fold.index
        )
        for groups, found in ((GROUPS, without), ((*GROUPS, TIES), tied)):
            table = signals.of_groups(groups)
            for name, score in scores(table, pairs.label, fold).items():
                judged = Scores(
                    pairs.label[fold.test], score[fold.test], pairs.user[fold.test]
                )
                found.setdefault(name, []).append(judged)
    for name, with_ties in tied.items():
        before, after = (
            [average_precision_score(fold.labels, fold.scores) for fold in folds]
            for folds in (without[name], with_ties)
        )
        draws = [
            bootstrap_average_precision(folds, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED)
            for folds in (without[name], with_ties)
        ]
        low, high = np.nanpercentile(draws[1] - draws[0], [2.5, 97.5])
        values = " ".join(
            f"{a:.4f}→{b:.4f}" for a, b in zip(before, after, strict=True)
        )
        print(
            f"  {split}, {name}: {values}, "
            f"{np.mean(after) - np.mean(before):+.4f} [{low:+.4f} {high:+.4f}]",
            flush=True,
        )


def scores(table: SignalTable, label: np.ndarray, fold: Fold) -> dict[str, np.ndarray]:
    """Returns the probability of every pair by each model."""
    stack = make_pipeline(
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=STACK_C, max_iter=1000),
    )
    plain = table.values[:, [name != TREES for name in table.names]]
    stack.fit(plain[fold.train], label[fold.train])
    combination = fit_combination(table, label, fold.train)
    return {
        "logistic stack": stack.predict_proba(plain)[:, 1],
        "boosted trees": 1 / (1 + np.exp(-table[TREES])),
        "combination": combination.predict(table),
    }


def quarters(case: Case, split: str) -> Iterator[Fold]:
    """Yields folds that judge a quarter each of what fold 0 does not test."""
    outer, pairs = case.folds[split], grid_pairs(case.grid)
    known = np.sort(np.concatenate([outer.train, outer.valid]))
    group: np.ndarray
    if split == "random_pair":
        group = np.arange(len(pairs))
    else:
        group = pairs.user if split == "cold_user" else pairs.challenge
    names = np.unique(group[known])
    part = np.random.default_rng(0).permutation(len(names)) % _NUM_QUARTERS
    # Whoever is tested outside is hidden here too, and then judged nowhere.
    tested = np.setdiff1d(np.unique(group), names)
    for number in range(_NUM_QUARTERS):
        judged, rest = names[part == number], names[part != number]
        kept, chosen = split_rows(len(rest), _VALIDATION_FRACTION, number)
        if split == "random_pair":
            yield Fold(split, number, rest[kept], rest[chosen], judged)
            continue
        held_out = (np.concatenate([rest[chosen], tested]), judged)
        users, challenges = (
            held_out if split == name else None
            for name in ("cold_user", "cold_challenge")
        )
        fold = cold_fold(case.grid, pairs, split, number, users, challenges)
        valid = fold.valid[np.isin(group[fold.valid], rest)]
        yield Fold(
            split,
            number,
            fold.train,
            valid,
            fold.test,
            fold.hidden_users,
            fold.hidden_challenges,
        )


def _famous(directory: Path) -> Case:
    famous = Famous(directory)
    captions = None
    if _CAPTIONS.value is not None:
        kept = np.load(_CAPTIONS.value, allow_pickle=False)
        captions = dict(zip(kept["video_ids"].tolist(), kept["captions"], strict=True))
    # Seed 0; the frozen folds are the benchmark's.
    manifests = famous.manifests(_SPLIT.value, 1)
    return Case(
        "famous",
        famous.grid,
        read_facts(famous.videos, famous.grid, users=famous.users),
        captions,
        {m.split: next(iter(m.folds.values())) for m in manifests},
    )


def _world() -> Case:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_world(simulate_world(_WORLD), directory / "world")
        import_files(
            [str(directory / "world" / "items.ndjson")],
            directory / "corpus",
            pseudonymizer=Pseudonymizer(b"0" * 32),
        )
        corpus = Corpus.open(directory / "corpus")
        grid = Study.load(directory / "world" / "study.toml").resolve(corpus)
        facts = read_facts(corpus.videos, grid)
    pairs = grid_pairs(grid)
    folds = {
        split: make_folds(grid, pairs, split, _NUM_FOLDS, _VALIDATION_FRACTION, 0)[0]
        for split in _SPLIT.value
    }
    return Case("simulated world", grid, facts, None, folds)


if __name__ == "__main__":
    app.run(main)
