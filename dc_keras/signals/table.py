"""Every signal of every pair, out of fold where the pair is for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dc_keras.errors import DataError
from dc_keras.signals import engagement, neighbours, past, rates, text, ties, timing
from dc_keras.signals.evidence import Evidence
from dc_keras.signals.folds import Step
from dc_keras.signals.taste import TasteSpace, taste
from dc_keras.signals.trees import boosted_trees

GROUPS = (
    "rates",
    "text",
    "frames",
    "neighbours",
    "time",
    "past",
    "engagement",
    "trees",
)
# What only a simple baseline says: it needs the rows of other people when it is asked.
REFERENCE = "reference"
TREES = "trees/boosted"
# How far a logistic stack of signals trusts its data, C of scikit-learn: without a
# prior, signals of challenges alone fit the noise of a few dozen challenges.
STACK_C = 0.01
_LEAST = 1e-4
_RECENT = {
    "recent_supporters": timing.RECENT_DAYS,
    "last_supporters": timing.LAST_DAYS,
}


@dataclass(frozen=True)
class SignalTable:
    """Signals of all pairs of a fold.

    Attributes:
        names: `GROUP/NAME` of each column.
        values: float32 (num_pairs, num_signals), as the models give them; NaN where
            nothing is known.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        """Returns a column, float64 (num_pairs,)."""
        return self.values[:, self.names.index(name)].astype(np.float64)

    def with_column(self, name: str, values: np.ndarray) -> SignalTable:
        """Returns the table with one more column, float (num_pairs,)."""
        column = values.astype(np.float32)[:, None]
        return SignalTable(
            (*self.names, name), np.concatenate([self.values, column], axis=1)
        )

    def of_groups(self, groups: Sequence[str]) -> SignalTable:
        """Returns the columns of some groups."""
        kept = [
            index
            for index, name in enumerate(self.names)
            if name.partition("/")[0] in groups
        ]
        return SignalTable(
            tuple(self.names[index] for index in kept), self.values[:, kept]
        )


def parse_groups(wanted: str) -> tuple[str, ...]:
    """Returns the groups that an option names: `all`, `none`, or some with commas.

    Raises:
        DataError: an unknown group.
    """
    if wanted in ("all", "none"):
        return GROUPS if wanted == "all" else ()
    groups = tuple(dict.fromkeys(name.strip() for name in wanted.split(",")))
    if not set(groups) <= set(GROUPS):
        raise DataError(
            f"`signals` must be all, none, or some of {', '.join(GROUPS)} with commas. "
            f"Received: signals={wanted}"
        )
    return groups


def make_signals(
    evidence: Evidence, train: np.ndarray, steps: Sequence[Step]
) -> SignalTable:
    """Computes the signals of every pair, all groups but the trees.

    Args:
        evidence: users and challenges as the fold may see them.
        train: positions of the training pairs.
        steps: of `folds.plan_steps`; what no step scores is unknown, NaN.
    """
    space = text.TextSpace.of(evidence, train)
    tastes = TasteSpace.of(evidence, train, space)
    fitted: dict[str, np.ndarray] = {}
    for step in steps:
        for name, values in _fitted(evidence, step.fitted, space, tastes).items():
            column = fitted.setdefault(name, np.full(len(evidence.pairs), np.nan))
            column[step.scored] = values[step.scored]
    signals = fitted | _plain(evidence, space, tastes)
    values = np.stack(list(signals.values()), axis=1)
    return SignalTable(tuple(signals), values.astype(np.float32))


def add_ties(
    signals: SignalTable, evidence: Evidence, steps: Sequence[Step]
) -> SignalTable:
    """Returns the signals with those of the group `ties`, which `GROUPS` leaves out.

    Args:
        signals: of `make_signals`.
        evidence: what they were made from.
        steps: those of `signals`; what no step scores is unknown, NaN.

    Raises:
        DataError: the extra `social` is missing.
    """
    ties.require_extra()
    user, challenge = evidence.pairs.user, evidence.pairs.challenge
    graph = ties.tie_users(evidence)
    columns = {
        name: values[user] for name, values in ties.tie_counts(evidence, graph).items()
    }
    for step in steps:
        found = ties.tied_joins(evidence, step.fitted, graph)
        for name, values in found.items():
            column = columns.setdefault(name, np.full(len(evidence.pairs), np.nan))
            rows = step.scored
            column[rows] = values[user[rows], challenge[rows]]
    values = np.stack(list(columns.values()), axis=1).astype(np.float32)
    return SignalTable(
        (*signals.names, *(f"{ties.GROUP}/{name}" for name in columns)),
        np.concatenate([signals.values, values], axis=1),
    )


