"""The canonical records: `Video` for posts, `User` for authors, `Edge` for relations.

Every source maps its own format to these records. Ids are always strings. A missing
field is None and is never guessed.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from itertools import takewhile
from typing import Any, get_type_hints

import polars as pl

HASHES = "#＃﹟"  # all characters whose NFKC is #
_JOINERS = "\u200c\u200d"  # several scripts use them inside words
_SELECTORS = re.compile("[\ufe00-\ufe0f]")  # variants of the same emoji
_MENTION = re.compile(r"[@＠]([\w](?:[\w.]*[\w])?)")
# The platform's titles of original sounds, which precede " - " and the owner's name.
# The pattern is valid for `re` and for RE2.
ORIGINAL_SOUND_TITLES = (
    "(?i:original sound|原聲|原声|nhạc nền|sonido original|som original|son original"
    "|originalton|suono originale|оригинальный звук|オリジナル楽曲|오리지널 사운드"
    "|suara asli|เสียงต้นฉบับ|الصوت الأصلي|orijinal ses|dźwięk oryginalny)"
)
_ORIGINAL_SOUND = re.compile(ORIGINAL_SOUND_TITLES)


@cache
def word_characters() -> str:
    """Returns the content of the character class of hashtags, for `re` and for RE2.

    The ranges are listed, because `re` has no Unicode categories, and because RE2 and
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


@dataclass(frozen=True, slots=True)
class Video:
    """One post, in the same form for every export format.

    Attributes:
        video_id: the platform's id, digits. `id >> 32` is the posting time, UTC seconds
            since 1970.
        user_id: keyed pseudonym of the author.
        source: name of the source that read the post.
        caption: the text as posted, "" if there is none; handles after an @ are
            replaced by pseudonyms.
        create_time: posting time, UTC seconds since 1970.
        username: the handle, kept only on request.
        hashtags: normalised tags (`normalize_hashtag`), in order, without repeats.
        mentions: short keyed pseudonyms (`u_` and 10 hex digits) of the mentioned
            handles, in order, without repeats.
        music_id: id of the sound; None if it is unknown or was rounded by a tool.
        music_title: title of the sound without its owner's name (`clean_sound_title`).
        duration_s: length in seconds.
        views: number of plays at collection time.
        likes: number of likes at collection time.
        comments: number of comments at collection time.
        shares: number of shares at collection time.
        saves: number of saves at collection time.
        duet_of: id of the video that this one is a duet with.
        stitch_of: id of the video that this one is a stitch of.
        effects: names or ids of effects.
        region: two-letter code as given by the export.
        language: language code as given by the export.
        transcript: the speech in the video, as text.
        collected_at: collection time of the export that the counts are from, UTC
            seconds; None if the export does not contain it.
        first_collected_at: collection time of the export that the caption is from, UTC
            seconds.
        is_slideshow: whether the post is a series of images.
        media_path: the video file, relative to the media root; None if there is none.
        slide_paths: the images of a slideshow, in order, relative to the media root.
    """

    video_id: str
    user_id: str
    source: str
    caption: str = ""
    create_time: int | None = None
    username: str | None = None
    hashtags: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    music_id: str | None = None
    music_title: str | None = None
    duration_s: float | None = None
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    shares: int | None = None
    saves: int | None = None
    duet_of: str | None = None
    stitch_of: str | None = None
    effects: tuple[str, ...] = ()
    region: str | None = None
    language: str | None = None
    transcript: str | None = None
    collected_at: int | None = None
    first_collected_at: int | None = None
    is_slideshow: bool = False
    media_path: str | None = None
    slide_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """One user, as described by the exports.

    Attributes:
        user_id: keyed pseudonym.
        aliases: keyed pseudonyms of the user's handles, sorted.
        sec_uids: keyed pseudonyms of the user's secUids, sorted.
        usernames: handles, kept only on request, sorted.
        first_seen: earliest posting time in the corpus, UTC seconds.
        last_seen: latest posting time in the corpus, UTC seconds.
        followers: number of followers in the newest export that contains it.
        total_likes: number of likes of all posts of the account, likewise.
        total_posts: number of posts of the account, likewise.
        account_seen: collection time of that export, UTC seconds; None if the export
            does not contain it.
    """

    user_id: str
    aliases: tuple[str, ...] = ()
    sec_uids: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    first_seen: int | None = None
    last_seen: int | None = None
    followers: int | None = None
    total_likes: int | None = None
    total_posts: int | None = None
    account_seen: int | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation from a user to another user, a hashtag, a sound or a post.

    Attributes:
        kind: "mention", "duet", "stitch", "reply", "follow" or "suggested".
        user_id: keyed pseudonym of the user who mentions, replies, follows, or is shown
            the suggestion; None if the export does not contain it.
        target_type: "user" (a `user_id`), "mention" (the code of the handle of an
            unknown user), "video" (an id), "hashtag", "sound" (an id) or "sound_title".
        target_id: the target, of the type `target_type`.
        video_id: the post that contains the relation; None if there is none.
        time: time of the relation, UTC seconds.
        source: name of the source that read the edge.
    """

    kind: str
    user_id: str | None
    target_type: str
    target_id: str
    video_id: str | None
    time: int | None
    source: str

    def renamed(self, names: Mapping[str, str]) -> Edge:
        """Returns the edge with the ids of both ends replaced according to `names`."""
        return replace(
            self,
            user_id=names.get(self.user_id or "", self.user_id),
            target_id=names.get(self.target_id, self.target_id),
        )


# The columns of the Parquet tables of a corpus.
_COLUMN_TYPES: dict[Any, pl.DataType] = {
    str: pl.String(),
    str | None: pl.String(),
    int | None: pl.Int64(),
    float | None: pl.Float64(),
    bool: pl.Boolean(),
    tuple[str, ...]: pl.List(pl.String()),
}


def _schema_of(record: type[Any]) -> dict[str, pl.DataType]:
    types = get_type_hints(record)
    return {field.name: _COLUMN_TYPES[types[field.name]] for field in fields(record)}


SCHEMAS: dict[type[Any], dict[str, pl.DataType]] = {
    record: _schema_of(record) for record in (Video, User, Edge)
}


@lru_cache(maxsize=2**16)  # a few tags account for most uses
def normalize_hashtag(tag: str) -> str:
    """Returns the canonical form of a hashtag, which all its spellings share.

    The form is the compatibility caseless match of the Unicode Standard (D146), without
    the leading # and up to the first character that hashtags exclude: `#CreatorFund.`
    and `creatorfund` are one tag. A tag with an emoji is a different tag, but only
    lists of tags can contain it: in a caption, a tag ends before the emoji. Returns ""
    if nothing remains.
    """
    if tag.isascii() and tag.replace("_", "").isalnum():
        return tag.lower()  # ASCII has no other compatibility forms
    bare = _SELECTORS.sub("", re.sub(f"[{HASHES}]", "", tag))
    word = _leading_tag(bare.strip())
    # The text is decomposed before folding, because some marks fold to letters, which
    # then compose with others. Folding can undo NFKC and vice versa, hence twice.
    folded = unicodedata.normalize("NFKD", word).casefold()
    return _leading_tag(unicodedata.normalize("NFKC", folded).casefold())


def normalize_hashtags(tags: Sequence[str]) -> tuple[str, ...]:
    """Returns the normalised forms of hashtags, in order, without repeats."""
    if not tags:
        return ()
    found = dict.fromkeys(map(normalize_hashtag, tags))
    found.pop("", None)
    return tuple(found)


def find_hashtags(text: str) -> tuple[str, ...]:
    """Returns the normalised hashtags of a caption, in order, without repeats.

    A tag ends at the first character outside `word_characters`, not only at a space.
    """
    if not any(mark in text for mark in HASHES):
        return ()
    return unique(map(normalize_hashtag, _hashtags().findall(text)))


@cache
def _hashtags() -> re.Pattern[str]:
    return re.compile(hashtag_pattern())


@cache
def _word() -> re.Pattern[str]:
    return re.compile(f"[{word_characters()}]")


def _leading_tag(text: str) -> str:
    return "".join(takewhile(_is_tag_character, text))


def _is_tag_character(character: str) -> bool:
    """Whether a tag from a list may contain the character: words and emoji."""
    is_skin_tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    is_emoji = is_skin_tone or unicodedata.category(character) == "So"
    return is_emoji or _word().match(character) is not None


def replace_mentions(text: str, replacement: Callable[[str], str]) -> str:
    """Returns the caption with every mentioned handle passed through `replacement`."""
    if not has_mentions(text):
        return text
    return _MENTION.sub(lambda m: "@" + replacement(m.group(1).lower()), text)


def is_mention(text: str) -> bool:
    """Whether the whole text is one mention, from its @ to its last letter."""
    return _MENTION.fullmatch(text) is not None


def has_mentions(text: str) -> bool:
    """Whether a text contains an @."""
    return "@" in text or "＠" in text


def is_original_sound(title: str) -> bool:
    """Whether a title, cleaned or not, is the platform's title of an original sound."""
    head, _, _ = title.partition(" - ")
    return _ORIGINAL_SOUND.fullmatch(head.strip()) is not None


