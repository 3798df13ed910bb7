"""Raw records become pseudonymous videos in memory, every record accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dc_keras.corpus import records
from dc_keras.corpus.authors import AuthorTable
from dc_keras.corpus.merging import merge_videos
from dc_keras.corpus.privacy import Pseudonymizer
from dc_keras.corpus.quarantine import Rejected
from dc_keras.corpus.records import Video
from dc_keras.corpus.sources.containers import Found, unwrap
from dc_keras.corpus.sources.post import Post, Source, UnreadablePostError
from dc_keras.corpus.sources.reading import Document, read_documents
from dc_keras.corpus.sources.sniffing import sniff

UNKNOWN_SOURCE = "unknown"

_DAY_S = 24 * 60 * 60
# 2014-01-01: before it nothing was posted, so such an id carries no time.
_EARLIEST_POST = 1_388_534_400


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What became of the records of one source.

    Attributes:
        given: records met.
        imported: records of posts that the corpus did not have.
        merged: records of posts that it had, or that came before in this import.
        quarantined: records that could not be read.
        notes: what was missing or mended, word → number of records.
    """

    given: int
    imported: int
    merged: int
    quarantined: int
    notes: Mapping[str, int]


@dataclass(slots=True)
class _Tally:
    given: int = 0
    imported: int = 0
    merged: int = 0
    quarantined: int = 0
    notes: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Intake:
    """Takes in export files and holds the corpus in memory meanwhile.

    Attributes:
        sources: the sources to ask.
        pseudonymizer: holds the key.
        keep_handles: whether to keep handles beside their pseudonyms.
        keep_raw: whether a rejected record keeps its content.
        videos: the posts by video id.
        authors: the alias table.
        rejected: what could not be read.
        tallies: counts by source name.
    """

    sources: tuple[Source, ...]
    pseudonymizer: Pseudonymizer
    keep_handles: bool
    keep_raw: bool
    videos: dict[str, Video] = field(default_factory=dict)
    authors: AuthorTable = field(default_factory=AuthorTable)
    rejected: list[Rejected] = field(default_factory=list)
    tallies: dict[str, _Tally] = field(default_factory=dict)

    def read_file(self, path: Path) -> int:
        """Takes in one file and returns the number of records met."""
        number = 0
        for document in read_documents(path):
            for found in self._records(document):
                number += 1
                self._take(found, path.name, document)
        return number

    def counts(self) -> dict[str, SourceCounts]:
        """Returns what became of the records so far, by source name."""
        return {
            name: SourceCounts(
                given=tally.given,
                imported=tally.imported,
                merged=tally.merged,
                quarantined=tally.quarantined,
                notes=dict(sorted(tally.notes.items())),
            )
            for name, tally in sorted(self.tallies.items())
        }

    def _records(self, document: Document) -> Iterator[Found]:
        if document.reason is not None:
            return iter((Found("", document.raw, reason=document.reason),))
        return unwrap(
            document.value, lambda record: sniff(record, self.sources) is not None
        )

    def _take(self, found: Found, file: str, document: Document) -> None:
        source = None
        if found.reason is None:
            source = sniff(found.record, self.sources)
        tally = self.tallies.setdefault(
            UNKNOWN_SOURCE if source is None else source.name, _Tally()
        )
        tally.given += 1
        try:
            if source is None:
                raise UnreadablePostError(found.reason)
            post = source.read(found.record)
        except UnreadablePostError as error:
            tally.quarantined += 1
            self.rejected.append(
                Rejected.of(
                    found.record,
                    file=file,
                    position=f"{document.position} {found.position}".rstrip(),
                    reason=str(error),
                    keep_raw=self.keep_raw,
                )
            )
            return
        tally.notes.update(post.notes)
        self._add(self._pseudonymized(post, source.name, found, tally.notes), tally)

    def _add(self, video: Video, tally: _Tally) -> None:
        before = self.videos.get(video.video_id)
        if before is None:
            tally.imported += 1
            self.videos[video.video_id] = video
            return
        tally.merged += 1
        handle_only = self.authors.handle_only
        if before.user_id != video.user_id and not handle_only & {
            before.user_id,
            video.user_id,
        }:
            tally.notes["conflicting.user_id"] += 1
        self.videos[video.video_id] = merge_videos(
            before, video, handle_only=handle_only
        )

    def _pseudonymized(
        self, post: Post, source: str, found: Found, notes: Counter[str]
    ) -> Video:
        code = self.pseudonymizer
        user_id = self.authors.add(
            user_id=_map(code.user, post.author.user_id),
            alias=_map(code.handle, post.author.handle),
            sec_uid=_map(code.sec_uid, post.author.sec_uid),
            username=post.author.handle if self.keep_handles else None,
        )
        handles = (*records.find_mentions(post.caption), *post.mentions)
        return Video(
            video_id=post.video_id,
            user_id=user_id,
            source=source,
            caption=records.replace_mentions(post.caption, code.mention),
            create_time=_create_time(post, notes),
            username=post.author.handle if self.keep_handles else None,
            hashtags=records.unique(map(records.normalize_hashtag, post.hashtags)),
            mentions=records.unique(map(code.mention, handles)),
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
        return records.clean_sound_title(
            post.music_title,
            is_original=post.music_is_original,
            handle=post.author.handle,
            names=post.private_names,
            replacement=self.pseudonymizer.mention,
        )


def _create_time(post: Post, notes: Counter[str]) -> int | None:
    """Returns the posting time as given, or out of the id where none is given."""
    carried = records.posting_time(post.video_id)
    if post.create_time is None:
        if carried < _EARLIEST_POST:
            notes["unknown.create_time"] += 1
            return None
        notes["create_time_from_id"] += 1
        return carried
    if abs(carried - post.create_time) > _DAY_S:
        notes["id_time_mismatch"] += 1
    return post.create_time


def _map(code: Callable[[str], str], value: str | None) -> str | None:
    return None if value is None else code(value)
