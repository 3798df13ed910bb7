"""Imports export files into a corpus; every record is accounted for exactly once.

    export file ─reading─▶ documents ─containers─▶ raw records ─sources─▶ posts, edges
        ─pseudonymize─▶ pseudonymous records ─gathered─▶ people, edges, counts
        ─external_sort─▶ tables sorted by id ─merging─▶ one row per post
        ─media_search─▶ the corpus directory

Other processes may do the work of the first line and of `pseudonymize`
(`reading_units`). For each source, imported + merged + quarantined + forgotten = given;
forgotten posts are not restored. Importing the same file twice changes no byte. Memory
grows with the number of authors and edges, but not with that of posts.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import polars as pl

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.importing.authors import AuthorTable
from dc_keras.corpus.importing.export_reader import ReadingOptions
from dc_keras.corpus.importing.external_sort import ORDER, PostSorter
from dc_keras.corpus.importing.gathered import Gathered
from dc_keras.corpus.importing.input_files import are_simulated, find_files
from dc_keras.corpus.importing.media_search import MediaIndex, MediaReport
from dc_keras.corpus.importing.merging import merge_table
from dc_keras.corpus.importing.pseudonymize import NOTES
from dc_keras.corpus.importing.quarantine import append_entries
from dc_keras.corpus.importing.reading_units import plan_units, read_units
from dc_keras.corpus.importing.sources.custom import make_source
from dc_keras.corpus.importing.sources.post import Post, RawRecord
from dc_keras.corpus.importing.sources.sniffing import AUTO, register
from dc_keras.corpus.importing.unit_content import FileReport, SourceCounts
from dc_keras.corpus.pseudonyms import (
    DEFAULT_KEY_FILE,
    Pseudonymizer,
    load_or_create_key,
)
from dc_keras.corpus.records import Edge
from dc_keras.corpus.store import VIDEOS_FILE, Corpus, CorpusWriter, read_info
from dc_keras.errors import DataError
from tfrecords.memory import without_garbage_collection
from tfrecords.storage.locking import writing

if TYPE_CHECKING:
    from tfrecords.ray_runner import RayCluster


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """The result of an import; numbers of posts, users and edges are of the corpus.

    Attributes:
        sources: counts by source name; unrecognised records count as `unknown`.
        files: the recognised formats and rejected records of each file.
        media: the media found under the media root; None without one.
        num_recognised: number of posts that the corpus contained before, and that were
            removed because this import relates their authors to forgotten people.
    """

    sources: Mapping[str, SourceCounts]
    files: tuple[FileReport, ...]
    num_videos: int
    num_users: int
    num_edges: int
    media: MediaReport | None
    num_recognised: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether no record of any file could be read."""
        total = self.total
        return not (total.imported or total.merged or total.forgotten)

    @property
    def total(self) -> SourceCounts:
        """The sum over all sources."""
        total = SourceCounts()
        for counts in self.sources.values():
            total.add(counts)
        return total


def register_source(
    name: str,
    *,
    sniff: Callable[[RawRecord], bool],
    read: Callable[[RawRecord], Post],
) -> None:
    """Registers a custom format, which is tried before all others (docs/sources.md).

    Args:
        name: name of the format, for `source` and for the column `source` of
            videos.parquet.
        sniff: whether a raw record, from JSON or from a row of a table, has this
            format.
        read: converts it to a post. Raises `UnreadablePostError` if it cannot; the
            message must not contain any content of the record. Records for which it
            raises another error, or returns no valid post, are rejected too.

    Raises:
        DataError: another source has this name, or it is not a word.
    """
    register(make_source(name, sniff, read))


def import_exports(
    inputs: str | Path | Sequence[str | Path],
    corpus_dir: str | Path,
    *,
    key_file: str | Path = DEFAULT_KEY_FILE,
    source: str = AUTO,
    media_root: str | Path | None = None,
) -> Corpus:
    """Imports export files into a new or existing corpus, and opens it.

    Args:
        inputs: paths, glob patterns or directories of exports.
        corpus_dir: the corpus directory; created if it does not exist.
        key_file: the secret key of the pseudonyms; created if it does not exist. It
            must lie outside the corpus directory.
        source: name of the export's format, or "auto" to recognise it.
        media_root: directory of the media; None keeps that of an existing corpus.

    Raises:
        DataError: an input matches no file, no record could be read, the key is not
            that of the corpus, or `media_root` is not a directory.
    """
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    place = Path(corpus_dir).expanduser()
    key = load_or_create_key(Path(key_file), corpus_dir=place)
    summary = import_files(
        [str(path) for path in given],
        place,
        pseudonymizer=Pseudonymizer(key),
        source=source,
        media_root=media_root,
    )
    if summary.is_empty:
        raise DataError(
            "`inputs` must contain records of a known format (docs/importing.md). "
            f"Received: {', '.join(str(path) for path in given)}"
        )
    return Corpus.open(place)


