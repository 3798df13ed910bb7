import json

import numpy as np
import pytest
import tensorflow as tf

from dc_keras.serving.calibration import (
    METHODS,
    Calibration,
    calibrate,
    forecast_participants,
    log_odds,
)


def _world(seed, num_users=400, num_challenges=12, spread=0.4):
    """Returns overconfident scores that are too low, and challenges with offsets."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-2, 1, (num_users, num_challenges))
    offsets = spread * rng.standard_normal(num_challenges)
    probability = 1 / (1 + np.exp(-(true + offsets)))
    labels = (rng.random(true.shape) < probability).astype(float)
    scores = 1 / (1 + np.exp(-(2 * true + 1)))
    return scores, labels, offsets


def _fit(scores, labels, method="platt", part=slice(None)):
    names = [f"c{c}" for c in range(scores.shape[1])]
    challenges = np.broadcast_to(names, scores[part].shape)
    return Calibration.fit(
        scores[part].ravel(), labels[part].ravel(), challenges.ravel().tolist(), method
    )


def _mean_offset(calibration, challenge):
    return calibration.draw_offsets(challenge, np.random.default_rng(0), 4000).mean()


@pytest.mark.parametrize("method", METHODS)
def test_the_graph_gives_what_numpy_gives(method):
    scores, labels, _ = _world(0)
    calibration = _fit(scores, labels, method)
    given = np.array([0, 1e-6, 0.01, 0.2, 0.5, 0.9, 0.999], np.float32)
    ours = calibration.apply(given)
    graph = calibrate(tf.constant(given), calibration)
    np.testing.assert_allclose(graph, ours, atol=1e-5)
    assert np.all(np.diff(ours) >= 0)
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    assert again == calibration


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_probabilities_are_calibrated(method):
    scores, labels, _ = _world(1, num_users=4000, spread=0.2)
    held_out = slice(2000, None)
    calibration = _fit(scores, labels, method, slice(0, 2000))
    probabilities = calibration.apply(scores[held_out])
    for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 1)):
        inside = (probabilities >= low) & (probabilities < high)
        assert probabilities[inside].mean() == pytest.approx(
            labels[held_out][inside].mean(), abs=0.03
        )


def test_platt_finds_the_line():
    scores, labels, _ = _world(2, num_users=20_000, spread=0)
    calibration = _fit(scores, labels)
    # The truth is (logit − 1) / 2.
    line = np.polyfit(calibration.knots, calibration.values, 1)
    np.testing.assert_allclose(line, [0.5, -0.5], atol=0.03)
    assert calibration.spread < 0.1


def test_offsets_of_challenges_are_found_and_shrunk():
    scores, labels, offsets = _world(3, num_users=5000, num_challenges=40)
    calibration = _fit(scores, labels)
    assert calibration.spread == pytest.approx(offsets.std(), abs=0.1)
    found = np.array([_mean_offset(calibration, f"c{c}") for c in range(40)])
    assert np.corrcoef(found, offsets)[0, 1] > 0.95
    few = _fit(scores, labels, part=slice(0, 40))
    of_few = np.array([_mean_offset(few, f"c{c}") for c in range(40)])
    assert np.std(of_few) < np.std(found)
    assert np.std(of_few) < np.std([delta for delta, _ in few.offsets.values()])


def test_users_who_join_everything_or_nothing_leave_the_curve_uncertain():
    rng = np.random.default_rng(0)
    joins = np.repeat(rng.random(100) < 0.3, 10).astype(float)
    scores = np.full(1000, 0.3)
    challenges = [f"c{c}" for c in range(10)] * 100
    users = np.repeat([f"u{u}" for u in range(100)], 10).tolist()
    alone = Calibration.fit(scores, joins, challenges)
    by_user = Calibration.fit(scores, joins, challenges, users=users)
    # Ten pairs of a user tell no more than one.
    assert by_user.common_error == pytest.approx(
        alone.common_error * np.sqrt(10), rel=0.01
    )


def test_a_few_equal_challenges_may_still_differ():
    spread = _fit(*_world(5, num_users=100, num_challenges=4, spread=0)[:2]).spreads
    assert spread[0] < 0.1
    assert spread[-1] > 0.2
    assert list(spread) == sorted(spread)


def test_too_few_rows_leave_scores_as_they_are():
    scores, labels = np.array([0.2, 0.7, 0.4]), np.array([0.0, 1.0, 0.0])
    calibration = Calibration.fit(scores, labels, ["a", "b", "a"])
    assert (calibration.method, calibration.num_pairs) == ("none", 3)
    np.testing.assert_allclose(calibration.apply(scores), scores)


def test_a_misleading_score_never_reverses_the_ranking():
    scores, labels, _ = _world(4)
    calibration = _fit(1 - scores, labels)
    probabilities = calibration.apply(np.array([0.1, 0.5, 0.9]))
    assert np.all(np.diff(probabilities) > 0)


@pytest.mark.parametrize("is_known", [True, False])
def test_the_interval_covers_the_truth_as_often_as_it_says(is_known):
    # Twenty worlds of twelve challenges, judged on users who calibrated nothing.
    covered = []
    for seed in range(20):
        scores, labels, _ = _world(100 + seed)
        calibration = _fit(scores, labels, part=slice(0, 200))
        probabilities = calibration.apply(scores[200:])
        for c in range(scores.shape[1]):
            forecast = forecast_participants(
                probabilities[:, c],
                calibration,
                f"c{c}" if is_known else None,
                level=0.8,
            )
            covered.append(forecast.low <= labels[200:, c].sum() <= forecast.high)
    # Binomial, but for challenges of one world sharing a calibration: 3 deviations.
    assert np.mean(covered) == pytest.approx(0.8, abs=0.09)


def test_a_forecast_of_certain_events_is_certain():
    sure = forecast_participants(np.array([1.0] * 5 + [0.0] * 3), Calibration(), None)
    assert 4 <= sure.low <= 5 <= sure.high <= 6
    assert sure.expected == pytest.approx(5, abs=0.01)


def test_log_odds_are_finite():
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
