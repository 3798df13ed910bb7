"""The definition of a hashtag, shared by Python and the TensorFlow graph."""

from __future__ import annotations

import sys
import unicodedata
from functools import cache

HASHES = "#＃﹟"  # all characters whose NFKC is #
_JOINERS = "\u200c\u200d"  # several scripts use them inside words


@cache
def word_characters() -> str:
    """Returns the content of the character class of hashtags, for `re` and for RE2.

    A hashtag consists of letters, numbers, marks, underscores and joiners of any
    script. Variation selectors and enclosing marks are excluded. The ranges are listed
    explicitly because `re` does not support Unicode categories, and because RE2 and
    Python use tables of different Unicode versions.
    """
    ranges: list[list[str]] = []
    previous = -2
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if not _is_word_character(character):
            continue
        if code == previous + 1:
            ranges[-1][1] = character
        else:
            ranges.append([character, character])
        previous = code
    return "".join(f"{first}-{last}" for first, last in ranges)


@cache
def hashtag_pattern() -> str:
    """Returns the pattern of a hashtag including its #, for `re` and for RE2."""
    return f"[{HASHES}][{word_characters()}]+"


def _is_word_character(character: str) -> bool:
    if character == "_" or character in _JOINERS:
        return True
    # Variation selectors and enclosing marks (Me) belong to emoji, not to words.
    is_selector = "\ufe00" <= character <= "\ufe0f"
    category = unicodedata.category(character)
    return category[0] in "LNM" and category != "Me" and not is_selector
