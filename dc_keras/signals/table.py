"""Every signal of every pair, out of fold where the pair is for training.

A model that learned from the scores of simple models on the very pairs they were fitted
on would trust them too much. So each training pair gets the scores of models that have
not seen it, held out the way the split holds its test pairs out: by user, by challenge,
by both, by cutoff, or pair by pair. Validation pairs get the scores of models fitted on
all training pairs; every other pair those of models fitted on both, for a simple model
has no need of validation. Where holding a training pair out leaves nothing to fit on
(one challenge, one earlier cutoff), what others would tell of it is unknown: NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dc_keras.corpus.grid import Grid
from dc_keras.errors import DataError
from dc_keras.signals import engagement, neighbours, rates, text, timing
from dc_keras.signals.evidence import Evidence

GROUPS = ("rates", "text", "neighbours", "time", "engagement")
_NUM_INNER_FOLDS = 5
# Each pair of inner folds is a fit: users × challenges.
_NUM_INNER_SIDES = 3
_LEAST = 1e-4


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
    evidence: Evidence,
    grid: Grid,
    split: str,
    train: np.ndarray,
    valid: np.ndarray,
    seed: int,
) -> SignalTable:
    """Computes the signals of every pair.

    Args:
        evidence: users and challenges as the fold may see them.
        grid: the cutoffs of rows, for `temporal`.
        split: how test pairs are held out.
        train: positions of the training pairs.
        valid: positions of the validation pairs.
        seed: of the inner folds.
    """
    space = text.TextSpace.of(evidence, train)
    fitted = _fitted(evidence, np.sort(np.concatenate([train, valid])), space)
    names = list(fitted)
    values = np.stack([fitted[name] for name in names], axis=1)
    # These have seen the labels of their own pairs.
    values[np.concatenate([train, valid])] = np.nan
    inner_folds = _inner_folds(evidence, grid, split, train, seed)
    for held_out, rest in [(valid, train), *inner_folds]:
        if len(held_out) > 0 and len(rest) > 0:
            inner = _fitted(evidence, rest, space)
            values[held_out] = np.stack(
                [inner[name][held_out] for name in names], axis=1
            )
    plain = _plain(evidence, space)
    names += list(plain)
    values = np.concatenate([values, np.stack(list(plain.values()), axis=1)], axis=1)
    return SignalTable(tuple(names), values.astype(np.float32))


def logit(rate: np.ndarray) -> np.ndarray:
    """Returns log(p / (1 − p)), p cut to [.0001, .9999]."""
    safe = np.clip(rate, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(safe / (1 - safe)))


def _fitted(
    evidence: Evidence, train: np.ndarray, space: text.TextSpace
) -> dict[str, np.ndarray]:
    """Signals that look at the labels of `train`, float64 (num_pairs,) each."""
    user, challenge = evidence.pairs.user, evidence.pairs.challenge
    popular = rates.popularity(evidence, train)
    words = rates.propensity_of_words(evidence, train, space)
    ready = rates.propensity(evidence, train, words)
    towards = text.one_vs_rest(evidence, train, space, popular)
    return {
        "rates/popularity": logit(popular)[challenge],
        "rates/propensity_of_words": logit(words)[user],
        "rates/propensity": logit(ready)[user],
        "text/one_vs_rest": towards[user, challenge],
        "neighbours/ease": neighbours.ease(evidence, train)[user, challenge],
        "neighbours/captions": neighbours.caption_neighbours(evidence, train)[
            user, challenge
        ],
    }


def _plain(evidence: Evidence, space: text.TextSpace) -> dict[str, np.ndarray]:
    """Signals that look at no label, float64 (num_pairs,) each."""
    user, challenge = evidence.pairs.user, evidence.pairs.challenge
    pairwise = {
        "text/towards_supporters": text.towards_supporters(evidence, space),
        "text/cosine": text.cosine(space),
        "text/caption_cosine": neighbours.caption_cosine(evidence),
    }
    timed = timing.time_overlap(evidence)
    pairwise |= {f"time/{name}": values for name, values in timed.items()}
    signals = {name: values[user, challenge] for name, values in pairwise.items()}
    recent = timing.recent_supporters(evidence)
    signals["rates/supporters"] = np.log1p(evidence.num_supporters)[challenge]
    signals["rates/recent_supporters"] = np.log1p(recent)[challenge]
    for name, values in engagement.user_habits(evidence).items():
        signals[f"engagement/user_{name}"] = values[user]
    for name, values in engagement.challenge_habits(evidence).items():
        signals[f"engagement/challenge_{name}"] = values[challenge]
    return signals


def _inner_folds(
    evidence: Evidence, grid: Grid, split: str, train: np.ndarray, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields training pairs to score, and the training pairs to fit on."""
    rng = np.random.default_rng(seed)

    def draw(group: np.ndarray, num_folds: int) -> np.ndarray:
        number = rng.permutation(int(group.max()) + 1) % num_folds
        return np.asarray(number[group][train])

    one = np.zeros(len(train), np.int64)
    person, topic = evidence.pair_person, evidence.pair_topic
    sides: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
        "random_pair": lambda: (draw(np.arange(len(person)), _NUM_INNER_FOLDS), one),
        "cold_user": lambda: (draw(person, _NUM_INNER_FOLDS), one),
        "cold_challenge": lambda: (draw(topic, _NUM_INNER_FOLDS), one),
        "cold_both": lambda: (
            draw(person, _NUM_INNER_SIDES),
            draw(topic, _NUM_INNER_SIDES),
        ),
        "temporal": lambda: (
            np.unique(
                np.array(grid.user_cutoffs)[evidence.pairs.user[train]],
                return_inverse=True,
            )[1],
            one,
        ),
    }
    left, right = sides[split]()
    for a in np.unique(left):
        for b in np.unique(right):
            is_out = (left == a) & (right == b)
            is_rest = left != a
            if split == "cold_both":
                is_rest &= right != b
            yield train[is_out], train[is_rest]
