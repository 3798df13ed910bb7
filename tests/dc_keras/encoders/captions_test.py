import sys
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.corpus.records import find_hashtags, normalize_hashtag
from dc_keras.encoders.captions import (
    BertPacker,
    CaptionCleaner,
    is_lower_case,
    read_vocabulary,
)
from dc_keras.errors import DataError


def _clean(caption: str | bytes, mode: str, *focal: str) -> str:
    cleaner = CaptionCleaner(mode, focal)
    return cleaner(tf.constant([caption])).numpy()[0].decode()


def _mask(caption: str | bytes, *focal: str) -> list[str]:
    """Returns the words that remain after masking."""
    return _clean(caption, "mask_focal", *focal).split()


def test_keep_leaves_the_caption_untouched():
    caption = "＃Ｄance  #a#b ﬁ 😀"
    assert _clean(caption, "keep") == caption


@pytest.mark.parametrize(
    ("caption", "left"),
    [
        ("my #dance video", ["my", "video"]),
        ("#DaNcE #Tanz", []),
        ("＃ｄａｎｃｅ ok", ["ok"]),
        ("#𝐝𝐚𝐧𝐜𝐞 ok", ["ok"]),
        ("#dance#fun#tanz", ["#fun"]),
        (
            "#dancer #dance_ #dance2 #ndance",
            ["#dancer", "#dance_", "#dance2", "#ndance"],
        ),
        ("#dance's", ["'s"]),
        ("#dance😀x", ["😀x"]),
        # NFKC makes TM of ™, which is no part of the hashtag.
        ("#dance™ ok", ["TM", "ok"]),
        ("dance # dance", ["dance", "#", "dance"]),
        ("#dancé", ["#dancé"]),
        ("#™ #dance", ["#", "TM"]),
        ("#dance\ufe0f", ["\ufe0f"]),
        ("#dance\u200dr", ["#dance\u200dr"]),
        ("", []),
    ],
)
def test_only_the_focal_hashtags_are_masked(caption, left):
    assert _mask(caption, "dance", "#Tanz") == left


def test_case_is_kept_outside_the_hashtags():
    assert _mask("Hello #Dance World", "dance") == ["Hello", "World"]


@pytest.mark.parametrize(
    ("focal", "caption"),
    [
        ("straße", "#STRASSE #strasse #Straße #STRAẞE"),
        ("İstanbul", "#İstanbul #i̇stanbul"),
        ("танец", "#ТАНЕЦ"),
        ("कर", "#कर"),
        ("မြန်မာ", "#မြန်မာ ＃မြန်မာ"),
        ("ខ្មែរ", "#ខ្មែរ"),
        ("مَرْحَبًا", "#مَرْحَبًا"),
        ("ΐ", "#ΐ #Ϊ́ #Ϊ\u0301"),
        ("massstab", "#Maßstab #maSẞtab #MASSSTAB"),
        ("karen challenge", "#karen challenge #Karen  Challenge"),
        ("a_b", "#A_B"),
    ],
)
def test_every_spelling_of_a_focal_hashtag_is_masked(focal, caption):
    assert _mask(caption, focal) == []


def test_the_longer_of_two_focal_hashtags_is_removed():
    assert _mask("#karen challenge x", "karen", "karen challenge") == ["x"]


def test_drop_removes_every_hashtag():
    assert _clean("a #b#c ＃d #é_1! #", "drop").split() == ["a", "!", "#"]


@pytest.mark.parametrize("mode", ["keep", "drop", "mask_focal"])
def test_bytes_that_are_not_utf8_are_replaced(mode):
    focal = ("dance",) if mode == "mask_focal" else ()
    assert _clean(b"a\xff\xfeb", mode, *focal) == "a\ufffd\ufffdb"


def test_a_long_caption_is_masked_throughout():
    assert _mask("#dance x" * 1250, "dance") == ["x"] * 1250


def _characters() -> Iterator[str]:
    """Yields every character that UTF-8 can hold."""
    return (chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000)


