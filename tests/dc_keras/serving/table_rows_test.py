"""End-to-end tests of bundles of other rows of Table II: baselines, single features."""

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.options import ContextOptions
from dc_keras.serving.add_challenge import add_challenge
from dc_keras.serving.attribution import explain
from dc_keras.serving.predictor import Predictor
from dc_keras.serving.ranking import Ranker
from dc_keras.serving.raw_requests import RawPost
from dc_keras.serving.sample_requests import make_requests

_BASELINES = ("tiny_frames", "tiny_frames+BERT")
_FEATURES = ("rates/popularity", "text/caption_cosine")


@pytest.fixture(scope="module", params=[*_BASELINES, *_FEATURES])
def bundle(request, make_served):
    row = {"baseline": request.param}
    if request.param in _FEATURES:
        row = {"context": ContextOptions(context=request.param, videos=False)}
    return make_served(["tiny_frames"], "tiny_texts", **row)


@pytest.fixture(scope="module")
def predictor(bundle):
    return Predictor.load(bundle.place)


@pytest.fixture
def baseline(predictor):
    """A bundle of a baseline of the paper."""
    if predictor.config["baseline"] is None:
        pytest.skip("only for baselines of the paper")
    return predictor


def test_answers_and_ranks_are_those_of_the_fitted_model(bundle, predictor):
    expected = predictor.calibration.apply(bundle.probability)
    assert np.ptp(expected) > 1e-3
    users = predictor.represent_users(bundle.users)
    ranker = Ranker(predictor.prepare_users(users), predictor.signatures["rank_users"])
    answered = predictor.predict(bundle.users, predictor.challenges)
    np.testing.assert_allclose(answered, expected, atol=1e-4)
    for column, name in enumerate(predictor.challenges):
        [challenge] = predictor.find_challenges([name])
        ranked = ranker.score(challenge)
        np.testing.assert_allclose(ranked, expected[:, column], atol=1e-4)


def test_every_sample_is_answered_with_numbers(bundle, predictor):
    for name, inputs in make_requests(bundle.place):
        for value in predictor.call(name, **inputs).values():
            assert value.dtype != np.float32 or np.isfinite(value).all()


def test_a_baseline_is_explained_by_the_users_posts(bundle, baseline):
    user = next(u for u in bundle.users if len(u.posts) == 3)
    found = explain(baseline, user, "dance", most_posts=3)
    [whole] = baseline.predict([user], ["dance"])[0]
    assert found.probability == pytest.approx(whole, abs=1e-5)
    assert len(found.user) == 3
    reads_captions = baseline.config["baseline"].endswith("BERT")
    assert any(post.words for post in found.user) is reads_captions
    assert any(post.frames for post in found.user)
    assert found.challenge_posts == found.facts == ()
    with pytest.raises(DataError, match=r"has 0 posts of 'dance'. Received: support=1"):
        explain(baseline, user, "dance", [RawPost("spin")])


def test_a_baseline_cannot_learn_a_challenge(bundle, baseline):
    told = r"one output for each challenge .* Received: baseline=tiny_frames"
    with pytest.raises(DataError, match=told):
        add_challenge(bundle.place, "umbrella", [RawPost("open an umbrella")])
    with pytest.raises(DataError, match=told):
        baseline.represent_challenge([RawPost("open an umbrella")])
    assert [path.name for path in bundle.place.parent.iterdir() if path.is_dir()] == [
        "1"
    ]


def test_unknown_challenges_have_the_mean_log_odds_of_the_others(bundle, baseline):
    [user] = baseline.represent_users(bundle.users[:1])
    unknown = baseline.call("find_challenge", name=np.array([b"umbrella"], object))
    assert not unknown["known_challenge"][0]
    np.testing.assert_allclose(unknown["challenge"][0] @ user, user.mean(), atol=1e-6)
