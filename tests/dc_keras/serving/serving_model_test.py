"""What the signatures say of each other, on a bundle that reads captions alone."""

import numpy as np
import pytest
import tensorflow as tf

from dc_keras.serving.predictor import Predictor, RawPost


@pytest.fixture(scope="module")
def predictor(served_text):
    return Predictor.load(served_text.place)


def _ask(predictor, signature, **inputs):
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    return {k: v.numpy() for k, v in predictor.signatures[signature](**tensors).items()}


_CAPTIONS = np.array([["so good", "a #song"], ["my cat", ""]], object)
_NO_FRAMES = np.full((2, 2, 1), b"", object)


def test_ranked_challenges_have_the_scores_that_they_get_one_by_one(predictor):
    ranked = _ask(predictor, "rank_challenges", captions=_CAPTIONS, frames=_NO_FRAMES)
    assert np.all(np.diff(ranked["probability"], axis=1) <= 0)
    for column in range(2):
        alone = _ask(
            predictor,
            "serving_default",
            challenge=ranked["challenge"][:, column],
            captions=_CAPTIONS,
            frames=_NO_FRAMES,
        )
        np.testing.assert_allclose(
            alone["probability"], ranked["probability"][:, column], atol=1e-6
        )


def test_prepared_users_have_the_scores_of_their_representations(predictor):
    user = _ask(predictor, "embed_user", captions=_CAPTIONS, frames=_NO_FRAMES)["user"]
    prepared = _ask(predictor, "prepare_users", user=user)["prepared"]
    challenge = predictor.find_challenges(["cats"])
    ranked = _ask(predictor, "rank_users", prepared=prepared, challenge=challenge)
    whole = _ask(
        predictor, "score", user=user, challenge=np.tile(challenge, (len(user), 1))
    )
    np.testing.assert_allclose(ranked["probability"], whole["probability"], atol=1e-5)


def test_tokens_answer_as_their_captions_do(served_text, predictor):
    from dc_keras.encoders.text import TextSpec, build_text_encoder

    spec = TextSpec.from_settings(predictor.config["sides"]["user"]["text"])
    model = build_text_encoder(spec).model
    flat = model.get_layer("pack")(model.get_layer("clean")(_CAPTIONS.ravel()))
    token_ids = flat["token_ids"].numpy().reshape(2, 2, -1)
    token_ids[1, 1] = 0  # the empty caption is padding
    asked = {"challenge": np.array(["cats", "dance"], object), "frames": _NO_FRAMES}
    told = _ask(predictor, "tokens", token_ids=token_ids, **asked)
    whole = _ask(predictor, "serving_default", captions=_CAPTIONS, **asked)
    np.testing.assert_allclose(told["probability"], whole["probability"], atol=1e-5)


def test_a_challenge_is_the_mean_of_its_videos(predictor):
    posts = [RawPost("a #dance"), RawPost("spin around")]
    both = predictor.represent_challenge(posts)
    each = [predictor.represent_challenge([post]) for post in posts]
    np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-5)
    videos = _ask(
        predictor,
        "embed_video",
        captions=np.array([post.caption for post in posts], object),
        frames=np.full((2, 1), b"", object),
    )
    np.testing.assert_allclose(videos["challenge_video"], each, atol=1e-5)


def test_probabilities_are_calibrated(served_text, predictor):
    assert predictor.calibration.num_pairs > 0
    scores = predictor.predict(served_text.histories, predictor.challenges)
    np.testing.assert_allclose(
        scores, predictor.calibration.apply(served_text.probability), atol=1e-5
    )