def choose_signals(
    signals: SignalTable,
    groups: Sequence[str],
    label: np.ndarray,
    steps: Sequence[Step],
    seed: int,
) -> SignalTable:
    """Returns the signals of some groups; the trees, if wanted, see those alone.

    Args:
        signals: of `make_signals`, or of `add_ties`.
        groups: some of `GROUPS`, and `ties`.
        label: int32 (num_pairs,).
        steps: those of `signals`.
        seed: of the trees.
    """
    chosen = signals.of_groups(groups)
    if "trees" not in groups or not chosen.names:
        return chosen
    seen = chosen.of_groups([group for group in groups if group != REFERENCE])
    scores = boosted_trees(seen.values, label, steps, seed)
    return chosen.with_column(TREES, scores)


def logit(rate: np.ndarray) -> np.ndarray:
    """Returns log(p / (1 − p)), p cut to [.0001, .9999]."""
    safe = np.clip(rate, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(safe / (1 - safe)))


def _fitted(
    evidence: Evidence, train: np.ndarray, space: text.TextSpace, tastes: TasteSpace
) -> dict[str, np.ndarray]:
    """Signals that look at the labels of `train`, float64 (num_pairs,) each."""
    user, challenge = evidence.pairs.user, evidence.pairs.challenge
    popular = rates.popularity(evidence, train)
    words = rates.propensity_of_words(evidence, train, space)
    ready = rates.propensity(evidence, train, words)
    towards = text.one_vs_rest(evidence, train, space, popular)
    nearest = neighbours.caption_neighbours(evidence, train)
    return {
        "rates/popularity": logit(popular)[challenge],
        "rates/propensity_of_words": logit(words)[user],
        "rates/propensity": logit(ready)[user],
        "text/one_vs_rest": towards[user, challenge],
        "text/taste": taste(evidence, train, tastes, popular)[user, challenge],
        "neighbours/ease": neighbours.ease(evidence, train)[user, challenge],
        f"{REFERENCE}/caption_neighbours": nearest[user, challenge],
    }


def _plain(
    evidence: Evidence, space: text.TextSpace, tastes: TasteSpace
) -> dict[str, np.ndarray]:
    """Signals that look at no label, float64 (num_pairs,) each."""
    user, challenge = evidence.pairs.user, evidence.pairs.challenge
    pairwise = {
        "text/towards_supporters": text.towards_supporters(evidence, space),
        "text/cosine": text.cosine(space),
        "text/caption_cosine": neighbours.caption_cosine(evidence),
    }
    pairwise |= tastes.cosines
    timed = timing.time_overlap(evidence) | timing.paced_overlap(evidence)
    pairwise |= {f"time/{name}": values for name, values in timed.items()}
    signals = {name: values[user, challenge] for name, values in pairwise.items()}
    signals["rates/supporters"] = np.log1p(evidence.num_supporters)[challenge]
    for name, num_days in _RECENT.items():
        recent = timing.recent_supporters(evidence, num_days)
        signals[f"rates/{name}"] = np.log1p(recent)[challenge]
    for name, values in timing.user_ages(evidence).items():
        signals[f"time/user_{name}"] = values[user]
    for name, values in timing.challenge_ages(evidence).items():
        signals[f"time/challenge_{name}"] = values[challenge]
    for name, values in past.past_habits(evidence).items():
        signals[f"past/{name}"] = values[user]
    habits = engagement.user_habits(evidence) | engagement.accounts(evidence)
    for name, values in habits.items():
        signals[f"engagement/user_{name}"] = values[user]
    for name, values in engagement.challenge_habits(evidence).items():
        signals[f"engagement/challenge_{name}"] = values[challenge]
    return signals
