"""Tests that signatures are consistent, on a bundle of captions only."""

import numpy as np
import pytest

from dc_keras.serving.raw_requests import RawPost, RawUser, pack_posts


@pytest.fixture(scope="module")
def predictor(served_text):
    return served_text.predictor


_CAPTIONS = np.array([["so good", "a #song"], ["my cat", ""]], object)
_NO_FRAMES = np.full((2, 2, 1), b"", object)


def test_ranked_challenges_have_the_scores_that_they_get_one_by_one(predictor):
    ranked = predictor.call("rank_challenges", captions=_CAPTIONS, frames=_NO_FRAMES)
    assert np.all(np.diff(ranked["probability"], axis=1) <= 0)
    for column in range(2):
        alone = predictor.call(
            "serving_default",
            challenge=ranked["challenge"][:, column],
            captions=_CAPTIONS,
            frames=_NO_FRAMES,
        )
        np.testing.assert_allclose(
            alone["probability"], ranked["probability"][:, column], atol=1e-6
        )


def test_prepared_users_have_the_scores_of_their_representations(predictor):
    user = predictor.call("embed_user", captions=_CAPTIONS, frames=_NO_FRAMES)["user"]
    prepared = predictor.call("prepare_users", user=user)["prepared"]
    challenge = predictor.find_challenges(["cats"])
    ranked = predictor.call("rank_users", prepared=prepared, challenge=challenge)
    whole = predictor.call(
        "score", user=user, challenge=np.tile(challenge, (len(user), 1))
    )
    np.testing.assert_allclose(ranked["probability"], whole["probability"], atol=1e-5)


def test_tokens_answer_as_their_captions_do(served_text, predictor):
    from dc_keras.encoders.text import TextSpec, build_text_encoder

    spec = TextSpec.from_settings(predictor.config["sides"]["user"]["text"])
    model = build_text_encoder(spec).model
    flat = model.get_layer("pack")(model.get_layer("clean")(_CAPTIONS.ravel()))
    token_ids = flat["token_ids"].numpy().reshape(2, 2, -1)
    token_ids[1, 1] = 0  # the empty caption is padding
    inputs = {"challenge": np.array(["cats", "dance"], object), "frames": _NO_FRAMES}
    inputs["captions"] = _CAPTIONS
    tokens = predictor.call("tokens", token_ids=token_ids, **inputs)
    whole = predictor.call("serving_default", **inputs)
    np.testing.assert_allclose(tokens["probability"], whole["probability"], atol=1e-5)


def test_a_challenge_is_the_mean_of_its_videos(predictor):
    posts = [RawPost("a #dance"), RawPost("spin around")]
    both = predictor.represent_challenge(posts)
    each = [predictor.represent_challenge([post]) for post in posts]
    width = 8  # of x^c, which is a mean
    np.testing.assert_allclose(both[:width], np.mean(each, axis=0)[:width], atol=1e-5)


def test_single_posts_are_embedded_as_those_of_sets(predictor):
    posts = [RawPost("a #dance"), RawPost("spin around")]
    videos = predictor.call(
        "embed_video",
        captions=np.array([post.caption for post in posts], object),
        frames=np.full((2, 1), b"", object),
    )
    for side in ("user", "challenge"):
        np.testing.assert_allclose(
            videos[f"{side}_video"], predictor.embed_posts(side, posts), atol=1e-5
        )


def test_answers_are_those_of_the_fitted_model(served_text, predictor):
    answered = predictor.predict(served_text.users, predictor.challenges)
    expected = predictor.calibration.apply(served_text.probability)
    np.testing.assert_allclose(answered, expected, atol=1e-4)


def test_facts_affect_the_score_and_are_optional(served_text, predictor):
    whole = predictor.predict(served_text.users, predictor.challenges)
    without = predictor.predict(served_text.histories, predictor.challenges)
    assert np.abs(whole - without).max() > 1e-3
    inputs = pack_posts(served_text.histories, "user")
    only = predictor.call(
        "captions_only",
        challenge=np.full(len(without), b"cats", object),
        captions=inputs["captions"],
        frames=inputs["frames"],
    )
    column = predictor.challenges.index("cats")
    np.testing.assert_allclose(only["probability"], without[:, column], atol=1e-6)


def test_known_joins_and_dates_affect_the_score(predictor):
    posts = [RawPost("so good", create_time=1_600_000_000)]
    users = [
        RawUser(posts),
        RawUser(posts, joined=["dance"]),
        RawUser(posts, joined=[]),
        RawUser(posts, now=1_700_000_000),
    ]
    vectors = predictor.represent_users(users)
    assert len(np.unique(vectors, axis=0)) == len(users)


def test_probabilities_are_calibrated(predictor):
    assert predictor.calibration.num_pairs > 0


def test_known_joins_stand_in_the_order_of_the_bundles_challenges(predictor):
    posts = [RawPost("so good")]
    users = [RawUser(posts, joined=[name]) for name in predictor.challenges]
    # The last number of a user is the day of the question; see `context.pairs`.
    count = len(users)
    joined = predictor.represent_users(users)[:, -1 - count : -1]
    np.testing.assert_array_equal(joined, np.eye(count))
