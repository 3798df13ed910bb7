"""The score of a pair; models with context are in `runs_test`."""

import keras
import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.models.deep_challenger import HEAD, DeepChallenger
from dc_keras.options import ModelOptions
from dc_keras.training import participation_model as module
from dc_keras.training.participation_model import ParticipationModel


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    sizes = {"support_max": 2, "challenge_dim": 5, "history_max": 3, "user_dim": 4}
    options = ModelOptions(hidden_dim=6, projection_dim=3)
    return ParticipationModel(DeepChallenger(**sizes, **options.to_dict()), None)


def test_a_model_without_videos_and_context_is_refused():
    with pytest.raises(DataError, match="must use videos or context"):
        ParticipationModel(None, None)


def test_without_context_the_score_is_that_of_the_fusion(model, monkeypatch):
    assert (model.user_width, model.challenge_width) == (4, 5)
    rng = np.random.default_rng(0)
    users, challenges = (
        rng.normal(size=shape).astype(np.float32) for shape in ((7, 4), (3, 5))
    )
    user, challenge = np.divmod(np.arange(21), 3)
    head = model.fusion.get_layer(HEAD)
    expected = head([challenges[challenge], users[user]]).numpy()
    monkeypatch.setattr(module, "_CHUNK", 5)
    found = model.predict(users, challenges, user, challenge)
    np.testing.assert_allclose(found, expected, atol=1e-6)
