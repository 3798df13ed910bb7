"""Tests that effects equal those of requests without the items."""

import dataclasses

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.serving.attribution import explain
from dc_keras.serving.calibration import log_odds
from dc_keras.serving.predictor import RawPost


@pytest.fixture(scope="module")
def predictor(served):
    return served.predictor


@pytest.fixture(scope="module")
def history(served):
    """Returns three posts, one of them with all frames."""
    return next(
        h
        for h in served.histories
        if len(h) == 3 and max(len(post.jpegs) for post in h) == 3
    )


@pytest.fixture(scope="module")
def found(predictor, history):
    return explain(predictor, history, "dance", most_posts=3)


def _probability(predictor, history):
    return float(predictor.predict([history], ["dance"])[0, 0])


def test_the_probability_is_that_of_the_bundle(predictor, history, found):
    assert found.challenge == "dance"
    assert found.probability == pytest.approx(
        _probability(predictor, history), abs=1e-5
    )


def test_the_effect_of_a_post_equals_a_request_without_it(predictor, history, found):
    whole = log_odds(np.array(found.probability))
    for position, post in enumerate(found.user):
        others = [p for i, p in enumerate(history) if i != position]
        without = _probability(predictor, others)
        assert post.whole.probability == pytest.approx(without, abs=1e-5)
        moved = whole - log_odds(np.array(without))
        assert post.whole.log_odds == pytest.approx(moved, abs=1e-3)


def test_effects_of_frames_and_words_equal_requests_without_them(
    predictor, history, found
):
    [position] = [i for i, p in enumerate(history) if len(p.jpegs) == 3][:1]
    post, effects = history[position], found.user[position]
    assert len(effects.frames) == 3
    assert [word.name for word in effects.words] == post.caption.split()

    def call_signature(changed):
        changed = [*history[:position], changed, *history[position + 1 :]]
        return _probability(predictor, changed)

    for number, frame in enumerate(effects.frames):
        jpegs = [j for i, j in enumerate(post.jpegs) if i != number]
        assert frame.probability == pytest.approx(
            call_signature(dataclasses.replace(post, jpegs=jpegs)), abs=1e-5
        )
    for number, word in enumerate(effects.words):
        words = post.caption.split()
        del words[number]
        caption = " ".join(words)
        assert word.probability == pytest.approx(
            call_signature(dataclasses.replace(post, caption=caption)), abs=1e-5
        )


def test_every_post_of_the_challenge_is_left_out(predictor, history, found):
    support = predictor.call("find_support", name=np.array([b"dance"], object))
    videos, valid = support["challenge_videos"][0], support["valid"][0]
    assert len(found.challenge_posts) == valid.sum() > 2
    user = predictor.represent_users([history])
    for position, post in enumerate(found.challenge_posts):
        others = np.delete(videos[valid], position, axis=0)[None]
        joined = predictor.call(
            "join_challenge",
            challenge_videos=others,
            valid=np.ones(others.shape[:2], bool),
            name=np.array([b"dance"], object),
        )["challenge"]
        answer = predictor.call("score", user=user, challenge=joined)["probability"]
        assert post.whole.probability == pytest.approx(float(answer[0]), abs=1e-5)
        assert (post.frames, post.words) == ((), ())


def test_given_challenge_posts_have_effects_of_parts(predictor, history, found):
    number = len(found.challenge_posts)
    support = [RawPost(f"word{i} more", history[0].jpegs) for i in range(number)]
    given = explain(predictor, history, "dance", support, most_posts=1)
    [looked] = [i for i, post in enumerate(given.challenge_posts) if post.words]
    moved = [abs(post.whole.log_odds) for post in given.challenge_posts]
    assert looked == int(np.argmax(moved))
    names = [word.name for word in given.challenge_posts[looked].words]
    assert names == [f"word{looked}", "more"]
    with pytest.raises(DataError, match=rf"{number} posts of 'dance'.*support=1"):
        explain(predictor, history, "dance", support[:1])


def test_the_only_post_cannot_be_left_out(predictor, history):
    alone = explain(predictor, history[:1], "dance")
    [post] = alone.user
    assert (post.whole.probability, post.whole.log_odds) == (None, None)
    assert len(post.words) == len(history[0].caption.split())


def test_posts_beyond_the_history_do_not_count(predictor, history, found):
    longer = explain(predictor, [*history, RawPost("one more")], "dance", most_posts=0)
    assert len(longer.user) == 3
    assert longer.probability == pytest.approx(found.probability, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "seen", "unseen"),
    [
        ("served_text", "words", "frames"),
        pytest.param("served_vision", "frames", "words", marks=pytest.mark.long),
    ],
)
def test_unused_inputs_have_no_effects(request, kind, seen, unseen):
    served = request.getfixturevalue(kind)
    history = next(h for h in served.histories if h[0].jpegs)
    [first, *_] = explain(served.predictor, history, "cats").user
    assert getattr(first, seen)
    assert getattr(first, unseen) == ()


@pytest.mark.parametrize(
    ("posts", "challenge", "message"),
    [((), "dance", "at least one post"), ([RawPost("hi")], "chess", "'chess'")],
)
def test_invalid_explanations_are_refused(predictor, posts, challenge, message):
    with pytest.raises(DataError, match=message):
        explain(predictor, posts, challenge)
