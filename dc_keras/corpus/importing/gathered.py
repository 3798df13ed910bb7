"""Merges the content of units, in order, into the state of an import."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import polars as pl

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.importing.authors import AuthorTable
from dc_keras.corpus.importing.export_reader import MOST_LISTED
from dc_keras.corpus.importing.pseudonymize import POSTED
from dc_keras.corpus.importing.quarantine import Entry, make_entry, without_names
from dc_keras.corpus.importing.sources.pieces import CHUNK, Piece
from dc_keras.corpus.importing.unit_content import (
    EdgeRecord,
    FileReport,
    SourceCounts,
    Unit,
    UnitContent,
)
from dc_keras.corpus.records import Edge, User

_LINE = re.compile(r"^line (\d+)")


class Gathered:
    """All that the units of an import contain; a `Sink` of the unit that comes next.

    Args:
        files: the files of the import.
        users: the users of the existing corpus.
        edges: its edges.
        forgotten: the forgotten people, whose edges are omitted.
        add_posts: called with each table of posts.
        rejected: file for one line per rejected record.

    Attributes:
        authors: the alias table.
        edges: all edges, without repeats.
        counts: counts by source name. The caller counts the `imported`, `merged` and
            `forgotten` posts.
        kept_notes: notes on records with new edges, by source name.
        post_authors: id of a post → pseudonym of its author, for posts that do not
            contain it.
        reports: reports on the files, by path.
    """

    def __init__(
        self,
        files: Iterable[Path],
        users: Iterable[User],
        edges: Iterable[Edge],
        *,
        forgotten: Forgotten,
        add_posts: Callable[[pl.DataFrame], object],
        rejected: TextIO,
    ) -> None:
        self.authors = AuthorTable(users)
        self.edges: dict[Edge, None] = dict.fromkeys(edges)
        self.counts: defaultdict[str, SourceCounts] = defaultdict(SourceCounts)
        self.kept_notes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.post_authors: dict[str, str] = {}
        self.reports = {path: FileReport(path.name) for path in files}
        self.add_posts = add_posts
        self._forgotten = forgotten
        self._forgotten_users: set[str] = set()
        self._rejected = rejected
        self._listed: Counter[tuple[Path, str]] = Counter()
        self._counted = Piece(Path()), 0

    def reject(self, piece: Piece, entry: Entry) -> None:
        """Adds the entry of a rejected record of a piece that is not added yet."""
        reason, before = entry["reason"], self._lines_before(piece)
        if before:
            entry["position"] = _LINE.sub(
                lambda match: f"line {before + int(match[1])}", entry["position"]
            )
        self.reports[piece.path].examples.setdefault(reason, entry["position"])
        self._listed[piece.path, reason] += 1
        if self._listed[piece.path, reason] <= MOST_LISTED:
            self._list(entry)

    def add(self, unit: Unit, content: UnitContent) -> None:
        """Adds the content of a unit, after its posts and its rejected records."""
        for source, counts in content.counts.items():
            self.counts[source].add(counts)
        for piece, part in zip(unit, content.reports, strict=True):
            report = self.reports[piece.path]
            report.sources.update(part.sources)
            report.reasons.update(part.reasons)
            if piece.end is None:
                self._list_rest(report)
        self.authors.absorb(content.authors)
        if self._forgotten.fingerprints:
            self._forgotten_users.update(
                user_id
                for user_id, author in content.authors.items()
                if self._forgotten.among((user_id, *author.aliases, *author.sec_uids))
            )
        for record in content.edge_records:
            self._add_edges(record)

    def sorted_counts(self) -> dict[str, SourceCounts]:
        """Returns the counts by source name, sorted, with sorted notes."""
        return {
            name: replace(counts, notes=Counter(dict(sorted(counts.notes.items()))))
            for name, counts in sorted(self.counts.items())
        }

    def _list_rest(self, report: FileReport) -> None:
        """Adds one entry for the records of a file beyond MOST_LISTED."""
        for reason, number in report.reasons.items():
            if number > MOST_LISTED:
                further = number - MOST_LISTED
                rest = f"{reason} ({further} further records of this file)"
                name = report.name
                self._list(make_entry(b"", file=name, position="further", reason=rest))

    def _list(self, entry: Entry) -> None:
        if not self._forgotten.names_any(entry):
            entry = without_names(entry, self._forgotten.pseudonymizer.mention)
            self._rejected.write(f"{json.dumps(entry)}\n")

    def _lines_before(self, piece: Piece) -> int:
        if not piece.start:
            return 0
        counted, number = self._counted
        if counted.path != piece.path:
            counted, number = Piece(piece.path), 0
        if counted.start < piece.start:
            with Piece(piece.path, counted.start, piece.start).open() as file:
                chunks = iter(lambda: file.read(CHUNK), b"")
                number += sum(chunk.count(b"\n") for chunk in chunks)
            self._counted = piece, number
        return number

    def _add_edges(self, record: EdgeRecord) -> None:
        is_new = [self._add_edge(edge) for edge in record.edges]
        if record.is_post:
            return
        if any(is_new):
            self.counts[record.source].imported += 1
            self.kept_notes[record.source].update(record.notes)
        else:
            self.counts[record.source].merged += 1

    def _add_edge(self, edge: Edge) -> bool:
        """Adds an edge and returns whether it is new."""
        if edge.kind == POSTED:
            is_new = edge.target_id not in self.post_authors
            if edge.user_id is not None:
                self.post_authors[edge.target_id] = edge.user_id
            return is_new
        ends = (edge.user_id, edge.target_id)
        if not self._forgotten_users.isdisjoint(ends) or self._forgotten.has_edge(edge):
            return False
        known = edge.renamed(self.authors.known_owners)
        is_new = edge not in self.edges and known not in self.edges
        self.edges[edge] = None
        return is_new