@without_garbage_collection()  # reading makes no cycles, and it costs 25%
def import_files(
    inputs: Sequence[str],
    corpus_dir: str | Path,
    *,
    pseudonymizer: Pseudonymizer,
    source: str = AUTO,
    source_file: str | None = None,
    media_root: str | Path | None = None,
    keep_handles: bool = False,
    keep_raw: bool = False,
    workers: int = 1,
    cluster: RayCluster | None = None,
    then: Callable[[ImportSummary], object] = lambda _: None,
) -> ImportSummary:
    """Imports files into a new or existing corpus.

    Args:
        inputs: paths, glob patterns (`**` for any depth) or directories.
        corpus_dir: the corpus directory; created if it does not exist.
        pseudonymizer: holds the key; it must be the key that an existing corpus was
            made with.
        source: name of a source, or "auto" to recognise the source of each record.
        source_file: Python file that registers a custom source; it is executed.
        media_root: directory of the media. None keeps that of the corpus; if the
            directory does not exist now, the media paths are not changed.
        keep_handles: whether to keep handles in addition to their pseudonyms.
        keep_raw: whether quarantine.jsonl may contain raw content.
        workers: number of processes of this machine that read the files. Any number
            gives the same corpus.
        cluster: cluster that reads the files instead.
        then: called with the summary before another process may write to the corpus.

    Returns:
        The summary of the import. The corpus is complete when the function returns, and
        unchanged if it raises.

    Raises:
        DataError: an input matches no file, the source is unknown, the key is not that
            of the corpus, `media_root` is not a directory, a worker died, or the
            cluster cannot be used.
    """
    directory = Path(corpus_dir).expanduser()
    files = find_files(inputs)
    options = ReadingOptions(
        pseudonymizer, source, source_file, keep_handles=keep_handles, keep_raw=keep_raw
    )
    with ExitStack() as stack:
        stack.enter_context(writing(directory))
        remove_scratch(directory)
        known = _open_existing(directory, pseudonymizer)
        forgotten = Forgotten.load(directory, pseudonymizer)
        root = _media_root(media_root, known)
        scratch = Path(stack.enter_context(_scratch_beside(directory)))
        sorter = PostSorter(scratch)
        if known is not None:
            sorter.add_existing(directory / VIDEOS_FILE)
        rejected = stack.enter_context((scratch / "rejected").open("w+"))
        gathered = Gathered(
            files,
            () if known is None else known.iter_users(),
            () if known is None else known.iter_edges(),
            forgotten=forgotten,
            add_posts=sorter.add,
            rejected=rejected,
        )
        read_units(
            plan_units(files),
            options,
            gathered,
            scratch,
            workers=workers,
            cluster=cluster,
        )
        authors = gathered.authors
        renames = authors.resolve()
        forgotten = _extend_forgotten(forgotten, authors, directory)
        index = None
        if root is not None and (media_root is not None or root.is_dir()):
            index = MediaIndex(root, sorter.ids_among)
        num_recognised = 0
        with CorpusWriter(directory) as writer:
            for table in sorter.tables():
                arrived = table.with_columns(pl.col("user_id").replace(renames))
                kept = forgotten.filter_videos(arrived)
                num_recognised += _count_existing(arrived) - _count_existing(kept)
                posts = _merge_exports(arrived, kept, gathered)
                writer.add_videos(posts if index is None else index.attach(posts))
            rejected.seek(0)
            num_quarantined = append_entries(
                directory,
                writer.files,
                (line.removesuffix("\n") for line in rejected),
                leave_out=forgotten.names_any,
            )
            info = writer.finish(
                (user for user in authors.users() if not forgotten.has(user.user_id)),
                _filter_edges(gathered.edges, renames, forgotten),
                key_fingerprint=pseudonymizer.fingerprint,
                media_root=root,
                num_quarantined=num_quarantined,
                notes=_total_notes(gathered.kept_notes, known),
                is_synthetic=are_simulated(files)
                or (known is not None and known.is_synthetic),
            )
        summary = ImportSummary(
            sources=gathered.sorted_counts(),
            files=tuple(gathered.reports.values()),
            num_videos=info["counts"]["videos"],
            num_users=info["counts"]["users"],
            num_edges=info["counts"]["ties"],
            media=None if index is None else index.report,
            num_recognised=num_recognised,
        )
        then(summary)
    return summary


