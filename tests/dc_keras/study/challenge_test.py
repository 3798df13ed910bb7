import re

import pytest

from dc_keras.corpus.records import Video
from dc_keras.corpus.store import Corpus, CorpusWriter, table_of
from dc_keras.errors import DataError
from dc_keras.study.challenge import (
    Challenge,
    find_unmatched,
    nearest_hashtags,
    require_matches,
)
from dc_keras.study.resolution import resolve_study
from dc_keras.study.study import Study


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


_TAGS = (
    "renegadechallenge",
    "renegadedance",
    "fyp",
    "renegadeteam",
    "washyourhands",
)


def _videos(*posts):
    return table_of(
        Video,
        [
            Video(f"{number:03d}", f"u{number}", "s", hashtags=tags, music_id=sound)
            for number, (tags, sound) in enumerate(posts)
        ],
    )


_VIDEOS = _videos((_TAGS, "7"), ((), None), (("fyp",), None))
_RIGHT = Challenge("hands", ("washyourhands",))
_WRONG = Challenge("renegade", ("renegadechalenge", "renegades"))


def test_a_challenge_matches_by_any_hashtag_or_sound():
    by_sound = Challenge("sound", ("nothing",), ("7",))
    elsewhere = Challenge("elsewhere", (), ("8",))
    challenges = [_RIGHT, by_sound, _WRONG, elsewhere]
    assert find_unmatched(challenges, _VIDEOS) == (_WRONG, elsewhere)
    assert find_unmatched([], _VIDEOS) == ()
    assert find_unmatched([_RIGHT], _videos()) == (_RIGHT,)


def test_nearest_hashtags_are_sorted_and_at_most_three():
    nearest = ["renegadechallenge", "renegadedance", "renegadeteam"]
    assert nearest_hashtags(["renegadechalenge"], _TAGS) == nearest
    assert nearest_hashtags(["fyp", "zzz"], ["zzzz", "fyps"]) == ["fyps", "zzzz"]
    assert nearest_hashtags(["ကခဂ"], _TAGS) == []


def test_each_unmatched_challenge_has_a_warning_with_similar_hashtags():
    foreign = Challenge("foreign", ("ကခဂ",))
    sound = Challenge("sound", (), ("8",))
    assert require_matches([_RIGHT, _WRONG, foreign, sound], _VIDEOS) == [
        "no post matches renegade (#renegadechalenge, #renegades); most similar hashtags "
        "of the corpus: #renegadechallenge, #renegadeteam, #renegadedance",
        "no post matches foreign (#ကခဂ); most similar hashtags of the corpus: none",
        "no post matches sound (sound 8)",
    ]
    assert require_matches([_RIGHT], _VIDEOS) == []


def test_many_unmatched_challenges_are_counted():
    many = [Challenge(f"c{number}", (f"nothing{number}",)) for number in range(9)]
    lines = require_matches([_RIGHT, *many], _VIDEOS)
    assert len(lines) == 6
    assert lines[-1] == "no post matches 4 more challenges"


def test_a_study_of_another_corpus_is_refused_with_the_cause(tmp_path):
    with CorpusWriter(tmp_path) as writer:
        writer.add_videos(_VIDEOS)
        writer.finish([], key_fingerprint="f", media_root=None, num_quarantined=0)
    message = (
        "must have posts of at least one challenge of the study.* Received: no post matches renegade "
        r"\(#renegadechalenge, #renegades\); .*: #renegadechallenge, #renegadeteam"
    )
    with pytest.raises(DataError, match=message) as caught:
        resolve_study(
            Study("s", (_WRONG,), min_participations=0), Corpus.open(tmp_path)
        )
    assert not re.search(r"\n", str(caught.value))


def test_empty_corpus_gives_no_warning():
    assert require_matches([_WRONG], _videos()) == []
