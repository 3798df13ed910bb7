import numpy as np
import polars as pl
import pytest

from dc_keras.evaluation.metrics import expected_calibration_error
from dc_keras.serving.calibration import Calibration
from dc_keras.serving.reliability import describe_reliability, predict_out_of_fold


@pytest.fixture
def pairs():
    """Pairs of 400 users and five challenges, with overconfident scores."""
    rng = np.random.default_rng(0)
    true = rng.normal(-1, 1, (400, 5))
    return pl.DataFrame(
        {
            "user_id": np.repeat([f"u{i}" for i in range(400)], 5),
            "challenge": [f"c{c}" for c in range(5)] * 400,
            "score": 1 / (1 + np.exp(-2 * true.ravel())),
            "label": (rng.random(2000) < 1 / (1 + np.exp(-true.ravel()))).astype(int),
        }
    )


def _fit(pairs, method="platt"):
    columns = (pairs[name].to_numpy().astype(float) for name in ("score", "label"))
    return Calibration.fit(*columns, pairs["challenge"].to_list(), method)


def test_out_of_fold_calibration_excludes_the_user(pairs):
    changed = pairs.with_columns(
        label=pl.when(pl.col("user_id") == "u7")
        .then(1 - pl.col("label"))
        .otherwise("label")
    )
    before, after = (
        predict_out_of_fold(table, "isotonic") for table in (pairs, changed)
    )
    rows = (pairs["user_id"] == "u7").to_numpy()
    np.testing.assert_array_equal(before[rows], after[rows])
    assert not np.array_equal(before, after)


def test_the_card_shows_the_effect_of_calibration(pairs, tmp_path):
    pairs.write_parquet(tmp_path / "predictions.parquet")
    text = describe_reliability(tmp_path, _fit(pairs))
    labels = pairs["label"].to_numpy().astype(float)
    held_out = predict_out_of_fold(pairs, "platt")
    raw, calibrated = (
        expected_calibration_error(labels, p)
        for p in (pairs["score"].to_numpy(), held_out)
    )
    assert calibrated < raw / 2
    assert f"| {raw:.4f} |" in text
    assert f"| {calibrated:.4f} |" in text
    assert "by `platt` on 2,000 validation pairs of 400 users" in text
    assert text.count("| 200 |") == 10


@pytest.mark.parametrize(
    ("num_users", "method", "said"),
    [(400, "none", "not calibrated"), (4, "platt", "too few users to measure")],
)
def test_uncalibrated_scores_have_no_tables(pairs, tmp_path, num_users, method, said):
    few = pairs.head(5 * num_users)
    few.write_parquet(tmp_path / "predictions.parquet")
    calibration = _fit(pairs, method)
    assert said in describe_reliability(tmp_path, calibration)