def _extend_forgotten(
    forgotten: Forgotten, authors: AuthorTable, directory: Path
) -> Forgotten:
    """Adds all names of the forgotten people to the list, and saves it."""
    whole = forgotten.with_people(authors.users())
    if whole != forgotten:
        directory.mkdir(exist_ok=True)
        whole.save(directory)
    return whole


def _filter_edges(
    edges: Iterable[Edge], renames: Mapping[str, str], forgotten: Forgotten
) -> dict[Edge, None]:
    renamed = dict.fromkeys(edge.renamed(renames) for edge in edges)
    return {edge: None for edge in renamed if not forgotten.has_edge(edge)}


def _merge_exports(
    arrived: pl.DataFrame, kept: pl.DataFrame, gathered: Gathered
) -> pl.DataFrame:
    """Merges the exports of each post to keep, and counts all records."""
    authors, counts = gathered.authors, gathered.counts
    if NOTES in arrived.columns:  # otherwise all posts are from the existing corpus
        _count_forgotten(arrived, kept, counts)
        _count_arrivals(kept, counts, gathered.kept_notes)
    table = kept.drop(ORDER, NOTES, strict=False)
    posts, conflicts = merge_table(table, handle_only=authors.handle_only)
    for source, count in conflicts.items():
        counts[source].notes["conflicting.user_id"] += count
    times = posts.group_by("user_id").agg(
        pl.col("create_time").min().alias("first"),
        pl.col("create_time").max().alias("last"),
    )
    for user_id, first, last in times.iter_rows():
        authors.add_times(user_id, first, last)
    return posts


def _count_existing(table: pl.DataFrame) -> int:
    return table.filter(pl.col(ORDER) < 0).height


def _count_forgotten(
    table: pl.DataFrame, kept: pl.DataFrame, counts: Mapping[str, SourceCounts]
) -> None:
    if kept.height == table.height:
        return
    arrived, stayed = (
        Counter(rows.filter(pl.col(ORDER) >= 0)["source"]) for rows in (table, kept)
    )
    for source, number in (arrived - stayed).items():
        counts[source].forgotten += number


def _count_arrivals(
    table: pl.DataFrame,
    counts: Mapping[str, SourceCounts],
    kept_notes: Mapping[str, Counter[str]],
) -> None:
    """Counts the new posts, their notes and the merged records, by source."""
    is_first = pl.col("video_id").is_first_distinct()
    arrivals = table.select("source", NOTES, ORDER, is_first.alias("is_first"))
    arrivals = arrivals.filter(pl.col(ORDER) >= 0)
    numbers = arrivals.group_by("source", "is_first").len()
    for source, is_first_of_post, number in numbers.iter_rows():
        if is_first_of_post:
            counts[source].imported += number
        else:
            counts[source].merged += number
    notes = arrivals.filter("is_first").explode(NOTES).drop_nulls(NOTES)
    for source, note, number in notes.group_by("source", NOTES).len().iter_rows():
        kept_notes[source][note] += number


def _total_notes(
    kept_notes: Mapping[str, Counter[str]], known: Corpus | None
) -> dict[str, dict[str, int]]:
    before = {} if known is None else known.info.get("notes", {})
    total = {source: Counter(notes) for source, notes in before.items()}
    for source, notes in kept_notes.items():
        total.setdefault(source, Counter()).update(notes)
    return {
        source: dict(sorted(notes.items()))
        for source, notes in sorted(total.items())
        if notes
    }


def remove_scratch(directory: Path) -> None:
    """Removes the temporary directories of interrupted imports: they contain captions.

    The caller must hold the write lock of the corpus directory.
    """
    # The names that `tempfile` gives.
    name = re.compile(rf"\.{re.escape(directory.name)}-import-[a-z0-9_]{{8}}")
    for path in directory.resolve().parent.iterdir():
        if name.fullmatch(path.name):
            shutil.rmtree(path)


def _scratch_beside(directory: Path) -> TemporaryDirectory[str]:
    # The whole path, because other processes write there too.
    parent = directory.resolve().parent
    return TemporaryDirectory(prefix=f".{directory.name}-import-", dir=parent)


def _open_existing(directory: Path, pseudonymizer: Pseudonymizer) -> Corpus | None:
    info = read_info(directory)
    if info is None:
        return None
    pseudonymizer.require_key_of(directory, info["key_fingerprint"])
    return Corpus.open(directory)


def _media_root(given: str | Path | None, known: Corpus | None) -> Path | None:
    if given is not None:
        return Path(given).expanduser().resolve()
    return None if known is None else known.media_root
