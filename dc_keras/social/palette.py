"""Colours of communities, told apart by colour-blind eyes too.

Okabe and Ito's colours (2008) without black, and three of Tol's muted ones (2021).
"""

from __future__ import annotations

import numpy as np

PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#882255",
    "#999933",
    "#332288",
)
# All communities beyond the palette: more colours than these nobody tells apart.
OTHER = "#B8BEC4"


def community_colours(membership: np.ndarray) -> list[str]:
    """Returns a colour (#RRGGBB) a user; smaller communities share the last one.

    Args:
        membership: int64 (num_users,): communities from 0, the largest first.
    """
    colours = (*PALETTE, OTHER)
    return [colours[min(group, len(PALETTE))] for group in membership.tolist()]
