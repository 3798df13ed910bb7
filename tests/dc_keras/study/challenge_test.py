import pytest

from dc_keras.study.challenge import Challenge
from dc_keras.errors import DataError


def test_spellings_of_one_tag_become_one_and_are_kept_for_masking():
    challenge = Challenge.of("k", {"hashtags": ["#KarenChallenge", "karen challenge"]})
    assert challenge.hashtags == ("karenchallenge",)
    assert challenge.spellings == ("karenchallenge", "karen challenge")


def test_a_sound_alone_is_a_challenge():
    assert Challenge.of("k", {"sounds": ["7", "7"]}).sounds == ("7",)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "at least one hashtag or sound"),
        ({"hashtags": [], "sounds": []}, "at least one hashtag or sound"),
        ({"hashtag": ["a"]}, r"may only have hashtags, sounds. Received: hashtag"),
        ({"hashtags": "a"}, "`hashtags` must be a list of texts"),
        ({"sounds": [7]}, r"`sounds` must be a list of texts .ids in quotes too."),
        ({"hashtags": ["a-b"]}, "letters, digits and underscores only.*'a-b'"),
        ({"hashtags": [""]}, "letters, digits and underscores only"),
        ("a", r"\[challenges.k\] must be a table"),
    ],
)
def test_a_challenge_that_matches_nothing_or_too_much_is_refused(table, message):
    with pytest.raises(DataError, match=message):
        Challenge.of("k", table)
