"""Imports export files into a corpus: every record given ends in exactly one place.

    export file ─reading─▶ documents ─containers─▶ raw records ─sources─▶ posts, ties
        ─intake─▶ pseudonymous records ─spool─▶ tables sorted by id ─merging─▶ one row
        a post ─media─▶ the corpus directory

imported + merged + quarantined + forgotten = given, for each source and in all: what
was forgotten does not come back. Importing the same file twice changes no byte. Memory
grows with authors and ties, not with posts.
"""

from __future__ import annotations

import gc
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from dc_keras.corpus.importing.authors import AuthorTable
from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.importing.input_files import find_files
from dc_keras.corpus.importing.export_reader import FileReport, Intake, SourceCounts
from dc_keras.corpus.media_files import MediaIndex, MediaReport, hide_known_names
from dc_keras.corpus.importing.merging import merge_table
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.importing.pseudonymize import NOTES, RecordMaker
from dc_keras.corpus.importing.quarantine import append_rejected
from dc_keras.corpus.records import Edge
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source
from dc_keras.corpus.importing.sources.sniffing import AUTO, choose_sources, register
from dc_keras.corpus.importing.external_sort import ORDER, PostSpool
from dc_keras.corpus.store import VIDEOS_FILE, Corpus, CorpusWriter, read_info
from tfrecords.storage.locking import writing


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes:
        sources: counts by source name; records that no source knows are `unknown`.
        files: what each file was recognised as, and what was refused.
        num_videos: posts in the corpus after it.
        num_users: people in the corpus after it: authors, and ends of ties.
        num_ties: ties in ties.parquet after it.
        media: what was found under the media root; None without one.
        num_recognised: posts that the corpus held already, of people who turned out to
            be forgotten: this import told under which other names they go.
    """

    sources: Mapping[str, SourceCounts]
    files: tuple[FileReport, ...]
    num_videos: int
    num_users: int
    num_ties: int
    media: MediaReport | None
    num_recognised: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether not one record of all files could be read."""
        total = self.total
        return not (total.imported or total.merged or total.forgotten)

    @property
    def total(self) -> SourceCounts:
        """The sum over all sources."""
        counts = self.sources.values()
        return SourceCounts(
            given=sum(count.given for count in counts),
            imported=sum(count.imported for count in counts),
            merged=sum(count.merged for count in counts),
            quarantined=sum(count.quarantined for count in counts),
            forgotten=sum(count.forgotten for count in counts),
            notes=sum((Counter(count.notes) for count in counts), Counter()),
        )


def register_source(
    name: str,
    *,
    sniff: Callable[[RawRecord], bool],
    read: Callable[[RawRecord], Post],
) -> None:
    """Adds a format of your own, which is asked before all others (docs/sources.md).

    Args:
        name: for `source`, and for the column `source` of videos.parquet.
        sniff: whether a raw record, of JSON or of a table's row, has this format.
        read: makes a post of it. It raises `UnreadablePostError` with a reason, which
            repeats nothing of the record, where it cannot.

    Raises:
        DataError: another source has this name.
    """
    register(Source(name=name, matches=sniff, read=read))


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Nothing that is read makes a cycle, and looking for one takes a fourth longer."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_without_garbage_collection()
def import_files(
    inputs: Sequence[str],
    corpus_dir: str | Path,
    *,
    pseudonymizer: Pseudonymizer,
    source: str = AUTO,
    media_root: str | Path | None = None,
    keep_handles: bool = False,
    keep_raw: bool = False,
    then: Callable[[ImportSummary], object] = lambda _: None,
) -> ImportSummary:
    """Imports files into a corpus, new or existing.

    Args:
        inputs: paths, glob patterns (`**` for any depth) or directories.
        corpus_dir: the corpus directory; made where it is missing.
        pseudonymizer: holds the key; an existing corpus asks for the key it began with.
        source: name of the source module, or "auto" to tell by each record's shape.
        media_root: where the media lie. None keeps to the corpus's own, and to the
            paths found before where that is not there now.
        keep_handles: whether to keep handles beside their pseudonyms.
        keep_raw: whether quarantine.jsonl may hold raw content.
        then: called with the answer before another process may write the corpus.

    Returns:
        What was done. The corpus is written when this returns, and untouched when it
        raises.

    Raises:
        DataError: an input leads to no file, the source is unknown, the key is not the
            corpus's, or `media_root` is not a directory.
    """
    directory = Path(corpus_dir).expanduser()
    files = find_files(inputs)
    asked = choose_sources(source)
    with ExitStack() as stack:
        stack.enter_context(writing(directory))
        remove_scratch(directory)
        known = _open_existing(directory, pseudonymizer)
        forgotten = Forgotten.load(directory, pseudonymizer)
        root = _media_root(media_root, known)
        scratch = Path(stack.enter_context(_scratch_beside(directory)))
        authors = AuthorTable(() if known is None else known.iter_users())
        maker = RecordMaker(
            pseudonymizer, authors, forgotten, keep_handles=keep_handles
        )
        spool = PostSpool(scratch)
        rejected = stack.enter_context((scratch / "rejected").open("w+"))
        intake = Intake(
            sources=asked,
            maker=maker,
            keep_raw=keep_raw,
            add_posts=spool.add,
            reject=lambda record: rejected.write(f"{record.to_json()}\n"),
            is_forgotten=maker.has_forgotten,
        )
        if known is not None:
            spool.add_known(directory / VIDEOS_FILE)
            intake.ties = dict.fromkeys(known.iter_ties())
        reports = tuple(map(intake.read_file, files))
        renames = authors.resolve()
        forgotten = _remember(forgotten, authors, directory)
        index = None
        if root is not None and (media_root is not None or root.is_dir()):
            index = MediaIndex(root, spool.ids_among)
        num_recognised = 0
        with CorpusWriter(directory) as writer:
            for table in spool.tables():
                came = table.with_columns(pl.col("user_id").replace(renames))
                kept = forgotten.keep(came)
                num_recognised += _num_known(came) - _num_known(kept)
                posts = _one_row_a_post(came, kept, intake, authors)
                attach = hide_known_names if index is None else index.attach
                writer.add_videos(attach(posts))
            rejected.seek(0)
            num_quarantined = append_rejected(
                directory,
                writer.files,
                map(_line, rejected),
                code=pseudonymizer.mention,
                leave_out=forgotten.names_any,
            )
            info = writer.finish(
                (user for user in authors.users() if not forgotten.has(user.user_id)),
                _ties_of_others(intake.ties, renames, forgotten),
                key_fingerprint=pseudonymizer.fingerprint,
                media_root=root,
                num_quarantined=num_quarantined,
                notes=_all_notes(intake, known),
            )
        summary = ImportSummary(
            sources=intake.counts(),
            files=reports,
            num_videos=info["counts"]["videos"],
            num_users=info["counts"]["users"],
            num_ties=info["counts"]["ties"],
            media=None if index is None else index.report,
            num_recognised=num_recognised,
        )
        then(summary)
    return summary


