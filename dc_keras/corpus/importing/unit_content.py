"""What a unit of an import contains besides posts and rejected records.

A unit is one or more pieces of files that one process reads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TypeAlias

import msgspec

from dc_keras.corpus.importing.authors import Author
from dc_keras.corpus.importing.sources.pieces import Piece
from dc_keras.corpus.records import Edge

Unit: TypeAlias = tuple[Piece, ...]


@dataclass(slots=True)
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

    given: int = 0
    imported: int = 0
    merged: int = 0
    quarantined: int = 0
    forgotten: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, other: SourceCounts) -> None:
        """Adds the counts of other records."""
        for name in (each.name for each in fields(self)):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class FileReport:
    """The content of one file, or of a piece of it.

    Attributes:
        name: file name, without directories.
        sources: number of records per source.
        reasons: number of rejected records per reason.
        examples: position of the first rejected record per reason; empty for a piece.
    """

    name: str
    sources: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EdgeRecord:
    """The edges of one record.

    Attributes:
        source: name of the source.
        edges: the edges; those of kind "posted" relate a post to its author.
        notes: the notes on the record, if it is not a post.
        is_post: whether the record is a post, which is counted as such.
    """

    source: str
    edges: tuple[Edge, ...]
    notes: tuple[str, ...]
    is_post: bool


@dataclass(slots=True)
class UnitContent:
    """What a unit contains besides posts and rejected records.

    Attributes:
        reports: the reports on the pieces.
        counts: counts by source name; posts and edges are neither imported nor merged
            yet.
        authors: all people, by user id.
        edge_records: records with edges, in order.
        lacks_authors: whether posts were rejected because only another unit may contain
            their authors.
    """

    reports: list[FileReport] = field(default_factory=list)
    counts: dict[str, SourceCounts] = field(default_factory=dict)
    authors: dict[str, Author] = field(default_factory=dict)
    edge_records: list[EdgeRecord] = field(default_factory=list)
    lacks_authors: bool = False

    def counts_of(self, source: str) -> SourceCounts:
        """Returns the counts of a source, to be changed."""
        return self.counts.setdefault(source, SourceCounts())

    def to_json(self) -> str:
        """Returns the content as JSON, in which any text may be a key or a value."""
        return json.dumps(msgspec.to_builtins(self))

    @classmethod
    def from_json(cls, text: str) -> UnitContent:
        """Reads a text that `to_json` returned."""
        return msgspec.convert(json.loads(text), cls, dec_hook=_construct)


def _construct(kind: Callable[[object], object], value: object) -> object:
    return kind(value)  # a `Counter`, which msgspec cannot construct
