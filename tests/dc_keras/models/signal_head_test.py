import numpy as np

from dc_keras.models.copies import LOGIT
from dc_keras.models.signal_head import SIGNALS, build_signal_head


def test_the_head_contains_each_simple_model():
    # With a logit of one signal alone, the order of the pairs is that signal's.
    head = build_signal_head(3, 4, 0.0)
    layer = head.get_layer(LOGIT)
    kernel = np.zeros(layer.kernel.shape, np.float32)
    kernel[1] = 1.0
    layer.kernel.assign(kernel)
    scores = head({"signals": np.array([[9, -1, 0], [0, 2, 5]], np.float32)})
    np.testing.assert_allclose(
        scores, 1 / (1 + np.exp(-np.array([-1.0, 2.0]))), rtol=1e-5
    )


def test_an_unknown_signal_counts_as_its_mean():
    head = build_signal_head(3, 4, 0.0)
    layer = head.get_layer(SIGNALS)
    layer.set_moments(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 0.0]))
    unknown, known = (
        head({"signals": np.array([signals], np.float32)})
        for signals in ([np.nan, np.nan, 3], [1, 2, np.nan])
    )
    np.testing.assert_allclose(unknown, known, rtol=1e-6)


def test_the_head_survives_a_file(check_round_trip):
    head = build_signal_head(3, 4, 0.3)
    check_round_trip(head, {"signals": np.array([[0, np.nan, 1]], np.float32)})
