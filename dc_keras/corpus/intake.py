"""Raw records become pseudonymous posts and ties, every record accounted for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from dc_keras.corpus import records
from dc_keras.corpus.authors import AuthorTable
from dc_keras.corpus.posting_time import posting_time
from dc_keras.corpus.privacy import Pseudonymizer
from dc_keras.corpus.quarantine import Rejected
from dc_keras.corpus.records import Edge, Video
from dc_keras.corpus.sources.containers import Found, unwrap
from dc_keras.corpus.sources.post import (
    Person,
    Post,
    Source,
    Tie,
    Ties,
    UnreadablePostError,
)
from dc_keras.corpus.sources.reading import Document, read_documents
from dc_keras.corpus.sources.sniffing import sniff

UNKNOWN_SOURCE = "unknown"

_POSTED = "posted"
_AUTHORS_KEPT = 2**16


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What became of the records of one source.

    Attributes:
        given: records met.
        imported: records of posts or ties that the corpus did not have.
        merged: records of those that it had, or that came before in this import.
        quarantined: records that could not be read.
        forgotten: records of posts that the corpus has forgotten.
        notes: what was missing or mended, word → number of records.
    """

    given: int
    imported: int
    merged: int
    quarantined: int
    forgotten: int
    notes: Mapping[str, int]


@dataclass(slots=True)
class Tally:
    """The counts of one source while they grow."""

    given: int = 0
    imported: int = 0
    merged: int = 0
    quarantined: int = 0
    forgotten: int = 0
    notes: Counter[str] = field(default_factory=Counter)


