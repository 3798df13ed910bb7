import json

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.serving.add_challenge import add_challenge
from dc_keras.serving.predictor import Predictor, RawPost

_BRIEF = [RawPost("open an umbrella on the beat #umbrella")]


@pytest.fixture(scope="module")
def extended(served_text):
    place = add_challenge(served_text.place, "umbrella", _BRIEF)
    yield served_text.predictor, Predictor.load(place), place
    for version in served_text.place.parent.glob("[2-9]"):
        version.rename(served_text.place.parent.parent / f"moved-{version.name}")


def test_a_new_version_adds_the_challenge_and_keeps_the_others(served_text, extended):
    old, new, place = extended
    assert (place.name, new.challenges) == ("2", (*old.challenges, "umbrella"))
    for users in (served_text.histories, served_text.users):
        before = old.predict(users, old.challenges)
        after = new.predict(users, new.challenges)
        np.testing.assert_allclose(after[:, :-1], before, atol=1e-6)
    np.testing.assert_allclose(
        new.find_challenges(["umbrella"])[0],
        old.represent_challenge(_BRIEF),
        atol=1e-6,
    )
    assert new.model.signatures == old.model.signatures
    added = json.loads((place / "config.json").read_text("utf-8"))["added"]
    assert added == {"umbrella": {"num_posts": 1, "num_frames": 0}}


def test_unknown_names_are_answered_as_before(extended):
    old, new, _ = extended
    inputs = {
        "challenge": np.array(["nobody knows", "umbrella"], object),
        "captions": np.array([["so good"], ["so good"]], object),
        "frames": np.full((2, 1, 1), b"", object),
    }
    before = old.call("serving_default", **inputs)
    after = new.call("serving_default", **inputs)
    assert before["known_challenge"].tolist() == [False, False]
    assert after["known_challenge"].tolist() == [False, True]
    np.testing.assert_allclose(
        after["probability"][0], before["probability"][0], atol=1e-6
    )
    without_facts = new.call("captions_only", **inputs)
    np.testing.assert_allclose(
        without_facts["probability"], after["probability"], atol=1e-6
    )
    inputs.pop("challenge")
    ranked = new.call("rank_challenges", **inputs)
    assert ranked["challenge"].shape == (2, 3)


@pytest.mark.long
def test_a_third_version_can_follow_the_second(extended):
    *_, place = extended
    third = add_challenge(place, "lanterns", [RawPost("light"), RawPost("fly")])
    assert third.name == "3"
    assert Predictor.load(third).challenges[-2:] == ("umbrella", "lanterns")


@pytest.mark.parametrize(
    ("name", "posts", "message"),
    [
        ("dance", _BRIEF, "must have a name that the bundle does not know"),
        (" ", _BRIEF, "must have a name"),
        ("umbrella", [], r"1 to 20 sample videos, or a brief. Received: posts=0"),
        ("umbrella", _BRIEF * 21, "posts=21"),
    ],
)
def test_invalid_challenges_are_refused(served_text, name, posts, message):
    with pytest.raises(DataError, match=message):
        add_challenge(served_text.place, name, posts)
