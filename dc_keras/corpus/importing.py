"""Imports export files into a corpus: every record given ends in exactly one place.

    export file ─reading─▶ documents ─containers─▶ raw records ─sources─▶ posts
        ─pseudonyms─▶ videos ─merging─▶ one record a post ─media─▶ the corpus directory

imported + merged + quarantined = given, for each source and in all. Importing the same
file twice changes no byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dc_keras.corpus.authors import AuthorTable
from dc_keras.corpus.intake import Intake, SourceCounts
from dc_keras.corpus.media import MediaReport, attach_media
from dc_keras.corpus.privacy import Pseudonymizer
from dc_keras.corpus.quarantine import append_rejected
from dc_keras.corpus.sources.sniffing import AUTO, choose_sources
from dc_keras.corpus.store import Corpus, read_info, write_corpus
from dc_keras.errors import DataError

_GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes:
        sources: counts by source name; records that no source knows are `unknown`.
        num_files: files read.
        num_empty_files: files without a single record, good or bad.
        num_videos: posts in the corpus after it.
        num_users: authors in the corpus after it.
        media: what was found under the media root; None without one.
    """

    sources: Mapping[str, SourceCounts]
    num_files: int
    num_empty_files: int
    num_videos: int
    num_users: int
    media: MediaReport | None

    @property
    def total(self) -> SourceCounts:
        """The sum over all sources."""
        counts = self.sources.values()
        return SourceCounts(
            given=sum(count.given for count in counts),
            imported=sum(count.imported for count in counts),
            merged=sum(count.merged for count in counts),
            quarantined=sum(count.quarantined for count in counts),
            notes=sum((Counter(count.notes) for count in counts), Counter()),
        )


def import_files(
    inputs: Sequence[str],
    corpus_dir: str | Path,
    *,
    pseudonymizer: Pseudonymizer,
    source: str = AUTO,
    media_root: str | Path | None = None,
    keep_handles: bool = False,
    keep_raw: bool = False,
) -> ImportSummary:
    """Imports files into a corpus, new or existing.

    Args:
        inputs: paths or glob patterns (`**` for any depth).
        corpus_dir: the corpus directory; made where it is missing.
        pseudonymizer: holds the key; an existing corpus asks for the key it began with.
        source: name of the source module, or "auto" to tell by each record's shape.
        media_root: where the media lie. None keeps to the corpus's own, and to the
            paths found before where that is not there now.
        keep_handles: whether to keep handles beside their pseudonyms.
        keep_raw: whether quarantine.jsonl may hold raw content.

    Returns:
        What was done. The corpus is written when this returns, and untouched when it
        raises.

    Raises:
        DataError: a pattern matches no file, the source is unknown, the key is not the
            corpus's, or `media_root` is not a directory.
    """
    directory = Path(corpus_dir)
    files = _expand(inputs)
    known = _open_existing(directory, pseudonymizer)
    intake = Intake(
        sources=choose_sources(source),
        pseudonymizer=pseudonymizer,
        keep_handles=keep_handles,
        keep_raw=keep_raw,
    )
    if known is not None:
        intake.videos = {video.video_id: video for video in known.iter_videos()}
        intake.authors = AuthorTable(known.iter_users())
    num_empty = sum(intake.read_file(path) == 0 for path in files)
    videos = intake.authors.resolve(intake.videos.values())
    root, media = _media_root(media_root, known), None
    if root is not None and (media_root is not None or root.is_dir()):
        videos, media = attach_media(videos, root)
    users = list(intake.authors.users(videos))
    directory.mkdir(parents=True, exist_ok=True)
    num_quarantined = append_rejected(directory, intake.rejected)
    write_corpus(
        directory,
        videos,
        users,
        key_fingerprint=pseudonymizer.fingerprint,
        media_root=root,
        num_quarantined=num_quarantined,
    )
    return ImportSummary(
        sources=intake.counts(),
        num_files=len(files),
        num_empty_files=num_empty,
        num_videos=len(videos),
        num_users=len(users),
        media=media,
    )


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


def _expand(inputs: Sequence[str]) -> list[Path]:
    """Returns the files of all patterns, sorted, each once."""
    if not inputs:
        raise DataError("at least one input is needed. Received: input=[]")
    files: dict[Path, None] = {}
    for pattern in inputs:
        path = Path(pattern).expanduser()
        found = [path] if path.is_file() else sorted(_glob(path))
        if not found:
            hint = f"; for all files in it: {path}/**/*.json" if path.is_dir() else ""
            raise DataError(f"no file matches{hint}. Received: input={pattern}")
        files.update(dict.fromkeys(found))
    return sorted(files)


def _glob(pattern: Path) -> Iterator[Path]:
    parts = pattern.parts
    fixed = next(
        (i for i, part in enumerate(parts) if _GLOB_CHARACTERS & set(part)), None
    )
    if fixed is None:
        return iter(())
    base = Path(*parts[:fixed])
    return (p for p in base.glob(str(Path(*parts[fixed:]))) if p.is_file())
