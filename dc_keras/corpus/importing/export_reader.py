"""Reads export files and accounts for every record in them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from dc_keras.corpus.importing.pseudonymize import NOTES, Batch, RecordMaker
from dc_keras.corpus.importing.quarantine import Rejected
from dc_keras.corpus.importing.sources.containers import ContainedRecord, unwrap
from dc_keras.corpus.importing.sources.fields import ID_FROM_URL
from dc_keras.corpus.importing.sources.post import (
    Post,
    PostColumns,
    RawEdge,
    RawEdges,
    Source,
    UnreadablePostError,
    columns_of,
)
from dc_keras.corpus.importing.sources.reading import Document, read_documents
from dc_keras.corpus.importing.sources.sniffing import sniff
from dc_keras.corpus.records import Edge

UNKNOWN_SOURCE = "unknown"

# Maximum lines of quarantine.jsonl per reason and file; a last line counts the others.
MOST_LISTED = 10_000

_POSTED = "posted"
_POSTS_A_BATCH = 2**11


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """Numbers of records of one source, by outcome.

    Attributes:
        given: all records.
        imported: records of posts or edges that are new to the corpus.
        merged: records of posts or edges that the corpus, or an earlier record of this
            import, already contained.
        quarantined: records that could not be read.
        forgotten: records of posts that the corpus has forgotten.
        notes: missing or repaired values: word → number of records.
    """

    given: int
    imported: int
    merged: int
    quarantined: int
    forgotten: int
    notes: Mapping[str, int]


@dataclass(slots=True)
class Tally:
    """The mutable counts of one source."""

    given: int = 0
    imported: int = 0
    merged: int = 0
    quarantined: int = 0
    forgotten: int = 0
    notes: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class FileReport:
    """The content of one file.

    Attributes:
        name: file name, without directories.
        sources: number of records per source.
        reasons: number of rejected records per reason.
        examples: position of the first rejected record per reason.
    """

    name: str
    sources: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)


class ExportReader:
    """Reads export files; passes posts on and collects the edges.

    Args:
        sources: the sources to try.
        maker: makes the records of the corpus.
        keep_raw: whether to keep the content of rejected records.
        add_posts: called with tables of posts: the fields of `records.Video`, and
            `notes`.
        reject: called with each rejected record.
        is_forgotten: whether to omit an edge.

    Attributes:
        edges: the edges so far, without repeats; known edges may be added beforehand.
        kept_notes: notes on records with new edges, by source name.
        tallies: counts by source name. The caller counts the `imported` and `merged`
            posts.
    """

    def __init__(
        self,
        *,
        sources: tuple[Source, ...],
        maker: RecordMaker,
        keep_raw: bool,
        add_posts: Callable[[pl.DataFrame], None],
        reject: Callable[[Rejected], object],
        is_forgotten: Callable[[Edge], bool] = lambda _: False,
    ) -> None:
        self.edges: dict[Edge, None] = {}
        self.kept_notes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._sources = sources
        self._maker = maker
        self._keep_raw = keep_raw
        self._add_posts = add_posts
        self._batch = Batch()
        self._reject = reject
        self._is_forgotten = is_forgotten

    def read_file(self, path: Path) -> FileReport:
        """Reads one file and returns a report on its content."""
        fast = next((source for source in self._sources if source.read_lines), None)
        read_lines = None if fast is None else fast.read_lines
        report = FileReport(path.name)
        for document in read_documents(path, read_lines):
            if fast is not None and document.posts is not None:
                num_posts = len(document.posts["video_id"])
                self.tallies[fast.name].given += num_posts
                report.sources[fast.name] += num_posts
                self._batch_posts(document.posts, fast.name)
                continue
            for found in self._records(document):
                self._add_record(found, report, document)
        self._finish_batch()
        for reason, number in report.reasons.items():
            if number > MOST_LISTED:
                self._reject_rest(report, reason, number - MOST_LISTED)
        return report

    def counts(self) -> dict[str, SourceCounts]:
        """Returns the counts so far, by source name."""
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

    def _records(self, document: Document) -> Iterator[ContainedRecord]:
        if document.reason is not None:
            return iter((ContainedRecord(document.raw, reason=document.reason),))
        return unwrap(document.value, lambda record: sniff(record, self._sources))

    def _add_record(
        self, found: ContainedRecord, report: FileReport, document: Document
    ) -> None:
        name = UNKNOWN_SOURCE if found.source is None else found.source.name
        tally = self.tallies[name]
        tally.given += 1
        try:
            self._read(found, tally)
        except UnreadablePostError as error:
            tally.quarantined += 1
            position = f"{document.position} {found.position}".rstrip()
            self._reject_record(found, report, position, str(error), document.raw)
        else:
            report.sources[name] += 1

    def _reject_record(
        self,
        found: ContainedRecord,
        report: FileReport,
        position: str,
        reason: str,
        raw: bytes,
    ) -> None:
        report.reasons[reason] += 1
        report.examples.setdefault(reason, position)
        if report.reasons[reason] > MOST_LISTED:
            return
        self._reject(
            Rejected.of(
                raw or found.record,
                file=report.name,
                position=position,
                reason=reason,
                keep_raw=self._keep_raw,
            )
        )

    def _reject_rest(self, report: FileReport, reason: str, number: int) -> None:
        """Rejects the records beyond MOST_LISTED with one entry."""
        rest = f"{reason} ({number} further records of this file)"
        self._reject(
            Rejected.of(
                b"", file=report.name, position="further", reason=rest, keep_raw=False
            )
        )

    def _read(self, found: ContainedRecord, tally: Tally) -> None:
        source = found.source
        if source is None:
            raise UnreadablePostError(found.reason)
        if source.read_edges is not None:
            edges = source.read_edges(found.record, found.context)
            self._add_edges(edges, source.name, tally)
        elif source.read is not None:
            post = source.read(found.record)
            if ID_FROM_URL in post.notes and _has_only_id(post):
                raise UnreadablePostError("the URL of a post and nothing else")
            self._batch_posts(columns_of(post), source.name, found.collected_at)
            for edge in post.edges:
                self._add_edge(edge, source.name)

    def _batch_posts(
        self, posts: PostColumns, source: str, collected_at: int | None = None
    ) -> None:
        batch = self._batch
        batch.add(posts, self._maker.user_ids(posts), source, collected_at)
        if len(batch.user_ids) >= _POSTS_A_BATCH:
            self._finish_batch()

    def _finish_batch(self) -> None:
        if self._batch.user_ids:
            table = self._maker.table(self._batch)
            self._batch = Batch()
            if table[NOTES].list.len().sum():
                noted = table.select("source", NOTES).explode(NOTES).drop_nulls()
                for source, note, number in noted.group_by(pl.all()).len().rows():
                    self.tallies[source].notes[note] += number
            self._add_posts(table)

    def _add_edges(self, record: RawEdges, source: str, tally: Tally) -> None:
        tally.notes.update(record.notes)
        is_new = [self._add_edge(edge, source) for edge in record.edges]
        if any(is_new):
            tally.imported += 1
            self.kept_notes[source].update(record.notes)
        else:
            tally.merged += 1

    def _add_edge(self, raw: RawEdge, source: str) -> bool:
        """Adds an edge and returns whether it is new."""
        if raw.kind == _POSTED:
            return self._maker.add_post_author(raw)
        edge = self._maker.edge(raw, source)
        if edge is None or self._is_forgotten(edge):
            return False
        known = self._maker.with_existing_ids(edge)
        is_new = edge not in self.edges and known not in self.edges
        self.edges[edge] = None
        return is_new


def _has_only_id(post: Post) -> bool:
    counts = (post.views, post.likes, post.comments, post.shares, post.create_time)
    return not post.caption and all(count is None for count in counts)
