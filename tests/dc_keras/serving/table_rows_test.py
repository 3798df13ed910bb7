"""End-to-end tests of bundles of other rows of Table II: baselines, single features."""

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.options import ContextOptions
from dc_keras.serving.add_challenge import add_challenge
from dc_keras.serving.attribution import explain
from dc_keras.serving.ranking import Ranker
from dc_keras.serving.raw_requests import RawPost
from dc_keras.serving.sample_requests import make_requests


@pytest.fixture(scope="module")
def baseline(make_served):
    return make_served(["tiny_frames"], "tiny_texts", baseline="tiny_frames+BERT")


@pytest.fixture(scope="module")
def feature(make_served):
    """A bundle of a single context feature."""
    context = ContextOptions(context="rates/popularity", videos=False)
    # Without exceptions, the two challenges would be equally popular.
    return make_served(["tiny_frames"], "tiny_texts", context, exceptions=0.2)


@pytest.fixture(scope="module")
def predictor(baseline):
    return baseline.predictor


@pytest.mark.parametrize("row", ["baseline", "feature"])
def test_answers_and_ranks_are_those_of_the_fitted_model(request, row):
    bundle = request.getfixturevalue(row)
    predictor = bundle.predictor
    expected = predictor.calibration.apply(bundle.probability)
    assert np.ptp(expected) > 1e-3
    users = predictor.represent_users(bundle.users)
    ranker = Ranker(predictor.prepare_users(users), predictor.model)
    answered = predictor.predict(bundle.users, predictor.challenges)
    np.testing.assert_allclose(answered, expected, atol=1e-4)
    for column, name in enumerate(predictor.challenges):
        [challenge] = predictor.find_challenges([name])
        ranked = ranker.score(challenge)
        np.testing.assert_allclose(ranked, expected[:, column], atol=1e-4)


def test_every_sample_is_answered_with_numbers(baseline, predictor):
    for name, inputs in make_requests(baseline.place):
        for value in predictor.call(name, **inputs).values():
            assert value.dtype != np.float32 or np.isfinite(value).all()


def test_a_baseline_is_explained_by_the_users_posts(baseline, predictor):
    user = next(u for u in baseline.users if len(u.posts) == 3)
    found = explain(predictor, user, "dance", most_posts=3)
    [whole] = predictor.predict([user], ["dance"])[0]
    assert found.probability == pytest.approx(whole, abs=1e-5)
    assert len(found.user) == 3
    assert any(post.words for post in found.user)
    assert any(post.frames for post in found.user)
    assert found.challenge_posts == found.facts == ()
    with pytest.raises(DataError, match=r"has 0 posts of 'dance'. Received: support=1"):
        explain(predictor, user, "dance", [RawPost("spin")])


def test_a_baseline_cannot_learn_a_challenge(baseline, predictor):
    told = r"one output for each challenge .* Received: baseline=tiny_frames"
    with pytest.raises(DataError, match=told):
        add_challenge(baseline.place, "umbrella", [RawPost("open an umbrella")])
    with pytest.raises(DataError, match=told):
        predictor.represent_challenge([RawPost("open an umbrella")])
    versions = [path.name for path in baseline.place.parent.iterdir() if path.is_dir()]
    assert versions == ["1"]


def test_unknown_challenges_have_the_mean_log_odds_of_the_others(baseline, predictor):
    [user] = predictor.represent_users(baseline.users[:1])
    unknown = predictor.call("find_challenge", name=np.array([b"umbrella"], object))
    assert not unknown["known_challenge"][0]
    np.testing.assert_allclose(unknown["challenge"][0] @ user, user.mean(), atol=1e-6)
