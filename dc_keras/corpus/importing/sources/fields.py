"""Reads single values out of a raw record: typed, never guessed, every gap noted.

Paths are dotted: `author.id`. Where several are given, the first that holds a usable
value counts. A key may as well be spelt the other way, `play_count` as `playCount`, and
an object be the one in a list.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dc_keras.corpus.records import find_hashtags
from dc_keras.corpus.importing.sources import addresses
from dc_keras.corpus.importing.sources import cells
from dc_keras.corpus.importing.sources import values
from dc_keras.corpus.importing.sources.post import (
    Account,
    Person,
    RawRecord,
    Row,
    TypedRow,
    UnreadablePostError,
)

# What is in an object or a list that stands where a handle belongs.
NO_HANDLE = re.compile(r"[\s{}\[\]\"'<>,;|/\\]")
# What exports write where there is nothing: no gap, and no fault either.
_REDACTED = "REDACTED"
_NOTHING = ("", "0", 0, _REDACTED)
OF_ADDRESS = "address.video_id"
_YES = ("true", "yes", "1")
_NO = ("false", "no", "0")


class Fields:
    """The values of one raw record, and what was noted while reading them.

    Args:
        record: the raw record.
        witnesses: paths to ids that the format has as numbers. One id in 500 looks
            rounded by chance; two in one record do not.

    Attributes:
        notes: words such as `missing.music_id`, `malformed.views`,
            `rounded.music_id`, `mended_escapes`; one each.
    """

    __slots__ = ("_notes", "_record", "_witnesses")

    def __init__(self, record: RawRecord, *, witnesses: tuple[str, ...] = ()) -> None:
        self._record = record
        self._witnesses = witnesses
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noted so far, in order, without repeats."""
        return tuple(self._notes)

    def has(self, path: str) -> bool:
        """Whether the path leads to anything but null."""
        return self._get(path) is not None

    def text(self, name: str, *paths: str) -> str | None:
        """Returns a mended text, None where there is none or an empty one."""
        for path in paths:
            value = self._get(path)
            if isinstance(value, str) and value and value != _REDACTED:
                return self._mend(value)
        self._note_gap(name, paths)
        return None

    def optional_text(self, name: str, *paths: str) -> str | None:
        """Returns what `text` does, and notes no gap: few formats have the field."""
        return self.text(name, *paths) if any(map(self.has, paths)) else None

    def count(self, name: str, *paths: str) -> int | None:
        """Returns a whole number of at least 0, also out of a text, as 1,234 too."""
        for path in paths:
            value = self._get(path)
            if value is None:
                continue
            number = values.whole_number(value)
            number = values.grouped_number(value) if number is None else number
            if number is not None:
                return number
        self._note_gap(name, paths)
        return None

    def time(self, name: str, *paths: str) -> int | None:
        """Returns a time in UTC seconds: a number of s, ms or µs, or a zoned text.

        A text without a zone is no time, and noted as `local`.
        """
        for path in paths:
            value = self._get(path)
            time = None if value is None else values.whole_number(value)
            if time is not None:
                return values.in_seconds(time)
            if isinstance(value, str) and "-" in value:
                stamp = values.stamp_of(value)
                if stamp is not None and stamp.tzinfo is not None:
                    return int(stamp.timestamp())
                if stamp is not None:
                    self.note(f"local.{name}")
                    return None
        self._note_gap(name, paths)
        return None

    def seconds(self, name: str, *paths: str) -> float | None:
        """Returns a finite number of seconds of at least 0, also out of a text.

        A text may also be a length as `00:01:15`.
        """
        for path in paths:
            seconds = values.length(self._get(path))
            if seconds is not None and math.isfinite(seconds) and seconds >= 0:
                return seconds
        self._note_gap(name, paths)
        return None

    def flag(self, *paths: str) -> bool | None:
        """Returns true or false, None where there is neither: 1 or 0, "yes" or "no"."""
        for path in paths:
            value = self._get(path)
            if value is not None:
                word = str(value).strip().casefold()
                if word in _YES or word in _NO:
                    return word in _YES
        return None

    def private_names(self, *paths: str) -> tuple[str, ...]:
        """Returns the texts at some paths that only help to leave names out."""
        found = map(self._get, paths)
        return tuple(value for value in found if isinstance(value, str) and value)

    def identifier(self, name: str, *paths: str) -> str | None:
        """Returns an id as a string; "", "0" and "REDACTED" are no ids.

        Raises:
            UnreadablePostError: the id passed through a float or a spreadsheet, or is
                no id at all.
        """
        for path in paths:
            value = self._get(path)
            if value is not None:
                if self._is_exact(value):
                    found = str(value)
                else:
                    found = values.read_id(name, value)
                if found not in _NOTHING:
                    self._refuse_spreadsheet(name, found)
                    return found
        self._note_gap(name, paths)
        return None

    def optional_identifier(self, name: str, *paths: str) -> str | None:
        """Returns an id of digits, or None and a note where it is rounded or none."""
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
        """Returns the id of the post: digits, of its address where there is no other.

        Raises:
            UnreadablePostError: there is none, it passed through a float, or it has
                anything but digits.
        """
        found = self.identifier("video_id", *paths)
        if found is None:
            _, found = addresses.find_post(self._record)
            self.note(OF_ADDRESS)
        elif not found.isdecimal():
            found = addresses.post_of(found)[1] or found
        if found is None:
            raise UnreadablePostError("no video id")
        if not (found.isascii() and found.isdecimal() and len(found) < 20):
            raise UnreadablePostError("`video_id` must be digits, at most 19")
        if values.is_of_another_platform(int(found)):
            raise UnreadablePostError(
                "`video_id` is of another platform: TikTok's ids of this length tell "
                "times since 2014"
            )
        # Among texts chance makes one of these in about 500, so it is only told.
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
        """Returns somebody, None where there is neither an id nor a handle.

        Raises:
            UnreadablePostError: the id passed through a float.
        """
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
        """Returns who posted, by the handle in the post's address where by no other.

        Raises:
            UnreadablePostError: there is neither an id nor a handle, or the id passed
                through a float.
        """
        author = self.person(user_id=user_id, handle=handle, sec_uid=sec_uid)
        if author is None:
            found = addresses.find_handle(self._record)
            author = None if found is None else Person(None, found)
        if author is None:
            raise UnreadablePostError("a post without an author")
        return author

    def shows_images(self, path: str) -> bool:
        """Whether a list of images, a kind of post or a flag says that it is images."""
        value = self._get(path)
        if isinstance(value, str):
            word = value.strip().casefold()
            return word not in ("", "[]", "{}", "0", "false", "no", "video", "视频")
        return bool(value)

    def account(
        self, followers: str, total_likes: tuple[str, ...], total_posts: str
    ) -> Account | None:
        """Returns what is known of the author's account, None where nothing is."""
        given = ((followers,), total_likes, (total_posts,))
        counts = [self._first_count(paths) for paths in given]
        return Account(*counts) if any(n is not None for n in counts) else None

    def entries(self, path: str, *, are_words: bool = False) -> Sequence[Any]:
        """Returns the list at a path, () where there is none.

        A text where a list belongs is one in a cell (`cells.read_list`).

        Args:
            path: of the list.
            are_words: whether nothing in the list can have a space, as with hashtags.

        Raises:
            UnreadablePostError: a list in a cell that is cut or in an unknown print.
        """
        value = self._get(path)
        if isinstance(value, dict) and isinstance(self._record, Row):
            return list(value.values())  # columns named `path.0`, `path.1`
        if isinstance(value, str) and value:
            if cells.is_lost(value):
                self.note(f"malformed.{path}")
                return ()
            value = cells.read_list(value, split_spaces=are_words)
            if value is None:
                raise UnreadablePostError(
                    f"`{path}` must be a list: it is cut, or in an unknown print"
                )
        return value if isinstance(value, list) else ()

    def texts(self, path: str, *keys: str, are_words: bool = False) -> Iterator[str]:
        """Yields the texts of a list, of an object in it the first of `keys` it has.

        Empty ones are left out.
        """
        keys = addresses.spellings(keys)
        for entry in self.entries(path, are_words=are_words):
            value = entry
            if isinstance(entry, dict):
                value = next((entry[key] for key in keys if entry.get(key)), None)
            if isinstance(value, str) and value:
                yield self._mend(value)

    def tags(self, caption: str | None, *paths: str) -> tuple[str, ...]:
        """Returns the hashtags of the lists that are there, else of the caption."""
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

    def hashtags(
        self, caption: str | None, *, links: tuple[str, str], listed: tuple[str, str]
    ) -> tuple[str, ...]:
        """Returns the tags that a post links to, then those it is listed under.

        Args:
            caption: where the tags are read where the post has no links.
            links: path of the list of links, and the key of a tag in it.
            listed: likewise of the challenges.
        """
        path, key = links
        linked = (
            self.texts(path, key, are_words=True)
            if self._has_list(path)
            else find_hashtags(caption or "")
        )
        found, titles = list(linked), list(self.texts(*listed, are_words=True))
        return tuple(found) if found == titles else (*found, *titles)

    def note(self, word: str) -> None:
        """Notes something to be counted."""
        self._notes[word] = None

    def _handle(self, paths: tuple[str, ...]) -> str | None:
        for path in paths:
            value = self._get(path)
            if not isinstance(value, str) or value == _REDACTED:
                continue
            found = self._mend(value).strip().removeprefix("@")
            if found and not NO_HANDLE.search(found):
                return found
        self._note_gap("author_handle", paths)
        return None

    def _has_list(self, path: str) -> bool:
        """Whether there is a list at a path, or a cell that once held one."""
        value = self._get(path)
        if isinstance(value, str):
            return bool(value.strip()) and not cells.is_lost(value)
        return isinstance(value, list | dict)

    def _first_count(self, paths: tuple[str, ...]) -> int | None:
        numbers = (values.whole_number(self._get(path)) for path in paths)
        return next((number for number in numbers if number is not None), None)

    def _get(self, path: str) -> Any:
        value: Any = self._record
        for key, other in addresses.keys_of(path):
            if isinstance(value, list) and len(value) == 1:
                value = value[0]
            if not isinstance(value, dict):
                return None
            inner = value.get(key)
            value = value.get(other) if inner is None and other else inner
        return value

    def _is_exact(self, value: object) -> bool:
        """Whether a number is an id that another id of the record vouches for."""
        return type(value) is int and any(
            type(other) is int
            and values.EXACT_IN_A_DOUBLE < other != value
            and not values.looks_rounded(other)
            for other in map(self._get, self._witnesses)
        )

    def _refuse_spreadsheet(self, name: str, found: str) -> None:
        if isinstance(self._record, TypedRow):
            return
        if isinstance(self._record, Row) and values.passed_a_spreadsheet(found):
            raise values.RoundedIdError(
                f"`{name}` passed through a spreadsheet, which keeps 15 digits"
            )

    def _note_gap(self, name: str, paths: Iterable[str]) -> None:
        found = [value for value in map(self._get, paths) if value is not None]
        if not found:
            self.note(f"missing.{name}")
        elif any(value not in _NOTHING for value in found):
            self.note(f"malformed.{name}")

    def _mend(self, text: str) -> str:
        """Undoes two known damages: doubly escaped characters and halves of pairs."""
        if "\\u" in text:
            mended = values.unescaped(text)
            if mended != text:
                self.note("mended_escapes")
            text = mended
        whole = values.mended(text)
        if whole != text.replace("\0", ""):
            self.note("mended_surrogates")
        return whole
