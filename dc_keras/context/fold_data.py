"""The data of one fold for context features and simple baselines."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from dc_keras.context.post_features import ACCOUNT_COUNTS, PostFacts, find_past
from dc_keras.study.pairs import Pairs, grid_pairs
from dc_keras.study.participation import Grid

_NO_ACCOUNT = np.full(len(ACCOUNT_COUNTS), np.nan)


@dataclass(frozen=True)
class Evidence:
    """Users, challenges and pairs of a fold.

    Labels are in `pairs` only.

    Attributes:
        pairs: the observed pairs. A model may only use the labels of training pairs.
        person: int64 (num_users,), number of the person of each row; a grid that joins
            several cutoffs has several rows per person.
        topic: int64 (num_challenges,), number of the challenge of each column,
            likewise.
        facts: facts of the posts.
        histories: rows of `facts` for each user, newest first.
        support: rows of `facts` for each challenge, without posts of hidden users.
        pool_histories: rows of `facts` for each user of the pool, newest first.
        pool_joined: float64 (num_pool, num_challenges), 1 where a user of the pool
            joined the challenge.
        num_supporters: float64 (num_challenges,), number of authors of the support.
        user_cutoffs: float64 (num_users,), UTC seconds; NaN without a cutoff.
        accounts: float64 (num_users, 3), see `PostFacts.accounts`; NaN where unknown.
        pasts: float64 (num_users, 3), see `post_features.read_pasts`; NaN where
            unknown.
    """

    pairs: Pairs
    person: np.ndarray
    topic: np.ndarray
    facts: PostFacts
    histories: tuple[np.ndarray, ...]
    support: tuple[np.ndarray, ...]
    pool_histories: tuple[np.ndarray, ...]
    pool_joined: np.ndarray
    num_supporters: np.ndarray
    user_cutoffs: np.ndarray
    accounts: np.ndarray
    pasts: np.ndarray

    @classmethod
    def of(
        cls,
        grid: Grid,
        facts: PostFacts,
        hidden_users: Collection[str] = (),
    ) -> Evidence:
        """Collects the evidence of a grid.

        Args:
            grid: users, challenges, and the videos of each side.
            facts: facts of these videos.
            hidden_users: users whose videos must not describe a challenge.
        """
        support = [
            [v for v in videos if grid.video_users[v] not in hidden_users]
            for videos in grid.support
        ]
        authors = [{grid.video_users[v] for v in videos} for videos in support]
        joined = [[user in of_one for of_one in authors] for user in grid.pool_users]
        shape = (len(grid.pool_users), len(grid.challenges))
        return cls(
            pairs=grid_pairs(grid),
            person=np.unique(np.array(grid.users), return_inverse=True)[1],
            topic=np.unique(np.array(grid.challenges), return_inverse=True)[1],
            facts=facts,
            histories=tuple(facts.rows(ids) for ids in grid.histories),
            support=tuple(facts.rows(ids) for ids in support),
            pool_histories=tuple(facts.rows(ids) for ids in grid.pool_histories),
            pool_joined=np.array(joined, np.float64).reshape(shape),
            num_supporters=np.array([len(of_one) for of_one in authors], np.float64),
            user_cutoffs=_user_cutoffs(grid),
            accounts=np.array([facts.accounts.get(u, _NO_ACCOUNT) for u in grid.users]),
            pasts=find_past(facts.pasts, grid),
        )

    @property
    def pair_person(self) -> np.ndarray:
        """Number of the person of each pair, int64 (num_pairs,)."""
        return np.asarray(self.person[self.pairs.user])

    @property
    def pair_topic(self) -> np.ndarray:
        """Number of the challenge of each pair, int64 (num_pairs,)."""
        return np.asarray(self.topic[self.pairs.challenge])


def _user_cutoffs(grid: Grid) -> np.ndarray:
    """Returns the cutoff of each user: its own, or that of the study."""
    if grid.user_cutoffs:
        return np.array(grid.user_cutoffs, np.float64)
    cutoff = grid.settings.get("cutoff")
    return np.full(len(grid.users), np.nan if cutoff is None else float(cutoff))
