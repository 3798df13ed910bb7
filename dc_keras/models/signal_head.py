"""The last word: what simple models and the videos say of a pair, weighed together."""

from __future__ import annotations

import keras

from dc_keras.models.copies import dense, probability
from dc_keras.models.dropping import DropUnits
from dc_keras.models.pooling import StandardizeKnown

SIGNALS = "standardize_signals"
DENSE = "dense_signals"


def build_signal_head(
    num_signals: int, signal_dim: int, dropout: float, copies: int | None = None
) -> keras.Model:
    """Builds signals → probability.

    The last layer sees the signals themselves, standardised, and a dense layer of them:
    the head contains every simple model and their logistic stack, and so need not lose
    to them. What the videos say is one more signal (`training.signal_head`).

    Input `signals`: float32 (batch_size, num_signals), NaN where unknown. Output
    `probability`: float32 (batch_size,), in (0, 1); (batch_size, copies) of copies.

    Args:
        num_signals: signals a pair.
        signal_dim: width of the dense layer.
        dropout: after it, in [0, 1).
        copies: number of heads that differ in all but the standardisation, or None.
    """
    signals = keras.Input((num_signals,), name="signals")
    known = StandardizeKnown(num_signals, name=SIGNALS)(signals)
    x = dense([known], signal_dim, copies, DENSE, "relu")
    x = DropUnits(dropout, name="drop_signals")(x)
    joined = probability([known, x], copies)
    return keras.Model({"signals": signals}, joined, name="signal_head")
