"""Measures the coverage of the forecast number of participants on simulated worlds.

    python -m benchmarks.forecasts --worlds=20

Each world has different users and challenges (synthetic; captions, no media). A
deepChallenger of the default preset is trained and calibrated on six tenths of its
panel, as `export_model` does, and forecasts for each challenge how many of the other
users join. Prints how often the true number lies in the interval, over all worlds and
challenges, for each confidence level.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.famous_captions import minilm_handle
from benchmarks.worlds import import_world
from dc_keras.context.post_features import PostFacts, read_facts
from dc_keras.encoders.text import TextEncoder, TextSpec, build_text_encoder
from dc_keras.evaluation.experiment import Experiment
from dc_keras.evaluation.fold_run import FoldRun
from dc_keras.features import Features
from dc_keras.serving.calibration import Calibration, forecast_participants
from dc_keras.simulation.world import WorldConfig, simulate_world
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.participation import Grid
from dc_keras.study.splits import Fold
from dc_keras.training.recipe import Recipe

_WORLDS = flags.DEFINE_integer("worlds", 20, "Number of worlds.", lower_bound=1)
_FIRST = flags.DEFINE_integer(
    "first_world", 0, "Seed of the first world.", lower_bound=0
)
_USERS = flags.DEFINE_integer(
    "users", 400, "Number of users per world.", lower_bound=50
)
_CHALLENGES = flags.DEFINE_integer(
    "challenges", 12, "Number of challenges per world.", 2
)
_LEVELS = (0.5, 0.8, 0.9)
_TRAINED_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class _TestPredictions:
    """Predictions for the test users of a world.

    Attributes:
        probability: Calibrated probabilities, (num_users, num_challenges).
        joined: Labels, 0 or 1, (num_users, num_challenges).
        challenges: Names of the challenges.
        calibration: Calibration of the model.
    """

    probability: np.ndarray
    joined: np.ndarray
    challenges: tuple[str, ...]
    calibration: Calibration


def main(_: list[str]) -> None:
    """Prints one line per world, and the coverage over all worlds."""
    inside: dict[float, list[bool]] = {level: [] for level in _LEVELS}
    encoder = _text_encoder()
    for seed in range(_FIRST.value, _FIRST.value + _WORLDS.value):
        test = _predict_test_users(seed, encoder)
        errors = []
        for column, name in enumerate(test.challenges):
            true = int(test.joined[:, column].sum())
            for level in _LEVELS:
                forecast = forecast_participants(
                    test.probability[:, column], test.calibration, name, level=level
                )
                inside[level].append(forecast.low <= true <= forecast.high)
            errors.append(forecast.expected - true)
        print(
            f"world {seed}: of {len(test.joined)} users {test.joined.mean():.3f} "
            f"join, predicted {test.probability.mean():.3f}; expected minus true "
            f"number per challenge {np.mean(errors):+.1f}, root mean square "
            f"{np.sqrt(np.mean(np.square(errors))):.1f}; {test.calibration.num_pairs} "
            f"calibration pairs, spread {test.calibration.spread:.2f}",
            flush=True,
        )
    for level, hits in inside.items():
        print(
            f"level {level:.0%}: {np.mean(hits):.3f} of {len(hits)} numbers inside, "
            f"standard error {np.std(hits) / np.sqrt(len(hits)):.3f} if independent"
        )


def _text_encoder() -> TextEncoder:
    spec = TextSpec(minilm_handle(), max_tokens=32, pooling="mean")
    return build_text_encoder(spec)


def _predict_test_users(seed: int, encoder: TextEncoder) -> _TestPredictions:
    """Draws a world, fits on some of its users and predicts the others."""
    with tempfile.TemporaryDirectory() as scratch:
        grid, table, facts = _world(seed, encoder, Path(scratch))
    order = np.random.default_rng(seed).permutation(len(grid.users))
    ends = np.cumsum([_TRAINED_SHARE * 0.75, _TRAINED_SHARE * 0.25]) * len(order)
    parts = np.split(order, ends.astype(int))
    pairs = grid_pairs(grid)
    rows = [np.flatnonzero(np.isin(pairs.user, part)) for part in parts]
    hidden = frozenset(grid.users[user] for user in np.concatenate(parts[1:]))
    fold = Fold("cold_user", 0, rows[0], rows[1], rows[2], hidden)
    run = FoldRun(Experiment(grid, table, facts), fold, seed, "world", lambda _: None)
    fitted = run.fit(Recipe("deepChallenger"))
    valid = fold.valid
    calibration = Calibration.fit(
        fitted.predict_out_of_fold(valid).astype(float),
        pairs.label[valid].astype(float),
        [grid.challenges[c] for c in pairs.challenge[valid]],
        users=[grid.users[u] for u in pairs.user[valid]],
    )
    scores = np.zeros(grid.labels.shape)
    user, challenge = pairs.user[fold.test], pairs.challenge[fold.test]
    scores[user, challenge] = fitted.predict_rows(fold.test)
    test_users = np.sort(parts[2])
    return _TestPredictions(
        calibration.apply(scores[test_users]),
        grid.labels[test_users],
        grid.challenges,
        calibration,
    )


def _world(
    seed: int, encoder: TextEncoder, directory: Path
) -> tuple[Grid, Features, PostFacts]:
    config = WorldConfig(
        num_users=_USERS.value,
        num_challenges=_CHALLENGES.value,
        seed=seed,
        text_only_share=1.0,
    )
    corpus, grid = import_world(simulate_world(config), directory)
    shown = sorted(grid.video_users)
    captions = [post.caption for post in corpus.find_videos(shown)]
    vectors = encoder.model.predict(np.array(captions, object), 256, verbose=0)
    spec = {"fingerprint": encoder.fingerprint}
    table = Features(tuple(shown), {}, vectors.astype(np.float32), spec)
    return grid, table, read_facts(corpus.videos, grid, users=corpus.users)


if __name__ == "__main__":
    app.run(main)
