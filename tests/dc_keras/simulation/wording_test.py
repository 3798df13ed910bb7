import re

import numpy as np
import pytest
from mentions import find_mentions

from dc_keras.corpus.records import find_hashtags, normalize_hashtag
from dc_keras.simulation import wording
from dc_keras.simulation.wording import GENERIC_TAGS, TOPICS


def test_taste_weights_follow_the_sign_of_the_taste():
    weights = wording.taste_weights(np.array([0.0, 0.0, 2.0, 0.0]))
    # Sharpness 2.5: odds exp(5) for topic 2, exp(-5) for topic 6, 1 for the other six.
    total = np.exp(5) + np.exp(-5) + 6
    assert weights[2] == pytest.approx(np.exp(5) / total)
    assert weights[6] == pytest.approx(np.exp(-5) / total)
    assert weights.sum() == pytest.approx(1)


def test_caption_keeps_to_its_topic_and_language():
    weights = np.eye(len(TOPICS))[1]
    rng = np.random.default_rng(0)
    english = [
        wording.draw_caption(rng, weights, language="en", mean_tags=1.0)
        for _ in range(50)
    ]
    nouns = re.compile("|".join(TOPICS[1].english))
    assert all(nouns.search(caption) for caption in english)
    tags = {tag for caption in english for tag in find_hashtags(caption)}
    assert tags <= {*TOPICS[1].tags, *GENERIC_TAGS}


def test_caption_contains_the_requested_tags_and_mentions():
    caption = wording.draw_caption(
        np.random.default_rng(0),
        np.full(8, 1 / 8),
        language="es",
        mean_tags=0.0,
        tags=("MirrorJump",),
        mentions=("luna.daily001",),
    )
    assert "mirrorjump" in find_hashtags(caption)
    assert find_mentions(caption) == ("luna.daily001",)


def test_every_spelling_of_a_challenge_is_one_of_its_tags():
    rng = np.random.default_rng(0)
    tags = wording.challenge_tags("mirror jump")
    assert tags == ("mirrorjumpchallenge", "mirrorjump")
    spellings = {wording.draw_tag_spelling(rng, "mirror jump") for _ in range(100)}
    assert len(spellings) == 5
    assert {normalize_hashtag(spelling) for spelling in spellings} == set(tags)


def test_challenges_and_topics_share_no_tag():
    phrases = wording.draw_challenge_phrases(np.random.default_rng(0), 144)
    focal = {tag for phrase in phrases for tag in wording.challenge_tags(phrase)}
    assert len(focal) == 2 * 144
    assert not focal & {*GENERIC_TAGS, *(tag for topic in TOPICS for tag in topic.tags)}


def test_handles_are_unique_and_found_in_captions():
    handles = wording.draw_handles(np.random.default_rng(0), 200)
    assert len(set(handles)) == 200
    assert find_mentions(" ".join(f"@{handle}" for handle in handles)) == handles