def _clean_all(
    cleaner: CaptionCleaner, captions: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yields each caption and what is left of it; a million tensors take a gigabyte."""
    captions = iter(captions)
    while batch := list(islice(captions, 50_000)):
        cleaned = cleaner(tf.constant(batch)).numpy()
        yield from zip(batch, map(bytes.decode, cleaned), strict=True)


def test_a_focal_tag_ends_where_the_finder_ends_it_at_every_character():
    captions = (f"#dance{character}" for character in _characters())
    cleaner = CaptionCleaner("mask_focal", ["dance"])
    wrong = [
        caption
        for caption, left in _clean_all(cleaner, captions)
        if (find_hashtags(caption) == ("dance",)) != ("danc" not in left)
    ]
    assert wrong == []


def test_dropped_tags_end_where_the_finder_ends_them_at_every_character():
    captions = (f"#a{character}b" for character in _characters())
    wrong = [
        caption
        for caption, left in _clean_all(CaptionCleaner("drop"), captions)
        # Compatibility forms of several characters, ⑴ for one, end a tag that stays
        # whole in the text.
        if not left.startswith(" ")
        or find_hashtags(left)
        or (left.endswith("b") and find_hashtags(caption) != ("a",))
    ]
    assert wrong == []


@pytest.mark.long
def test_a_focal_tag_is_masked_whatever_characters_it_has():
    # A tag a character, in both cases; a cleaner takes as many as a large study has.
    spelled: dict[str, set[str]] = {}
    for character in _characters():
        tag = find_hashtags(f"#a{character}b")[0]
        if len(tag) > 1:
            written = {character, character.upper(), character.lower()}
            spelled.setdefault(tag, set()).update(f"#a{form}B" for form in written)
    assert len(spelled) > 100_000
    tags = list(spelled)
    for start in range(0, len(tags), 2000):
        focal = tags[start : start + 2000]
        # Upper and lower case of a few characters are another tag.
        captions = [
            caption
            for tag in focal
            for caption in spelled[tag]
            if find_hashtags(caption) == (tag,)
        ]
        cleaned = _clean_all(CaptionCleaner("mask_focal", focal), captions)
        assert [left for _, left in cleaned if find_hashtags(left)] == []


_TEXT = st.text(
    st.one_of(
        st.sampled_from("#＃﹟ dancerDANCE_9’!™ßİΐ\u0345\u0301\u0308\u094d\u200d😀"),
        st.characters(categories=("L", "M", "N")),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(_TEXT, st.sampled_from(["dance", "ß", "dan", "i̇", "ss", "ΐ"]))
def test_only_the_focal_hashtag_is_masked(caption, focal):
    found = find_hashtags(caption)
    for tag in (normalize_hashtag(focal), *found):
        cleaned = _clean(caption, "mask_focal", tag)
        assert list(find_hashtags(cleaned)) == [
            other for other in found if other != tag
        ]
    assert find_hashtags(_clean(caption, "drop")) == ()


def test_unknown_mode_is_refused():
    with pytest.raises(DataError, match=r"`hashtags` must be one of keep.*'mask'"):
        CaptionCleaner("mask")


def test_masking_needs_focal_hashtags():
    with pytest.raises(DataError, match="needs the focal hashtags of a study"):
        CaptionCleaner("mask_focal")


@pytest.mark.parametrize("tag", ["", "#", "a-b", "a b!", "a.*"])
def test_a_focal_hashtag_must_be_one(tag):
    with pytest.raises(DataError, match="made of letters, digits and underscores"):
        CaptionCleaner("mask_focal", [tag])


def _pack(packer: BertPacker, *captions: str) -> tuple[list[list[str]], np.ndarray]:
    packed = packer(tf.constant(list(captions)))
    pieces = np.array(packer.vocabulary)[packed["token_ids"].numpy()]
    return pieces.tolist(), packed["padding_mask"].numpy()


def test_captions_become_padded_pieces_between_cls_and_sep(vocabulary):
    packer = BertPacker(vocabulary, lower_case=True, max_tokens=8)
    pieces, mask = _pack(packer, "Cats, dance", "", "дом")
    assert pieces == [
        ["[CLS]", "cat", "##s", ",", "dance", "[SEP]"],
        ["[CLS]", "[SEP]", *["[PAD]"] * 4],
        ["[CLS]", "[UNK]", "[SEP]", *["[PAD]"] * 3],
    ]
    assert mask.tolist() == [[1] * 6, [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]


def test_a_long_caption_is_cut_before_sep(vocabulary):
    packer = BertPacker(vocabulary, lower_case=True, max_tokens=5)
    pieces, _ = _pack(packer, "cat " * 2500)
    assert pieces == [["[CLS]", "cat", "cat", "cat", "[SEP]"]]


def test_a_cased_vocabulary_keeps_case(vocabulary):
    packer = BertPacker(vocabulary, lower_case=False, max_tokens=8)
    pieces, _ = _pack(packer, "Cat cat")
    assert pieces == [["[CLS]", "[UNK]", "cat", "[SEP]"]]


def test_pieces_are_those_of_keras_nlp(vocabulary):
    import keras_nlp

    captions = ["Café CATS dance#dance!", "it.was@me,99 x", "a" * 80]
    # BERT without case has no accents either; keras-nlp has to be told.
    theirs = keras_nlp.models.BertTokenizer(
        list(vocabulary), lowercase=True, strip_accents=True
    )
    ours = BertPacker(vocabulary, lower_case=True, max_tokens=99)
    for caption in captions:
        expected = np.asarray(theirs(caption)).tolist()
        assert ours.tokenize(tf.constant([caption])).to_list() == [expected]


def test_layers_work_inside_tf_data(vocabulary):
    cleaner = CaptionCleaner("drop")
    packer = BertPacker(vocabulary, lower_case=True, max_tokens=8)
    dataset = tf.data.Dataset.from_tensors(["cat #x", ""]).map(
        lambda captions: packer(cleaner(captions))
    )
    (packed,) = dataset
    assert packed["padding_mask"].numpy().tolist() == [[1, 1, 1], [1, 1, 0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[PAD]\n[UNK]\n[CLS]\nx\n", r"without \[SEP\]"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nx\ny\nx\n", "'x' 2 times"),
        (b"\xff\xfe", "must be a UTF-8 text file"),
        (None, "must be a UTF-8 text file.*No such file"),
    ],
)
def test_a_broken_vocabulary_is_refused(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_vocabulary(path)


def test_a_vocabulary_is_split_at_newlines_only(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("[PAD]\r\n[UNK]\n[CLS]\n[SEP]\n\u2028\n\x85".encode())
    expected = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u2028", "\x85")
    assert read_vocabulary(path) == expected


def test_a_vocabulary_with_capitals_is_cased(vocabulary):
    assert is_lower_case(vocabulary)
    assert not is_lower_case((*vocabulary, "Cat"))
