import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.corpus import records
from dc_keras.corpus.records import (
    HASHES,
    find_hashtags,
    hashtag_pattern,
    word_characters,
)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("#CreatorFund.", "creatorfund"),
        ("creatorfund", "creatorfund"),
        ("Dance_2", "dance_2"),
        ("___", "___"),
        ("ＦＹＰ", "fyp"),  # full width
        ("＃fyp", "fyp"),
        ("fypシ", "fypシ"),
        ("Straße", "strasse"),  # case folding, not lower case
        ("नमस्ते", "नमस्ते"),  # vowel signs are marks inside the word
        ("สวัสดี", "สวัสดี"),
        ("می‌خواهم", "می‌خواهم"),  # a joiner inside the word
        ("throughthework💪🔥", "throughthework💪🔥"),  # another tag than without
        ("❤️", "❤"),
        ("fyp^", "fyp"),
        ("", ""),
    ],
)
def test_spellings_of_a_tag_are_normalised(written, normal):
    assert records.normalize_hashtag(written) == normal


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    once = records.normalize_hashtag(text)
    assert records.normalize_hashtag(once) == once


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("#fyp#foryou #respect ", ("fyp", "foryou", "respect")),
        ("so good!#Dance, and #dance.", ("dance",)),
        ("＃ダンス最高", ("ダンス最高",)),
        ("no. # 1, #", ()),
        ("keycap #️⃣ is no tag", ()),
        ("through #thework💪🔥", ("thework",)),
        ("", ()),
    ],
)
def test_tags_of_a_caption_are_found(caption, tags):
    assert records.find_hashtags(caption) == tags


@given(st.text())
def test_tags_of_any_caption_are_normal_and_unique(caption):
    tags = records.find_hashtags(caption)
    assert len(set(tags)) == len(tags)
    assert all(records.normalize_hashtag(tag) == tag for tag in tags)


def test_mentions_are_lower_cased_and_replaced():
    caption = "with @Some.One. and ＠two, @SOME.one!"
    replaced = records.replace_mentions(caption, lambda handle: f"<{handle}>")
    assert replaced == "with @<some.one>. and @<two>, @<some.one>!"


@pytest.mark.parametrize(
    ("title", "is_original", "clean"),
    [
        ("original sound - Ann Lee", None, "original sound"),
        ("nhạc nền - somebody else", None, "nhạc nền"),
        ("mon son - somebody else", True, "mon son"),
        ("my beat - Ann Lee", False, "my beat"),
        ("Stay - Remix", False, "Stay - Remix"),
        ("Stay - Remix", None, "Stay - Remix"),
        ("song of @Other", False, "song of @<other>"),
        ("ann.lee3 mix", None, "<ann.lee3> mix"),
        ("joann.lee3 mix", None, "joann.lee3 mix"),
        (" - Ann Lee", True, None),
    ],
)
def test_names_are_removed_from_titles_of_sounds(title, is_original, clean):
    assert (
        records.clean_sound_title(
            title,
            is_original=is_original,
            handle="Ann.Lee3",
            names=("Ann Lee",),
            replacement="<{}>".format,
        )
        == clean
    )


_TITLES = st.text(max_size=12) | st.sampled_from([" ", "x - Ann", "ANN song", "a @ann"])


@given(title=_TITLES, handle=st.none() | st.sampled_from(["ann", "a", "ß"]))
def test_a_title_without_names_is_unchanged(title, handle):
    if not records.find_names([title], [handle]):
        assert title.strip() == (
            records.clean_sound_title(
                title,
                is_original=True,
                handle=handle,
                names=("ann",),
                replacement=str.upper,
            )
            or ""
        )


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
