"""The labelled (user, challenge) pairs of a participation grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dc_keras.errors import DataError
from dc_keras.study.participation import Grid


@dataclass(frozen=True)
class Pairs:
    """The (user, challenge) pairs of a grid that have a label.

    Attributes:
        user: int32 (num_pairs,), positions in `Grid.users`.
        challenge: int32 (num_pairs,), positions in `Grid.challenges`.
        label: int32 (num_pairs,), 1 where the user joined.
    """

    user: npt.NDArray[np.int32]
    challenge: npt.NDArray[np.int32]
    label: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.label)


def grid_pairs(grid: Grid) -> Pairs:
    """Returns the observed pairs of a grid, user by user.

    Raises:
        DataError: if all pairs have the same label.
    """
    user, challenge = np.nonzero(grid.observed)
    label = grid.labels[user, challenge]
    if len(np.unique(label)) < 2:
        raise DataError(
            f"the study has {len(label)} pairs, all with the same label; it needs "
            "users who joined and users who did not"
        )
    return Pairs(
        user.astype(np.int32), challenge.astype(np.int32), label.astype(np.int32)
    )
