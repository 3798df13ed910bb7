"""The canonical records: one `Video` a post, one `User` an author, one `Edge` a tie.

Every source maps its own shape to these and knows nothing else. Ids are strings from
the first byte to the last; a missing field is None, never a guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import takewhile

from dc_keras.corpus.hashtags import HASHES, hashtag_pattern, word_characters

_SELECTORS = re.compile("[\ufe00-\ufe0f]")  # two ways to show one emoji
_MENTION = re.compile(r"[@＠]([\w](?:[\w.]*[\w])?)")
# What the platform calls somebody's own sound, before " - " and their name.
# A pattern for `re` and for RE2.
ORIGINAL_SOUND_TITLES = (
    "(?i:original sound|原聲|原声|nhạc nền|sonido original|som original|son original"
    "|originalton|suono originale|оригинальный звук|オリジナル楽曲|오리지널 사운드"
    "|suara asli|เสียงต้นฉบับ|الصوت الأصلي|orijinal ses|dźwięk oryginalny)"
)
_ORIGINAL_SOUND = re.compile(ORIGINAL_SOUND_TITLES)


@dataclass(frozen=True, slots=True)
class Video:
    """One post, whatever export it came from.

    Attributes:
        video_id: the platform's id, digits. `id >> 32` is the posting time in Unix
            seconds.
        user_id: keyed pseudonym of the author.
        source: name of the source module that read the post.
        caption: the text as posted, "" where there is none; handles after an @ are
            pseudonyms.
        create_time: posting time, UTC seconds since 1970.
        username: the handle, kept only on request.
        hashtags: normalised tags (`normalize_hashtag`), in order, without repeats.
        mentions: short keyed pseudonyms (`u_` and 10 hex digits) of the handles
            mentioned, in order, without repeats.
        music_id: id of the sound; None where unknown or rounded on its way.
        music_title: title of the sound without its owner's name (`clean_sound_title`).
        duration_s: length in seconds.
        views: plays at collection time; likes, comments, shares, saves likewise.
        duet_of: id of the video this one is a duet with; stitch_of likewise.
        effects: names or ids of effects.
        region: two-letter code as given by the export.
        language: language code as given by the export.
        transcript: what is said in the video, as text.
        collected_at: when the export that gave the counts saw the post, UTC seconds;
            None where the export does not say.
        first_collected_at: when the export that gave the caption saw it, UTC seconds.
        is_slideshow: whether the post is a series of images.
        media_path: the video file, relative to the media root; None without media.
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
    """One author, as far as the exports show them.

    Attributes:
        user_id: keyed pseudonym.
        aliases: keyed pseudonyms of the handles seen, sorted.
        sec_uids: keyed pseudonyms of the secUids seen, sorted.
        usernames: handles, kept only on request, sorted.
        first_seen: earliest posting time seen, UTC seconds.
        last_seen: latest posting time seen, UTC seconds.
        followers: how many follow the account; total_likes (of all its posts) and
            total_posts likewise: as the newest export that says so saw them.
        account_seen: when that export saw them, UTC seconds; None where it does not
            say.
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
    """Something that one user has to do with another, a tag, a sound or a post.

    Attributes:
        kind: "mention", "duet", "stitch", "reply", "follow" or "suggested".
        user_id: keyed pseudonym of who mentions, replies, follows, or is shown the
            suggestion; None where the export does not say.
        target_type: "user" (a `user_id`), "mention" (the code of a handle that nobody
            known has), "video" (an id), "hashtag", "sound" (an id) or "sound_title".
        target_id: what it leads to, as `target_type` says.
        video_id: the post that shows it, where there is one.
        time: when, UTC seconds.
        source: name of the source module that read it.
    """

    kind: str
    user_id: str | None
    target_type: str
    target_id: str
    video_id: str | None
    time: int | None
    source: str

    def renamed(self, names: Mapping[str, str]) -> Edge:
        """Returns the tie with both ends under other ids, where there are others."""
        return replace(
            self,
            user_id=names.get(self.user_id or "", self.user_id),
            target_id=names.get(self.target_id, self.target_id),
        )


@lru_cache(maxsize=2**16)  # a few tags make up most of any corpus
def normalize_hashtag(tag: str) -> str:
    """Returns the form under which two spellings of a hashtag are the same.

    The caseless match of compatibility forms of the Unicode Standard (D146), without a
    leading # and up to the first character that no hashtag may have: `#CreatorFund.`
    and `creatorfund` are one tag. An emoji in it makes it another tag; a caption does
    not say where such a tag ends, and there it ends before the emoji. "" where nothing
    is left.
    """
    if tag.isascii() and tag.replace("_", "").isalnum():
        return tag.lower()  # nothing in it has a second form
    bare = _SELECTORS.sub("", re.sub(f"[{HASHES}]", "", tag))
    word = _leading_tag(bare.strip())
    # Folding decomposed text: some marks fold to letters, which then compose with
    # others. Case folding can undo NFKC and the other way round, hence twice.
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

    A tag ends where its characters (`word_characters`) end, not only at a space:
    `#fyp#foryou.` holds two.
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
    """Whether a tag that a list names may have it: words and emoji."""
    is_skin_tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    is_emoji = is_skin_tone or unicodedata.category(character) == "So"
    return is_emoji or _word().match(character) is not None


def find_mentions(text: str) -> tuple[str, ...]:
    """Returns the handles mentioned in a caption, lower-cased, without repeats."""
    if not has_mentions(text):
        return ()
    return unique(handle.lower() for handle in _MENTION.findall(text))


def replace_mentions(text: str, replacement: Callable[[str], str]) -> str:
    """Returns the caption with every mentioned handle passed through `replacement`."""
    if not has_mentions(text):
        return text
    return _MENTION.sub(lambda m: "@" + replacement(m.group(1).lower()), text)


def is_mention(text: str) -> bool:
    """Whether a text is one mention from its @ to its last letter."""
    return _MENTION.fullmatch(text) is not None


def has_mentions(text: str) -> bool:
    """Whether a text has what mentions begin with."""
    return "@" in text or "＠" in text


def is_original_sound(title: str) -> bool:
    """Whether a title, cleaned or not, is what the platform calls somebody's own."""
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
    """Returns the title of a sound without the names that the platform writes into it.

    The title of somebody's own sound is "original sound - NAME" in the language of
    whoever collected it: NAME goes, whoever it is. Mentions and the author's handle
    become pseudonyms wherever they are.

    Args:
        title: as given.
        is_original: whether it is somebody's own; None if the export does not say.
        handle: of the author of the post.
        names: display names that may be NAME.
        replacement: maps a lower-case handle to its pseudonym.

    Returns:
        The title, None where nothing is left of it.
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
    # Compiled only where it can match: handles are too many to cache patterns of.
    if handle and handle.casefold() in title.casefold():
        own = re.compile(rf"(?<![\w.]){re.escape(handle)}(?!\w)", re.IGNORECASE)
        title = own.sub(lambda _: replacement(handle.lower()), title)
    return title.strip() or None


def find_names(
    titles: Sequence[str | None], handles: Sequence[str | None]
) -> list[int]:
    """Returns the places of titles in which `clean_sound_title` may find a name.

    Args:
        titles: of sounds.
        handles: of the authors of the posts.
    """
    folded = map(_fold_plain, titles)
    return [
        place
        for place, (title, handle) in enumerate(zip(folded, handles, strict=True))
        if title is None or (handle and handle.casefold() in title)
    ]


@lru_cache(maxsize=2**16)  # a few sounds are in most posts
def _fold_plain(title: str | None) -> str | None:
    """Returns a title case-folded, "" for none, None if it has a mention or a dash."""
    if title is None:
        return ""
    return None if " - " in title or has_mentions(title) else title.casefold()


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Returns the non-empty values in order of first appearance."""
    found = dict.fromkeys(values)
    found.pop("", None)
    return tuple(found)
