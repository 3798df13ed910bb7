"""Reads units of export files, each of them independently of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from dc_keras.corpus.importing.pseudonymize import NOTES, Batch, RecordMaker
from dc_keras.corpus.importing.quarantine import Entry, make_entry
from dc_keras.corpus.importing.sources.containers import ContainedRecord, unwrap
from dc_keras.corpus.importing.sources.fields import ID_FROM_URL
from dc_keras.corpus.importing.sources.pieces import Piece
from dc_keras.corpus.importing.sources.post import (
    Post,
    PostColumns,
    RawEdge,
    UnknownAuthorError,
    UnreadablePostError,
    columns_of,
)
from dc_keras.corpus.importing.sources.reading import Document, read_documents
from dc_keras.corpus.importing.sources.sniffing import AUTO, choose_sources, sniff
from dc_keras.corpus.importing.unit_content import (
    EdgeRecord,
    FileReport,
    Unit,
    UnitContent,
)
from dc_keras.corpus.pseudonyms import Pseudonymizer

UNKNOWN_SOURCE = "unknown"

# Maximum lines of quarantine.jsonl per reason and file; a last line counts the others.
MOST_LISTED = 10_000

_POSTS_A_BATCH = 2**11


@dataclass(frozen=True)
class ReadingOptions:
    """How export files are read.

    Attributes:
        pseudonymizer: holds the key.
        source: name of a source, or "auto" to recognise the source of each record.
        source_file: Python file that registers a custom source.
        keep_handles: whether to keep handles in addition to their pseudonyms.
        keep_raw: whether to keep the content of rejected records.
    """

    pseudonymizer: Pseudonymizer
    source: str = AUTO
    source_file: str | None = None
    keep_handles: bool = False
    keep_raw: bool = False


class Sink(Protocol):
    """Takes the posts and the rejected records of a unit, in order."""

    def add_posts(self, table: pl.DataFrame, /) -> object:
        """Takes posts: the fields of `records.Video`, and `notes`."""

    def reject(self, piece: Piece, entry: Entry) -> object:
        """Takes the entry of a rejected record of a piece."""


class ExportReader:
    """Reads units of export files; `source_names` are those that are tried."""

    def __init__(self, options: ReadingOptions) -> None:
        self._sources = choose_sources(options.source, options.source_file)
        self.source_names = tuple(source.name for source in self._sources)
        self._maker = RecordMaker(
            options.pseudonymizer, keep_handles=options.keep_handles
        )
        self._keep_raw = options.keep_raw

    def read(
        self, unit: Unit, sink: Sink, post_authors: dict[str, str] | None = None
    ) -> UnitContent:
        """Reads a unit; returns its content other than posts and rejected records.

        Args:
            unit: the pieces to read.
            sink: takes posts and rejected records.
            post_authors: id of a post → pseudonym of its author, from earlier units.
        """
        self._maker.start(post_authors or {})
        self._sink = sink
        self._batch = Batch()
        self._content = UnitContent()
        for piece in unit:
            self._content.reports.append(self._read_piece(piece))
        self._finish_batch()
        self._content.authors = self._maker.authors.entries
        return self._content

    def _read_piece(self, piece: Piece) -> FileReport:
        fast = next((source for source in self._sources if source.read_lines), None)
        read_lines = None if fast is None else fast.read_lines
        report = FileReport(piece.path.name)
        for document in read_documents(piece, read_lines):
            if fast is not None and document.posts is not None:
                num_posts = len(document.posts["video_id"])
                self._content.counts_of(fast.name).given += num_posts
                report.sources[fast.name] += num_posts
                self._batch_posts(document.posts, fast.name)
                continue
            for found in self._records(document):
                self._add_record(found, report, piece, document)
        return report

    def _records(self, document: Document) -> Iterator[ContainedRecord]:
        if document.reason is not None:
            return iter((ContainedRecord(document.raw, reason=document.reason),))
        return unwrap(document.value, lambda record: sniff(record, self._sources))

    def _add_record(
        self,
        found: ContainedRecord,
        report: FileReport,
        piece: Piece,
        document: Document,
    ) -> None:
        name = UNKNOWN_SOURCE if found.source is None else found.source.name
        counts = self._content.counts_of(name)
        counts.given += 1
        try:
            self._read(found)
        except UnreadablePostError as error:
            counts.quarantined += 1
            reason = str(error)
            self._content.lacks_authors |= isinstance(error, UnknownAuthorError)
            report.reasons[reason] += 1
            if report.reasons[reason] <= MOST_LISTED:
                entry = make_entry(
                    document.raw or found.record,
                    file=report.name,
                    position=f"{document.position} {found.position}".rstrip(),
                    reason=reason,
                    keep_raw=self._keep_raw,
                )
                self._sink.reject(piece, entry)
        else:
            report.sources[name] += 1

    def _read(self, found: ContainedRecord) -> None:
        source = found.source
        if source is None:
            raise UnreadablePostError(found.reason)
        if source.read_edges is not None:
            record = source.read_edges(found.record, found.context)
            self._content.counts_of(source.name).notes.update(record.notes)
            self._add_edges(source.name, record.edges, record.notes)
        elif source.read is not None:
            post = source.read(found.record)
            if ID_FROM_URL in post.notes and _has_only_id(post):
                raise UnreadablePostError("the URL of a post and nothing else")
            self._batch_posts(columns_of(post), source.name, found.collected_at)
            if post.edges:
                self._add_edges(source.name, post.edges, is_post=True)

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
                    self._content.counts_of(source).notes[note] += number
            self._sink.add_posts(table)

    def _add_edges(
        self,
        source: str,
        raw_edges: tuple[RawEdge, ...],
        notes: tuple[str, ...] = (),
        *,
        is_post: bool = False,
    ) -> None:
        made = (self._maker.edge(edge, source) for edge in raw_edges)
        edges = tuple(edge for edge in made if edge is not None)
        self._content.edge_records.append(EdgeRecord(source, edges, notes, is_post))


def _has_only_id(post: Post) -> bool:
    counts = (post.views, post.likes, post.comments, post.shares, post.create_time)
    return not post.caption and all(count is None for count in counts)