def _remember(forgotten: Forgotten, authors: AuthorTable, directory: Path) -> Forgotten:
    """Returns the list with all names of whom it has, and keeps it with the corpus."""
    whole = forgotten.with_people(authors.users())
    if whole != forgotten:
        directory.mkdir(exist_ok=True)
        whole.save(directory)
    return whole


def _ties_of_others(
    ties: Iterable[Edge], renames: Mapping[str, str], forgotten: Forgotten
) -> dict[Edge, None]:
    renamed = dict.fromkeys(tie.renamed(renames) for tie in ties)
    return {tie: None for tie in renamed if not forgotten.has_tie(tie)}


def _one_row_a_post(
    came: pl.DataFrame, kept: pl.DataFrame, intake: Intake, authors: AuthorTable
) -> pl.DataFrame:
    """Merges the exports of each post that is kept, and counts what became of all."""
    if NOTES in came.columns:  # else all of them were known before
        _count_forgotten(came, kept, intake)
        _count_arrivals(kept, intake)
    table = kept.drop(ORDER, NOTES, strict=False)
    posts, conflicts = merge_table(table, handle_only=authors.handle_only)
    for source, number in conflicts.items():
        intake.tallies[source].notes["conflicting.user_id"] += number
    times = posts.group_by("user_id").agg(
        pl.col("create_time").min().alias("first"),
        pl.col("create_time").max().alias("last"),
    )
    for user_id, first, last in times.iter_rows():
        authors.see(user_id, first, last)
    return posts


def _num_known(table: pl.DataFrame) -> int:
    """Returns how many posts of a table the corpus held before."""
    return table.filter(pl.col(ORDER) < 0).height


def _count_forgotten(table: pl.DataFrame, kept: pl.DataFrame, intake: Intake) -> None:
    """Counts, by source, what came and is not kept."""
    if kept.height == table.height:
        return
    came, stayed = (
        Counter(rows.filter(pl.col(ORDER) >= 0)["source"]) for rows in (table, kept)
    )
    for source, number in (came - stayed).items():
        intake.tallies[source].forgotten += number


def _count_arrivals(table: pl.DataFrame, intake: Intake) -> None:
    """Counts, by source, the new posts and their notes, and the others."""
    is_first = pl.col("video_id").is_first_distinct()
    arrivals = table.select("source", NOTES, ORDER, is_first.alias("is_first"))
    arrivals = arrivals.filter(pl.col(ORDER) >= 0)
    counts = arrivals.group_by("source", "is_first").len()
    for source, is_first_of_post, number in counts.iter_rows():
        tally = intake.tallies[source]
        if is_first_of_post:
            tally.imported += number
        else:
            tally.merged += number
    notes = arrivals.filter("is_first").explode(NOTES).drop_nulls(NOTES)
    for source, note, number in notes.group_by("source", NOTES).len().iter_rows():
        intake.kept_notes[source][note] += number


def _all_notes(intake: Intake, known: Corpus | None) -> dict[str, dict[str, int]]:
    """Returns the notes on all that is in the corpus, by source."""
    before = {} if known is None else known.info.get("notes", {})
    total = {source: Counter(notes) for source, notes in before.items()}
    for source, notes in intake.kept_notes.items():
        total.setdefault(source, Counter()).update(notes)
    return {
        source: dict(sorted(notes.items()))
        for source, notes in sorted(total.items())
        if notes
    }


def remove_scratch(directory: Path) -> None:
    """Removes what imports that were killed left beside a corpus: captions are in it.

    Args:
        directory: of the corpus; whoever calls must keep other writers away from it.
    """
    # As `tempfile` names them.
    name = re.compile(rf"\.{re.escape(directory.name)}-import-[a-z0-9_]{{8}}")
    for path in directory.resolve().parent.iterdir():
        if name.fullmatch(path.name):
            shutil.rmtree(path)


def _scratch_beside(directory: Path) -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix=f".{directory.name}-import-", dir=directory.parent)


def _line(text: str) -> str:
    return text.removesuffix("\n")


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