def clean_sound_title(
    title: str,
    *,
    is_original: bool | None,
    handle: str | None,
    names: Iterable[str],
    replacement: Callable[[str], str],
) -> str | None:
    """Returns the title of a sound without personal names; None if nothing remains.

    The platform titles an original sound "original sound - NAME", in the language of
    the collector. NAME is always removed. Mentions and the author's handle are replaced
    by pseudonyms wherever they occur.

    Args:
        title: as given.
        is_original: whether it is an original sound; None if the export does not say.
        handle: handle of the author of the post.
        names: display names that NAME may be.
        replacement: maps a lower-case handle to its pseudonym.
    """
    head, dash, tail = title.rpartition(" - ")
    private = {name.casefold() for name in (handle, *names) if name}
    if dash and (
        is_original
        or tail.strip().casefold() in private
        or _ORIGINAL_SOUND.fullmatch(head.strip())
    ):
        title = head
    title = replace_mentions(title, replacement)
    # Compiled only if it can match: there are too many handles to cache the patterns.
    if handle and handle.casefold() in title.casefold():
        own = re.compile(rf"(?<![\w.]){re.escape(handle)}(?!\w)", re.IGNORECASE)
        title = own.sub(lambda _: replacement(handle.lower()), title)
    return title.strip() or None


def find_names(
    titles: Sequence[str | None], handles: Sequence[str | None]
) -> list[int]:
    """Returns the rows in which `clean_sound_title` may find a name in the title."""
    folded = map(_fold_plain, titles)
    return [
        place
        for place, (title, handle) in enumerate(zip(folded, handles, strict=True))
        if title is None or (handle and handle.casefold() in title)
    ]


@lru_cache(maxsize=2**16)  # most posts use one of a few sounds
def _fold_plain(title: str | None) -> str | None:
    """Returns the case-folded title, or None if it has a mention or a dash."""
    if title is None:
        return ""
    return None if " - " in title or has_mentions(title) else title.casefold()


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Returns the non-empty values in order of first appearance."""
    found = dict.fromkeys(values)
    found.pop("", None)
    return tuple(found)
