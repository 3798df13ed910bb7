import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dc_keras.context.terms import NUM_BUCKETS, find_terms
from dc_keras.corpus.records import find_hashtags, is_original_sound


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8")


def _find(*posts):
    """Finds the terms of captions, or of captions with the id and title of a sound."""
    rows = [
        (post, "", "") if isinstance(post, (str, bytes)) else post for post in posts
    ]
    columns = zip(*rows, strict=True)
    return find_terms(*(tf.constant([_bytes(v) for v in c]) for c in columns))


def _buckets(*terms):
    hashed = tf.strings.to_hash_bucket_fast(list(terms), NUM_BUCKETS)
    return set(hashed.numpy().tolist()) if terms else set()


def _terms(post):
    found = _find(post)
    assert not found.post.numpy().any()
    assert len(set(found.bucket.numpy())) == len(found.bucket)
    return set(found.bucket.numpy().tolist())


@pytest.mark.parametrize(
    ("caption", "terms"),
    [
        ("", []),
        ("So FUN, so good! #Dance #fyp", ["so", "fun", "good", "#dance", "#fyp"]),
        # A tag may directly follow another; # alone is no tag.
        ("a#b#c# ##d # ", ["a", "#b", "#c", "#d"]),
        ("#fun#", ["#fun"]),
        # Two of the characters whose compatibility form is #.
        ("＃été ﹟fun", ["#été", "#fun"]),
        ("Ünïcode ÉTÉ", ["ünïcode", "été"]),
        ("踊る、ダンス", ["踊る", "ダンス"]),
        # Vowel signs are combining marks, and belong to their words.
        ("हिन्दी #में", ["हिन्दी", "#में"]),
        ("မြန်မာ #မြန်မာ", ["မြန်မာ", "#မြန်မာ"]),
        ("مرحبا #مَرْحَبًا", ["مرحبا", "#مَرْحَبًا"]),
        ("สวัสดี #สวัสดี", ["สวัสดี", "#สวัสดี"]),
        # Emojis and variation selectors are no words and separate words.
        ("❤️ 🔥 #fun🔥more", ["#fun", "more"]),
        ("Привет ΟΔΌΣ", ["привет", "οδός"]),
    ],
)
def test_terms_are_words_and_tags_in_every_script(caption, terms):
    assert _terms(caption) == _buckets(*terms)


def test_a_sound_is_its_id_and_the_words_of_its_title():
    assert _terms(("", "77", " Blinding LIGHTS ")) == _buckets(
        "sound:77", "title:blinding", "title:lights"
    )


def test_a_sound_without_an_id_goes_by_its_title():
    assert _terms(("", "", "Blinding Lights")) == _buckets(
        "sound:blinding lights", "title:blinding", "title:lights"
    )


@pytest.mark.parametrize(
    "title",
    [
        *("original sound", "Original Sound - somebody", "originalton", "原声"),
        *("оригинальный звук - a - b", "original sound - two\nlines"),
        *("Blinding Lights", "original sound of music", "my original sound", "x - y"),
    ],
)
def test_original_sounds_are_those_of_the_corpus(title):
    found = _find(("", "7", title))
    is_original = is_original_sound(title)
    assert found.is_original.numpy().tolist() == [float(is_original)]
    assert (_terms(("", "7", title)) == _buckets("sound:7")) == is_original


def test_a_sound_is_known_by_an_id_or_a_title():
    found = _find(("", "7", ""), ("", "", "song"), ("", "", "  "), "a")
    assert found.has_sound.numpy().tolist() == [True, True, False, False]


def test_a_post_has_each_of_its_terms_once_and_keeps_its_place():
    found = _find("a b a", "", "b #b #B", "a b a")
    post, bucket = found.post.numpy(), found.bucket.numpy()
    assert post.tolist() == [0, 0, 2, 2, 3, 3]
    assert set(bucket[:2]) == set(bucket[4:]) == _buckets("a", "b")
    assert set(bucket[2:4]) == _buckets("b", "#b")
    # Repeated tags count.
    assert found.num_tags.numpy().tolist() == [0, 0, 2, 0]


def test_no_post_has_no_terms():
    empty = tf.zeros((0,), tf.string)
    found = find_terms(empty, empty, empty)
    assert found.post.shape == found.bucket.shape == found.num_tags.shape == (0,)


@pytest.mark.parametrize("broken", [b"\xff", b"a\xc3", b"\xf0\x9f", b"\xed\xa0\x80"])
def test_invalid_bytes_separate_words(broken):
    assert _terms(b"before " + broken + b" after") >= _buckets("before", "after")
    found = _find((b"a", broken, broken), "next")
    assert found.bucket.numpy()[-1] in _buckets("next")
    assert found.has_sound.numpy().tolist() == [True, False]


def test_the_same_terms_come_from_a_graph():
    posts = [("So #fun", "7", "a b"), ("", "", "original sound"), ("ΟΔΌΣ #été", "", "")]
    eager = _find(*posts)
    columns = [tf.constant([_bytes(v) for v in c]) for c in zip(*posts, strict=True)]
    for one, other in zip(tf.function(find_terms)(*columns), eager, strict=True):
        np.testing.assert_array_equal(one, other)


def _is_plain(character):
    """Whether a character has one upper and one lower case, which fold to each other.

    Characters newer than the tables of a library have no case there.
    """
    lower = character.lower()
    forms = {lower, lower.upper(), lower.casefold()}
    return (
        all(len(form) == 1 for form in forms)
        and lower.upper().lower() == lower == lower.casefold()
        and unicodedata.normalize("NFKC", character) == character
        and unicodedata.ucd_3_2_0.category(character) != "Cn"
        # The form of a sigma depends on its position in the word.
        and lower not in "σς"
    )


_PLAIN = st.lists(
    st.text(
        st.one_of(
            st.sampled_from("# #ab_"),
            st.characters(codec="utf-8", max_codepoint=0xFFFF).filter(_is_plain),
        ),
        max_size=12,
    ),
    min_size=1,
    max_size=8,
)


def _sets(captions):
    """Returns the terms and the number of tags of each caption."""
    found = _find(*captions)
    post, bucket = found.post.numpy(), found.bucket.numpy()
    terms = [set(bucket[post == row].tolist()) for row in range(len(captions))]
    return terms, found.num_tags.numpy()


@settings(max_examples=20, deadline=None)
@given(_PLAIN)
def test_terms_do_not_depend_on_case(captions):
    upper, lower = ([getattr(c, n)() for c in captions] for n in ("upper", "lower"))
    terms, _ = _sets([*captions, *upper, *lower])
    count = len(captions)
    assert terms[:count] == terms[count : 2 * count] == terms[2 * count :]


@settings(max_examples=20, deadline=None)
@given(_PLAIN)
@example(["x#a #b#c＃d ##e#🔥#f"])
@example(["\x00#a b\x00c"])
def test_tags_are_those_that_the_corpus_finds(captions):
    words = [caption.replace("#", " ").replace("＃", " ") for caption in captions]
    terms, num_tags = _sets([*captions, *words])
    for row, caption in enumerate(captions):
        tags = find_hashtags(caption)
        expected = _buckets(*(f"#{tag}" for tag in tags))
        assert expected <= terms[row] <= expected | terms[len(captions) + row]
        assert (num_tags[row] > 0) == bool(tags)
