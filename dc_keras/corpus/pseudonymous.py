"""Posts and ties in the clear become the corpus's records, without a name in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import msgspec
import polars as pl
import pyarrow

from dc_keras.corpus import records
from dc_keras.corpus.authors import AuthorTable
from dc_keras.corpus.posting_time import posting_time
from dc_keras.corpus.privacy import Pseudonymizer
from dc_keras.corpus.records import Edge, Video
from dc_keras.corpus.sources.post import Person, Post, Tie, UnreadablePostError
from dc_keras.corpus.store import table_of_columns

NOTES = "notes"

_KEPT = 2**16
_AS_GIVEN = (
    *("video_id", "music_id", "duration_s", "views", "likes", "comments", "shares"),
    *("saves", "duet_of", "stitch_of", "effects", "region", "language", "transcript"),
    "is_slideshow",
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Posts on their way into a table: a list for each thing known of them.

    Attributes:
        posts: as sources read them.
        user_ids: pseudonyms of who posted.
        sources: names of the sources.
        collected_at: when the exports saw them, UTC seconds.
    """

    posts: list[Post] = field(default_factory=list)
    user_ids: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    collected_at: list[int | None] = field(default_factory=list)


class RecordMaker:
    """Makes records, and tells the alias table of everyone it meets.

    Args:
        pseudonymizer: holds the key.
        authors: the alias table.
        keep_handles: whether to keep handles beside their pseudonyms.
    """

    def __init__(
        self, pseudonymizer: Pseudonymizer, authors: AuthorTable, *, keep_handles: bool
    ) -> None:
        self._code = pseudonymizer
        self._authors = authors
        self._keep_handles = keep_handles
        self._posted: dict[str, str] = {}
        # The same people come again and again.
        self._person = lru_cache(_KEPT)(self._new_person)
        self._mention = lru_cache(_KEPT)(pseudonymizer.mention)
        self._clean = partial(records.clean_sound_title, replacement=self._mention)

    def user_id(self, post: Post) -> str:
        """Returns the pseudonym of whoever posted.

        Raises:
            UnreadablePostError: nobody has said who that is.
        """
        if post.author is not None:
            return self._person(post.author)
        user_id = self._posted.get(post.video_id)
        if user_id is None:
            raise UnreadablePostError(
                "a post without an author; whichtok's users.json tells: import it "
                "together with this table"
            )
        return user_id

    def table(self, batch: Batch) -> pl.DataFrame:
        """Returns the fields of `records.Video` for each post, and its `notes`.

        A column at a time: a record at a time takes twice as long.
        """
        rows = zip(*map(msgspec.structs.astuple, batch.posts), strict=True)
        given = dict(zip(Post.__struct_fields__, rows, strict=True))
        notes = list(map(list, given["notes"]))
        texts = map(self._caption_and_mentions, given["caption"], given["mentions"])
        captions, mentions = zip(*texts, strict=True)
        columns: dict[str, Any] = {name: given[name] for name in _AS_GIVEN}
        columns |= {
            "user_id": batch.user_ids,
            "source": batch.sources,
            "collected_at": batch.collected_at,
            "first_collected_at": batch.collected_at,
            "caption": captions,
            "mentions": mentions,
            "hashtags": list(map(records.normalize_hashtags, given["hashtags"])),
            "music_title": list(map(self._title, batch.posts)),
            "create_time": list(
                map(posting_time, given["video_id"], given["create_time"], notes)
            ),
        }
        if self._keep_handles:
            columns["username"] = [a and a.handle for a in given["author"]]
        table = table_of_columns(Video, columns)
        lists = pyarrow.array(notes, pyarrow.list_(pyarrow.large_string()))
        return table.with_columns(pl.Series(NOTES, lists))

    def edge(self, tie: Tie, source: str) -> Edge | None:
        """Returns the record of a tie, None where it leads to what is no hashtag."""
        target = self._target(tie)
        if target is None:
            return None
        return Edge(
            kind=tie.kind,
            user_id=None if tie.actor is None else self._person(tie.actor),
            target_type=tie.target_type,
            target_id=target,
            video_id=tie.video_id,
            time=tie.time,
            source=source,
        )

    def note_author(self, tie: Tie) -> bool:
        """Keeps in mind whose a post is and returns whether that is new."""
        video_id = str(tie.target)
        is_new = video_id not in self._posted
        if tie.actor is not None:
            self._posted[video_id] = self._person(tie.actor)
        return is_new

    def as_known(self, edge: Edge) -> Edge:
        """Returns a tie under the ids that the corpus would have kept it under."""
        return edge.renamed(self._authors.known_owners)

    def _caption_and_mentions(
        self, caption: str, others: tuple[str, ...]
    ) -> tuple[str, tuple[str, ...]]:
        if not others and not records.has_mentions(caption):
            return caption, ()
        handles = records.find_mentions(caption) + others
        caption = records.replace_mentions(caption, self._mention)
        return caption, records.unique(map(self._mention, handles))

    def _title(self, post: Post) -> str | None:
        if post.music_title is None:
            return None
        return self._clean(
            post.music_title,
            is_original=post.music_is_original,
            handle=None if post.author is None else post.author.handle,
            names=post.private_names,
        )

    def _target(self, tie: Tie) -> str | None:
        if isinstance(tie.target, Person):
            return self._person(tie.target)
        if tie.target_type == "hashtag":
            return records.normalize_hashtag(tie.target) or None
        if tie.target_type == "sound_title":
            handle = None if tie.actor is None else tie.actor.handle
            return self._clean(tie.target, is_original=None, handle=handle, names=())
        return tie.target

    def _new_person(self, person: Person) -> str:
        code, handle = self._code, person.handle
        return self._authors.add(
            user_id=_map(code.user, person.user_id),
            alias=_map(code.handle, handle),
            sec_uid=_map(code.sec_uid, person.sec_uid),
            username=handle if self._keep_handles else None,
        )


def _map(code: Callable[[str], str], value: str | None) -> str | None:
    return None if value is None else code(value)
