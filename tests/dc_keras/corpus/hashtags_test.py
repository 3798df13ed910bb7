import re
import sys
import unicodedata

import pytest

from dc_keras.corpus.hashtags import HASHES, hashtag_pattern, word_characters
from dc_keras.corpus.records import find_hashtags


@pytest.fixture(scope="module")
def characters():
    return list(map(chr, range(sys.maxunicode + 1)))


def test_the_class_has_the_word_characters_of_every_script_only(characters):
    inside = set(re.findall(f"[{word_characters()}]", "".join(characters)))
    assert inside >= set("aZ0_é踊١नि်្َٔ\u200c\u200d")
    assert not inside & set("\ufe0f\ufe00\u20e3 .-’#＃@😀\u200b")
    for character in inside - set("_\u200c\u200d"):
        assert unicodedata.category(character)[0] in "LNM"
    outside = set(characters) - inside
    left = {c for c in outside if unicodedata.category(c)[0] in "LNM"}
    # Enclosing marks and the selectors of emoji can follow a tag but are not part of it.
    assert {unicodedata.category(c) for c in left} == {"Me", "Mn"}
    assert {c for c in left if unicodedata.category(c) == "Mn"} == set(
        map(chr, range(0xFE00, 0xFE10))
    )


def test_hashes_are_the_characters_whose_nfkc_is_one(characters):
    normal = (c for c in characters if "#" in unicodedata.normalize("NFKC", c))
    assert set(HASHES) == set(normal)


def test_the_pattern_matches_what_find_hashtags_finds():
    for caption in ("#မြန်မာ!", "a ＃नमस्ते.", "﹟x️", "# x", "#️⃣"):
        matches = re.findall(hashtag_pattern(), caption)
        assert [tag[1:] for tag in matches] == list(find_hashtags(caption))
