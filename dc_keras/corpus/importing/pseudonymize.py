"""Converts posts and edges in the clear to pseudonymous records of the corpus."""

from __future__ import annotations

import typing
from collections import ChainMap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import repeat
from typing import Any

import polars as pl
import pyarrow

from dc_keras.corpus import records
from dc_keras.corpus.importing.authors import AuthorTable
from dc_keras.corpus.importing.posting_time import find_unconfirmed, posting_time
from dc_keras.corpus.importing.sources.post import (
    Person,
    Post,
    PostColumns,
    RawEdge,
    UnknownAuthorError,
)
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.records import Edge, Video
from dc_keras.corpus.store import table_of_columns

NOTES = "notes"
POSTED = "posted"

_CACHE_SIZE = 2**16
_AS_GIVEN = (
    *("video_id", "music_id", "duration_s", "views", "likes", "comments", "shares"),
    *("saves", "duet_of", "stitch_of", "effects", "region", "language", "transcript"),
    "is_slideshow",
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Posts to convert, as one list per field, with the pseudonyms of their authors."""

    posts: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in Post.__struct_fields__}
    )
    user_ids: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    collected_at: list[int | None] = field(default_factory=list)

    def add(
        self,
        posts: PostColumns,
        user_ids: Sequence[str],
        source: str,
        collected_at: int | None,
    ) -> None:
        """Adds posts from one source with one collection time."""
        for name, values in self.posts.items():
            values.extend(posts[name])
        self.user_ids.extend(user_ids)
        self.sources.extend(repeat(source, len(user_ids)))
        self.collected_at.extend(repeat(collected_at, len(user_ids)))


class RecordMaker:
    """Makes pseudonymous records and adds all people in them to an alias table.

    Attributes:
        authors: the alias table since `start`.
    """

    def __init__(self, pseudonymizer: Pseudonymizer, *, keep_handles: bool) -> None:
        self._code = pseudonymizer
        self._keep_handles = keep_handles
        # Caches, because the same people occur many times.
        self._names = lru_cache(_CACHE_SIZE)(self._new_names)
        self._mention = lru_cache(_CACHE_SIZE)(pseudonymizer.mention)
        self._clean = partial(records.clean_sound_title, replacement=self._mention)
        self.start({})

    def start(self, post_authors: dict[str, str]) -> None:
        """Starts a unit with a new alias table; earlier units give `post_authors`."""
        self.authors = AuthorTable()
        self._pseudonyms: dict[Person, str] = {}
        self._post_authors: ChainMap[str, str] = ChainMap({}, post_authors)

    def user_ids(self, posts: PostColumns) -> list[str]:
        """Returns the pseudonyms of the authors, or raises `UnknownAuthorError`."""
        authors = posts["author"]
        if all(authors):
            known = self._pseudonyms.get
            return [known(author) or self._person(author) for author in authors]
        return list(map(self._user_id, authors, posts["video_id"]))

    def table(self, batch: Batch) -> pl.DataFrame:
        """Returns a table with the fields of `records.Video` and the column `notes`.

        Columns are built at once, which is twice as fast as building records.
        """
        given = batch.posts
        self.authors.add_accounts(batch.user_ids, batch.collected_at, given["account"])
        times, notes = _times_and_notes(given)
        captions, mentions = self._captions_and_mentions(given)
        columns: dict[str, Any] = {name: given[name] for name in _AS_GIVEN}
        columns |= {
            "user_id": batch.user_ids,
            "source": batch.sources,
            "collected_at": batch.collected_at,
            "first_collected_at": batch.collected_at,
            "caption": captions,
            "mentions": mentions,
            "hashtags": list(map(records.normalize_hashtags, given["hashtags"])),
            "music_title": self._titles(given),
            "create_time": times,
        }
        if self._keep_handles:
            columns["username"] = [a and a.handle for a in given["author"]]
        return table_of_columns(Video, columns).hstack(_table_of_notes(notes))

    def edge(self, edge: RawEdge, source: str) -> Edge | None:
        """Returns the record of an edge; None if its target is not a valid hashtag."""
        target = self._target(edge)
        if target is None:
            return None
        user_id = None if edge.actor is None else self._person(edge.actor)
        if edge.kind == POSTED and user_id is not None:
            self._post_authors[target] = user_id
        return Edge(
            kind=edge.kind,
            user_id=user_id,
            target_type=edge.target_type,
            target_id=target,
            video_id=edge.video_id,
            time=edge.time,
            source=source,
        )

    def _user_id(self, author: Person | None, video_id: str) -> str:
        if author is not None:
            return self._person(author)
        user_id = self._post_authors.get(video_id)
        if user_id is None:
            raise UnknownAuthorError(
                "a post without an author: import this table together with "
                "whichtok's users.json, which contains the authors"
            )
        return user_id

    def _captions_and_mentions(
        self, posts: PostColumns
    ) -> tuple[list[str], list[tuple[str, ...]]]:
        captions, mentions = list(posts["caption"]), list(posts["mentions"])
        for row, (caption, others) in enumerate(zip(captions, mentions, strict=True)):
            if others or records.has_mentions(caption):
                captions[row], mentions[row] = self._without_handles(caption, others)
        return captions, mentions

    def _without_handles(
        self, caption: str, others: tuple[str, ...]
    ) -> tuple[str, tuple[str, ...]]:
        codes: list[str] = []

        def replacement(handle: str) -> str:
            codes.append(self._mention(handle))
            return codes[-1]

        caption = records.replace_mentions(caption, replacement)
        return caption, records.unique((*codes, *map(self._mention, others)))

    def _titles(self, posts: PostColumns) -> list[str | None]:
        """Returns titles of sounds without personal names; most titles have none."""
        titles = posts["music_title"]
        handles = [author and author.handle for author in posts["author"]]
        cleaned = [(title and title.strip()) or None for title in titles]
        for row in records.find_names(titles, handles):
            cleaned[row] = self._clean(
                titles[row],
                handle=handles[row],
                is_original=posts["music_is_original"][row],
                names=posts["private_names"][row],
            )
        return cleaned

    def _target(self, edge: RawEdge) -> str | None:
        if isinstance(edge.target, Person):
            return self._person(edge.target)
        if edge.target_type == "hashtag":
            return records.normalize_hashtag(edge.target) or None
        if edge.target_type == "sound_title":
            handle = None if edge.actor is None else edge.actor.handle
            return self._clean(edge.target, is_original=None, handle=handle, names=())
        return edge.target

    def _person(self, person: Person) -> str:
        user_id = self._pseudonyms.get(person)
        if user_id is None:
            if len(self._pseudonyms) >= _CACHE_SIZE:
                self._pseudonyms.clear()
            user_id = self._pseudonyms[person] = self._new_person(person)
        return user_id

    def _new_person(self, person: Person) -> str:
        user_id, alias, sec_uid = self._names(person)
        return self.authors.add(
            user_id=user_id,
            alias=alias,
            sec_uid=sec_uid,
            username=person.handle if self._keep_handles else None,
        )

    def _new_names(self, person: Person) -> tuple[str | None, str | None, str | None]:
        code = self._code
        return (
            _map(code.user, person.user_id),
            _map(code.handle, person.handle),
            _map(code.sec_uid, person.sec_uid),
        )


def _times_and_notes(
    posts: PostColumns,
) -> tuple[list[int | None], list[tuple[str, ...]]]:
    times, notes = list(posts["create_time"]), list(posts["notes"])
    for row in find_unconfirmed(posts["video_id"], times):
        noted = list(notes[row])
        times[row] = posting_time(posts["video_id"][row], times[row], noted)
        notes[row] = tuple(noted)
    return times, notes


def _table_of_notes(notes: Sequence[tuple[str, ...]]) -> pl.DataFrame:
    column = pyarrow.array(notes, pyarrow.large_list(pyarrow.large_string()))
    return typing.cast("pl.DataFrame", pl.from_arrow(pyarrow.table({NOTES: column})))


def _map(code: Callable[[str], str], value: str | None) -> str | None:
    return None if value is None else code(value)