class Intake:
    """Takes in export files; what it keeps are authors and ties, never posts.

    Args:
        sources: the sources to ask.
        pseudonymizer: holds the key.
        authors: the alias table so far.
        keep_handles: whether to keep handles beside their pseudonyms.
        keep_raw: whether a rejected record keeps its content.
        add_post: takes each post that was read, and what was noted.
        reject: takes what could not be read.
        is_forgotten: whether to leave a tie out.

    Attributes:
        ties: those read so far, each once; ones known before may be added first.
        kept_notes: notes on records of ties that were new, by source name.
        tallies: counts by source name. Whether a post was `imported` or `merged` is
            for whoever takes the posts to say.
    """

    def __init__(
        self,
        *,
        sources: tuple[Source, ...],
        pseudonymizer: Pseudonymizer,
        authors: AuthorTable,
        keep_handles: bool,
        keep_raw: bool,
        add_post: Callable[[Video, Sequence[str]], None],
        reject: Callable[[Rejected], object],
        is_forgotten: Callable[[Edge], bool] = lambda _: False,
    ) -> None:
        self.ties: dict[Edge, None] = {}
        self.kept_notes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.tallies: dict[str, Tally] = {}
        self._sources = sources
        self._code = pseudonymizer
        self._authors = authors
        self._keep_handles = keep_handles
        self._keep_raw = keep_raw
        self._add_post = add_post
        self._reject = reject
        self._is_forgotten = is_forgotten
        self._posted: dict[str, str] = {}
        self._user_id = lru_cache(_AUTHORS_KEPT)(self._new_user_id)
        self._mention = lru_cache(_AUTHORS_KEPT)(pseudonymizer.mention)

    def read_file(self, path: Path) -> int:
        """Takes in one file and returns the number of records met."""
        number = 0
        for document in read_documents(path):
            if document.reason is not None:
                found = Found(document.raw, reason=document.reason)
                self._take(found, path.name, document)
                number += 1
                continue
            for found in unwrap(document.value, self._sniff):
                self._take(found, path.name, document)
                number += 1
        return number

    def counts(self) -> dict[str, SourceCounts]:
        """Returns what became of the records so far, by source name."""
        return {
            name: SourceCounts(
                given=tally.given,
                imported=tally.imported,
                merged=tally.merged,
                quarantined=tally.quarantined,
                forgotten=tally.forgotten,
                notes=dict(sorted(tally.notes.items())),
            )
            for name, tally in sorted(self.tallies.items())
        }

    def _sniff(self, record: dict[str, object]) -> Source | None:
        return sniff(record, self._sources)

    def _take(self, found: Found, file: str, document: Document) -> None:
        name = UNKNOWN_SOURCE if found.source is None else found.source.name
        tally = self.tallies.get(name)
        if tally is None:
            tally = self.tallies[name] = Tally()
        tally.given += 1
        try:
            self._read(found, tally)
        except UnreadablePostError as error:
            tally.quarantined += 1
            self._reject(
                Rejected.of(
                    found.record,
                    file=file,
                    position=f"{document.position} {found.position}".rstrip(),
                    reason=str(error),
                    keep_raw=self._keep_raw,
                )
            )

    def _read(self, found: Found, tally: Tally) -> None:
        source = found.source
        if source is None:
            raise UnreadablePostError(found.reason)
        if source.read_ties is not None:
            ties = source.read_ties(found.record, found.asked)
            tally.notes.update(ties.notes)
            self._take_ties(ties, source.name, tally)
        elif source.read is not None:
            post = source.read(found.record)
            user_id = self._author_of(post)
            notes = list(post.notes)
            video = self._video(post, user_id, source.name, found, notes)
            tally.notes.update(notes)
            self._add_post(video, notes)
            for tie in post.ties:
                self._add_tie(tie, source.name)

    def _take_ties(self, ties: Ties, source: str, tally: Tally) -> None:
        is_new = [self._add_tie(tie, source) for tie in ties.ties]
        if any(is_new):
            tally.imported += 1
            self.kept_notes[source].update(ties.notes)
        else:
            tally.merged += 1

    def _add_tie(self, tie: Tie, source: str) -> bool:
        """Adds a tie and returns whether it was not there before."""
        user_id = None if tie.actor is None else self._person(tie.actor)
        if tie.kind == _POSTED:
            is_new = str(tie.target) not in self._posted
            if user_id is not None:
                self._posted[str(tie.target)] = user_id
            return is_new
        target = self._target(tie)
        if target is None:
            return False
        edge = Edge(
            kind=tie.kind,
            user_id=user_id,
            target_type=tie.target_type,
            target_id=target,
            video_id=tie.video_id,
            time=tie.time,
            source=source,
        )
        if self._is_forgotten(edge):
            return False
        is_new = edge not in self.ties and self._as_known(edge) not in self.ties
        self.ties[edge] = None
        return is_new

    def _as_known(self, edge: Edge) -> Edge:
        """Returns the tie under the ids that the corpus would have kept it under."""
        owners = self._authors.known_owners
        user_id, target = edge.user_id or "", edge.target_id
        return replace(
            edge,
            user_id=owners.get(user_id, edge.user_id),
            target_id=owners.get(target, target),
        )

    def _target(self, tie: Tie) -> str | None:
        if isinstance(tie.target, Person):
            return self._person(tie.target)
        if tie.target_type == "hashtag":
            return records.normalize_hashtag(tie.target) or None
        if tie.target_type == "sound_title":
            return self._clean(tie.target, None, tie.actor, ())
        return tie.target

    def _author_of(self, post: Post) -> str:
        if post.author is not None:
            return self._person(post.author)
        user_id = self._posted.get(post.video_id)
        if user_id is None:
            raise UnreadablePostError(
                "a post without an author; whichtok's users.json tells: import it "
                "together with this table"
            )
        return user_id

    def _person(self, person: Person) -> str:
        return self._user_id(person.user_id, person.handle, person.sec_uid)

    def _new_user_id(
        self, user_id: str | None, handle: str | None, sec_uid: str | None
    ) -> str:
        code = self._code
        return self._authors.add(
            user_id=_map(code.user, user_id),
            alias=_map(code.handle, handle),
            sec_uid=_map(code.sec_uid, sec_uid),
            username=handle if self._keep_handles else None,
        )

    def _video(
        self, post: Post, user_id: str, source: str, found: Found, notes: list[str]
    ) -> Video:
        handle = None if post.author is None else post.author.handle
        handles = (*records.find_mentions(post.caption), *post.mentions)
        return Video(
            video_id=post.video_id,
            user_id=user_id,
            source=source,
            caption=records.replace_mentions(post.caption, self._mention),
            create_time=posting_time(post.video_id, post.create_time, notes),
            username=handle if self._keep_handles else None,
            hashtags=records.unique(map(records.normalize_hashtag, post.hashtags)),
            mentions=records.unique(map(self._mention, handles)),
            music_id=post.music_id,
            music_title=self._sound_title(post),
            duration_s=post.duration_s,
            views=post.views,
            likes=post.likes,
            comments=post.comments,
            shares=post.shares,
            saves=post.saves,
            duet_of=post.duet_of,
            stitch_of=post.stitch_of,
            effects=post.effects,
            region=post.region,
            language=post.language,
            transcript=post.transcript,
            collected_at=found.collected_at,
            first_collected_at=found.collected_at,
            is_slideshow=post.is_slideshow,
        )

    def _sound_title(self, post: Post) -> str | None:
        if post.music_title is None:
            return None
        return self._clean(
            post.music_title, post.music_is_original, post.author, post.private_names
        )

    def _clean(
        self,
        title: str,
        is_original: bool | None,
        author: Person | None,
        names: tuple[str, ...],
    ) -> str | None:
        return records.clean_sound_title(
            title,
            is_original=is_original,
            handle=None if author is None else author.handle,
            names=names,
            replacement=self._mention,
        )


def _map(code: Callable[[str], str], value: str | None) -> str | None:
    return None if value is None else code(value)
