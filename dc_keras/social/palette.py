"""A colour-blind-safe palette for communities.

The colours of Okabe and Ito (2008) without black, and three of Tol's muted colours
(2021).
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
# The colour of all other communities; more colours could not be distinguished.
OTHER = "#B8BEC4"


def community_colours(membership: np.ndarray) -> list[str]:
    """Returns a colour (#RRGGBB) per user; small communities share the last colour.

    Args:
        membership: community of each user, numbered from 0 by descending size, int64
            (num_users,).
    """
    colours = (*PALETTE, OTHER)
    return [colours[min(group, len(PALETTE))] for group in membership.tolist()]
