"""Reads typed values out of a raw record; values are never guessed, gaps are noted.

Paths are dotted: `author.id`. Among several paths, the first with a valid value is
used. Keys match in both spellings, `play_count` and `playCount`, and a list with a
single object counts as the object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from dc_keras.corpus.importing.sources import addresses, cells, values
from dc_keras.corpus.importing.sources.post import (
    AccountCounts,
    Person,
    RawRecord,
    Row,
    TypedRow,
    UnreadablePostError,
)
from dc_keras.corpus.records import find_hashtags

# Characters of objects and lists, which handles cannot contain.
NOT_IN_HANDLES = re.compile(r"[\s{}\[\]\"'<>,;|/\\]")
# The values that exports write for nothing; they are neither missing nor malformed.
_REDACTED = "REDACTED"
_EMPTY_VALUES = ("", "0", 0, _REDACTED)
ID_FROM_URL = "address.video_id"
_YES = ("true", "yes", "1")
_NO = ("false", "no", "0")


class Fields:
    """The values of one raw record, and the notes on reading them.

    Args:
        record: the raw record.
        witnesses: paths of ids that the format has as numbers. An exact id looks
            rounded by chance once in 500; if two ids of a record look exact, they are.

    Attributes:
        notes: words such as `missing.music_id`, `malformed.views`, `rounded.music_id`,
            `mended_escapes`, each once.
    """

    __slots__ = ("_notes", "_witnesses", "record")

    def __init__(self, record: RawRecord, *, witnesses: tuple[str, ...] = ()) -> None:
        self.record = record
        self._witnesses = witnesses
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes so far, in order, without repeats."""
        return tuple(self._notes)

    def has(self, path: str) -> bool:
        """Whether the path leads to a value other than null."""
        return self._get(path) is not None

    def text(self, name: str, *paths: str) -> str | None:
        """Returns a repaired text, None if it is missing or empty."""
        for path in paths:
            value = self._get(path)
            if isinstance(value, str) and value and value != _REDACTED:
                return self._repair(value)
        self._note_gap(name, paths)
        return None

    def count(self, name: str, *paths: str) -> int | None:
        """Returns a whole number of at least 0, also from a text such as 1,234."""
        for path in paths:
            value = self._get(path)
            if value is None:
                continue
            number = values.parse_whole_number(value)
            number = values.parse_grouped_number(value) if number is None else number
            if number is not None:
                return number
        self._note_gap(name, paths)
        return None

    def time(self, name: str, *paths: str) -> int | None:
        """Returns UTC seconds, from a number in s, ms or µs or from a zoned text."""
        for path in paths:
            value = self._get(path)
            time = None if value is None else values.parse_whole_number(value)
            if time is not None:
                return values.to_seconds(time)
            if isinstance(value, str) and "-" in value:
                stamp = values.parse_iso_time(value)
                if stamp is not None and stamp.tzinfo is not None:
                    return int(stamp.timestamp())
                if stamp is not None:
                    self.note(f"local.{name}")
                    return None
        self._note_gap(name, paths)
        return None

    def seconds(self, name: str, *paths: str) -> float | None:
        """Returns a finite number of seconds of at least 0, also from a duration."""
        for path in paths:
            seconds = values.parse_duration(self._get(path))
            if seconds is not None and math.isfinite(seconds) and seconds >= 0:
                return seconds
        self._note_gap(name, paths)
        return None

    def flag(self, *paths: str) -> bool | None:
        """Returns true or false, also for 1 or 0, "yes" or "no"; else None."""
        for path in paths:
            value = self._get(path)
            if value is not None:
                word = str(value).strip().casefold()
                if word in _YES or word in _NO:
                    return word in _YES
        return None

    def private_names(self, *paths: str) -> tuple[str, ...]:
        """Returns texts, also in lists, which are only used to remove names."""
        found = map(self._get, paths)
        values = (
            v
            for value in found
            for v in (value if isinstance(value, list) else [value])
        )
        return tuple(value for value in values if isinstance(value, str) and value)

    def identifier(self, name: str, *paths: str) -> str | None:
        """Returns an id as a string; "", "0" and "REDACTED" are not ids.

        Raises:
            UnreadablePostError: the id was rounded, or the value is not an id.
        """
        for path in paths:
            value = self._get(path)
            if value is not None:
                if self._is_exact(value):
                    found = str(value)
                else:
                    found = values.read_id(name, value)
                if found not in _EMPTY_VALUES:
                    self._reject_spreadsheet_id(name, found)
                    return found
        self._note_gap(name, paths)
        return None

    def optional_identifier(self, name: str, *paths: str) -> str | None:
        """Returns an id of digits, or None with a note if it is rounded or invalid."""
        try:
            found = self.identifier(name, *paths)
        except values.RoundedIdError:
            self.note(f"rounded.{name}")
            return None
        except UnreadablePostError:
            self.note(f"malformed.{name}")
            return None
        if found is not None and not found.isdecimal():
            self.note(f"malformed.{name}")
            return None
        return found

    def video_id(self, *paths: str) -> str:
        """Returns the id of the post, from the paths or from its URL.

        Raises:
            UnreadablePostError: there is no id, or none of TikTok, or it was rounded.
        """
        found = self.identifier("video_id", *paths)
        if found is None:
            _, found = addresses.find_post(self.record)
            self.note(ID_FROM_URL)
        elif not found.isdecimal():
            found = addresses.parse_post_url(found)[1] or found
        if found is None:
            raise UnreadablePostError("no video id")
        if not (found.isascii() and found.isdecimal() and len(found) < 20):
            raise UnreadablePostError("`video_id` must be digits, at most 19")
        if values.is_foreign_id(int(found)):
            raise UnreadablePostError(
                "`video_id` is of another platform: TikTok's ids of this length encode "
                "times since 2014"
            )
        # About one exact id in 500 looks rounded by chance, so it is only noted.
        if values.looks_rounded(int(found)):
            self.note("maybe_rounded.video_id")
        return found

    def person(
        self,
        *,
        user_id: tuple[str, ...] = (),
        handle: tuple[str, ...] = (),
        sec_uid: tuple[str, ...] = (),
    ) -> Person | None:
        """Returns a person, None if there is neither an id nor a handle."""
        person = Person(
            user_id=self.identifier("author_id", *user_id) if user_id else None,
            handle=self._handle(handle) if handle else None,
            sec_uid=self.text("author_sec_uid", *sec_uid) if sec_uid else None,
        )
        return None if person.user_id is None and person.handle is None else person

    def author(
        self,
        *,
        user_id: tuple[str, ...] = (),
        handle: tuple[str, ...] = (),
        sec_uid: tuple[str, ...] = (),
    ) -> Person:
        """Returns the author of the post, by default from the handle in its URL.

        Raises:
            UnreadablePostError: there is neither an id nor a handle, or a rounded id.
        """
        author = self.person(user_id=user_id, handle=handle, sec_uid=sec_uid)
        if author is None:
            found = addresses.find_handle(self.record)
            author = None if found is None else Person(None, found)
        if author is None:
            raise UnreadablePostError("a post without an author")
        return author

    def has_images(self, path: str) -> bool:
        """Whether a list of images, a type of post or a flag indicates a slideshow."""
        value = self._get(path)
        if isinstance(value, str):
            word = value.strip().casefold()
            return word not in ("", "[]", "{}", "0", "false", "no", "video", "视频")
        return bool(value)

    def account(
        self, followers: str, total_likes: tuple[str, ...], total_posts: str
    ) -> AccountCounts | None:
        """Returns the counts of the author's account, None if there are none."""
        given = ((followers,), total_likes, (total_posts,))
        counts = [self._first_count(paths) for paths in given]
        return AccountCounts(*counts) if any(n is not None for n in counts) else None

    def entries(self, path: str, *, are_words: bool = False) -> Sequence[Any]:
        """Returns the list at a path, also in a cell; () if there is none.

        Args:
            path: path of the list.
            are_words: whether the entries cannot contain spaces, as for hashtags.

        Raises:
            UnreadablePostError: a list in a cell is truncated or in an unknown syntax.
        """
        value = self._get(path)
        if isinstance(value, dict) and isinstance(self.record, Row):
            return list(value.values())  # columns named `path.0`, `path.1`
        if isinstance(value, str) and value:
            if cells.is_placeholder(value):
                self.note(f"malformed.{path}")
                return ()
            value = cells.read_list(value, split_spaces=are_words)
            if value is None:
                raise UnreadablePostError(
                    f"`{path}` must be a list: it is cut, or in an unknown syntax"
                )
        return value if isinstance(value, list) else ()

    def texts(self, path: str, *keys: str, are_words: bool = False) -> Iterator[str]:
        """Yields the texts of a list; for an object, the first value among `keys`."""
        keys = addresses.with_other_spellings(keys)
        for entry in self.entries(path, are_words=are_words):
            value = entry
            if isinstance(entry, dict):
                value = next((entry[key] for key in keys if entry.get(key)), None)
            if isinstance(value, str) and value:
                yield self._repair(value)

    def tags(self, caption: str | None, *paths: str) -> tuple[str, ...]:
        """Returns the hashtags of the existing lists, else those of the caption."""
        lists = [path for path in paths if self._has_list(path)]
        if not lists:
            return find_hashtags(caption or "")
        found = [
            tag
            for path in lists
            for tag in self.texts(
                path, "name", "title", "hashtagName", "hashtag_name", are_words=True
            )
        ]
        return tuple(found)

    def hashtags(self, caption: str, links: str, listed: str) -> tuple[str, ...]:
        """Returns the tags of `links`, or else of the caption, and then of `listed`."""
        linked = (
            self.texts(links, "hashtagName", "HashtagName", are_words=True)
            if self._has_list(links)
            else find_hashtags(caption)
        )
        keys = ("title", "cha_name", "challengeName", "name")
        found, titles = list(linked), list(self.texts(listed, *keys, are_words=True))
        return tuple(found) if found == titles else (*found, *titles)

    def note(self, word: str) -> None:
        """Adds a note."""
        self._notes[word] = None

    def _handle(self, paths: tuple[str, ...]) -> str | None:
        for path in paths:
            value = self._get(path)
            if not isinstance(value, str) or value == _REDACTED:
                continue
            found = self._repair(value).strip().removeprefix("@")
            if found and not NOT_IN_HANDLES.search(found):
                return found
        self._note_gap("author_handle", paths)
        return None

    def _has_list(self, path: str) -> bool:
        value = self._get(path)
        if isinstance(value, str):
            return bool(value.strip()) and not cells.is_placeholder(value)
        return isinstance(value, list | dict)

    def _first_count(self, paths: tuple[str, ...]) -> int | None:
        numbers = (values.parse_whole_number(self._get(path)) for path in paths)
        return next((number for number in numbers if number is not None), None)

    def _get(self, path: str) -> Any:
        # A table may have a column without a name.
        value: Any = self.record if path else None
        for key, other in addresses.split_path(path):
            if isinstance(value, list) and len(value) == 1:
                value = value[0]
            if not isinstance(value, dict):
                return None
            inner = value.get(key)
            value = value.get(other) if inner is None and other else inner
        return value

    def _is_exact(self, value: object) -> bool:
        """Whether a number is exact because another id of the record is."""
        return type(value) is int and any(
            type(other) is int
            and values.EXACT_IN_A_DOUBLE < other != value
            and not values.looks_rounded(other)
            for other in map(self._get, self._witnesses)
        )

    def _reject_spreadsheet_id(self, name: str, found: str) -> None:
        if isinstance(self.record, TypedRow):
            return
        if isinstance(self.record, Row) and values.is_spreadsheet_rounded(found):
            raise values.RoundedIdError(
                f"`{name}` passed through a spreadsheet, which keeps 15 digits"
            )

    def _note_gap(self, name: str, paths: Sequence[str]) -> None:
        found = [value for value in map(self._get, paths) if value is not None]
        if paths and not found:
            self.note(f"missing.{name}")
        elif any(value not in _EMPTY_VALUES for value in found):
            self.note(f"malformed.{name}")

    def _repair(self, text: str) -> str:
        if "\\u" in text:
            repair_surrogates = values.decode_double_escapes(text)
            if repair_surrogates != text:
                self.note("mended_escapes")
            text = repair_surrogates
        whole = values.repair_surrogates(text)
        if whole != text.replace("\0", ""):
            self.note("mended_surrogates")
        return whole
