"""The corpus directory: written by an import, read by everything else.

    videos.parquet     one row per post, the fields of `records.Video`, by video_id
    users.parquet      one row per user, the fields of `records.User`, by user_id
    ties.parquet       one row per edge that posts do not imply, as `records.Edge`
    quarantine.jsonl   the records that could not be read, with reasons (`quarantine`)
    corpus.json        version, counts, sources, key fingerprint, media root, and
                       whether the posts are simulated
    SHA256SUMS         checksums of all files of the corpus (`checksums`)

Equal content gives equal bytes, and all files are replaced together
(`tfrecords.storage.atomic_update`).
"""

from __future__ import annotations

import hashlib
import json
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import polars as pl
import pyarrow
import pyarrow.parquet

from dc_keras.corpus.records import SCHEMAS, Edge, User, Video
from dc_keras.errors import DataError
from tfrecords.storage.atomic_update import AtomicUpdate, finish_update
from tfrecords.storage.atomic_update import write_answers as write_answers  # noqa: PLC0414
from tfrecords.storage.atomic_update import write_sealed as write_sealed  # noqa: PLC0414
from tfrecords.storage.atomic_update import write_table as write_table  # noqa: PLC0414
from tfrecords.storage.atomic_update import write_text as write_text  # noqa: PLC0414
from tfrecords.storage.checksums import SUMS_FILE, hash_files, read_sums
from tfrecords.storage.integrity import verify_directory
from tfrecords.storage.read_errors import POLARS_ERRORS, reading

VERSION = 1
INFO_FILE = "corpus.json"
VIDEOS_FILE = "videos.parquet"
USERS_FILE = "users.parquet"
EDGES_FILE = "ties.parquet"
_TABLES = (VIDEOS_FILE, USERS_FILE, EDGES_FILE)
# Files that other modules write to the directory.
_BESIDE = ("quarantine.jsonl", "forgotten.json", "DATASET_CARD.md")

_Record = TypeVar("_Record", Video, User, Edge)
# A fixed size, so that equal posts give equal bytes in any order of arrival.
_ROWS_A_GROUP = 2**15


class Corpus:
    """A corpus on disk. Each table is read on first access.

    Attributes:
        directory: the corpus directory.
        info: the content of corpus.json: `version`, `counts`, `sources`, `notes`,
            `key_fingerprint`, `media_root`, `is_synthetic`, `sha256`.
        videos: one row per post, sorted by video_id; the columns are the fields of
            `records.Video`, in order.
        users: one row per user; the columns are the fields of `records.User`.
        edges: one row per edge that posts do not imply; the columns are the fields of
            `records.Edge`. `edges.all_edges` adds the edges that posts imply.
    """

    def __init__(self, directory: Path, info: dict[str, Any]) -> None:
        self.directory = directory
        self.info = info

    @classmethod
    def open(cls, directory: str | Path) -> Corpus:
        """Opens a corpus directory.

        Raises:
            DataError: the directory has no corpus, a file is damaged, or the corpus has
                another version.
        """
        directory = Path(directory)
        corpus = cls(directory, require_info(directory))
        _check_table(directory / VIDEOS_FILE, Video)
        _check_table(directory / USERS_FILE, User)
        _check_table(directory / EDGES_FILE, Edge)
        return corpus

    @cached_property
    def videos(self) -> pl.DataFrame:
        """The posts; see the class."""
        return _read_table(self.directory / VIDEOS_FILE)

    @cached_property
    def users(self) -> pl.DataFrame:
        """The users; see the class."""
        return _read_table(self.directory / USERS_FILE)

    @cached_property
    def edges(self) -> pl.DataFrame:
        """The edges that posts do not imply; see the class."""
        return _read_table(self.directory / EDGES_FILE)

    @property
    def media_root(self) -> Path | None:
        """The directory that media paths are relative to; None if there is none."""
        root = self.info["media_root"]
        return None if root is None else Path(root)

    @property
    def is_synthetic(self) -> bool:
        """Whether posts of a simulated world were imported."""
        return bool(self.info.get("is_synthetic"))

    @cached_property
    def sha256(self) -> str:
        """Hex digest that identifies the content of the tables."""
        digests = self.info.get("sha256") or hash_files(
            self.directory / name for name in _TABLES
        )
        return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()

    def require_unchanged(self) -> None:
        """Raises `DataError` if an import or a removal has changed the directory."""
        if read_info(self.directory) != self.info:
            problem = "was changed by another process; run the command again"
            raise DataError(f"{self.directory} {problem}")

    def without_videos(self, video_ids: pl.Series) -> Corpus:
        """Returns a copy in memory without some posts; the files are not changed."""
        corpus = Corpus(self.directory, self.info)
        corpus.videos = self.videos.filter(
            ~pl.col("video_id").is_in(video_ids.implode())
        )
        corpus.users, corpus.edges = self.users, self.edges
        return corpus

    def iter_videos(self) -> Iterator[Video]:
        """Yields the posts, sorted by video_id."""
        return rows_of(Video, self.videos)

    def find_videos(self, video_ids: Sequence[str]) -> list[Video]:
        """Returns the posts with these ids, in this order; KeyError for another id."""
        rows = self.videos.filter(pl.col("video_id").is_in(video_ids))
        found = {video.video_id: video for video in rows_of(Video, rows)}
        return [found[video_id] for video_id in video_ids]

    def iter_users(self) -> Iterator[User]:
        """Yields the users, sorted by user_id."""
        return rows_of(User, self.users)

    def iter_edges(self) -> Iterator[Edge]:
        """Yields the edges that posts do not imply, sorted."""
        return rows_of(Edge, self.edges)


def require_info(directory: Path) -> dict[str, Any]:
    """Returns the content of corpus.json; raises `DataError` without a corpus."""
    info = read_info(directory)
    if info is None:
        raise DataError(
            f"`corpus` must be a corpus directory, but {INFO_FILE} is missing; `python "
            f"-m pipelines.import_corpus` makes one. Received: corpus={directory}"
        )
    return info


def read_info(directory: Path) -> dict[str, Any] | None:
    """Returns the content of corpus.json; None if the directory has no corpus.

    Raises:
        DataError: the corpus has another version, or one of its files is damaged.
    """
    finish_update(directory)
    path = directory / INFO_FILE
    if path.exists() or (directory / SUMS_FILE).exists():
        verify_directory(directory, "import_corpus")
    if not path.exists():
        return None
    with reading(path, "the corpus.json of import_corpus"):
        info = json.loads(path.read_text(encoding="utf-8"))
    version = info.get("version") if isinstance(info, dict) else None
    if version != VERSION:
        raise DataError(
            f"{path}: `version` must be {VERSION}; import again into a new directory. "
            f"Received: version={version!r}"
        )
    root, counts = info.get("media_root", ""), info.get("counts")
    if not (root is None or (root and isinstance(root, str))) or not (
        isinstance(counts, dict) and isinstance(info.get("key_fingerprint"), str)
    ):
        raise DataError(
            f"{path} must have the `counts`, `key_fingerprint` and `media_root` of "
            f"import_corpus. Received: media_root={root!r}"
        )
    return typing.cast("dict[str, Any]", info)


class CorpusWriter:
    """Writes a corpus; `finish` puts all files in place together.

    If the process is killed, the directory holds either the old corpus or the new one.

    Attributes:
        files: the update to which other files that change with the tables are added.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.files = AtomicUpdate(directory)
        self._writer = pyarrow.parquet.ParquetWriter(
            self.files.path(VIDEOS_FILE), _arrow_schemas()[Video], compression="zstd"
        )
        self._rest = table_of(Video, ())
        self._counts: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._writer.close()
        self.files.__exit__(*error)

    def add_videos(self, table: pl.DataFrame) -> None:
        """Adds posts: the fields of `Video`, sorted by id, after all earlier ones."""
        self._counts.update(_counts(table))
        sources = table.group_by("source").len()
        self._sources.update(dict(sources.iter_rows()))
        rows = pl.concat([self._rest, table])
        whole = rows.height - rows.height % _ROWS_A_GROUP
        for start in range(0, whole, _ROWS_A_GROUP):
            self._write(rows.slice(start, _ROWS_A_GROUP))
        self._rest = rows.slice(whole)

    def finish(
        self,
        users: Iterable[User],
        edges: Iterable[Edge] = (),
        *,
        key_fingerprint: str,
        media_root: Path | None,
        num_quarantined: int,
        notes: Mapping[str, Mapping[str, int]] | None = None,
        is_synthetic: bool = False,
    ) -> dict[str, Any]:
        """Puts the tables and corpus.json in place.

        corpus.json has no time or path of an import, so importing a file twice changes
        nothing.

        Args:
            users: one record per user_id, in any order.
            edges: the edges that posts do not imply, without repeats, in any order.
            key_fingerprint: fingerprint of the key of the pseudonyms.
            media_root: the directory that media paths are relative to.
            num_quarantined: number of lines in quarantine.jsonl.
            notes: missing or repaired values: source → word → number of records.
            is_synthetic: whether posts of a simulated world are among the posts.

        Returns:
            The content of corpus.json.
        """
        self._write(self._rest)
        self._writer.close()
        user_table = table_of(User, users).sort("user_id")
        edge_table = table_of(Edge, edges)
        edge_table = edge_table.sort(edge_table.columns)
        write_table(self.files.path(USERS_FILE), user_table)
        write_table(self.files.path(EDGES_FILE), edge_table)
        info = {
            "version": VERSION,
            "counts": {
                "videos": self._counts["videos"],
                "users": user_table.height,
                "ties": edge_table.height,
                "with_media": self._counts["with_media"],
                "slideshows": self._counts["slideshows"],
                "without_create_time": self._counts["without_create_time"],
                "quarantined": num_quarantined,
            },
            "sources": dict(sorted(self._sources.items())),
            "notes": notes or {},
            "key_fingerprint": key_fingerprint,
            "media_root": None if media_root is None else str(media_root),
            "is_synthetic": is_synthetic,
            "sha256": hash_files(map(self.files.path, _TABLES)),
        }
        write_text(self.files.path(INFO_FILE), json.dumps(info, indent=2) + "\n")
        sums = read_sums(self._directory / SUMS_FILE) or {}
        beside = hash_files(self._directory / name for name in _BESIDE)
        self.files.commit({**sums, **beside})
        return info

    def _write(self, table: pl.DataFrame) -> None:
        if table.height:
            self._writer.write_table(_arrow(table), row_group_size=_ROWS_A_GROUP)


def table_of(record: type[_Record], rows: Iterable[_Record]) -> pl.DataFrame:
    """Returns a table of records, with a column for each field and tuples as lists."""
    rows = list(rows)
    names = SCHEMAS[record]
    return table_of_columns(
        record, {name: [getattr(row, name) for row in rows] for name in names}
    )


def table_of_columns(
    record: type[_Record], columns: Mapping[str, Sequence[Any]]
) -> pl.DataFrame:
    """Returns a table of the fields of a record; fields not given are null or empty."""
    schema = _arrow_schemas()[record]
    size = len(next(iter(columns.values())))
    arrays = [
        pyarrow.array(columns[field.name], field.type)
        if field.name in columns
        else _nothing(field.type, size)
        for field in schema
    ]
    table = pyarrow.Table.from_arrays(arrays, schema=schema)
    return typing.cast("pl.DataFrame", pl.from_arrow(table))


def rows_of(record: type[_Record], table: pl.DataFrame) -> Iterator[_Record]:
    """Yields the records of a table; further columns are ignored."""
    rows = table.select(list(SCHEMAS[record])).iter_rows()
    return (record(*map(_as_tuple, row)) for row in rows)


def _counts(videos: pl.DataFrame) -> dict[str, int]:
    slides = pl.col("slide_paths").list.len() > 0
    return {
        "videos": videos.height,
        "with_media": videos.filter(pl.col("media_path").is_not_null() | slides).height,
        "slideshows": int(videos["is_slideshow"].sum()),
        "without_create_time": videos["create_time"].null_count(),
    }


def _nothing(kind: pyarrow.DataType, size: int) -> pyarrow.Array:
    if pyarrow.types.is_large_list(kind):
        return pyarrow.array([()] * size, kind)
    return pyarrow.nulls(size, kind)


def _arrow(table: pl.DataFrame) -> pyarrow.Table:
    return table.to_arrow(compat_level=pl.CompatLevel.oldest())


@cache
def _arrow_schemas() -> dict[type[Any], pyarrow.Schema]:
    # Not at import: it starts the threads of polars, and a process that is forked
    # afterwards, as in the tests, would wait for them forever.
    return {
        record: _arrow(pl.DataFrame(schema=schema)).schema
        for record, schema in SCHEMAS.items()
    }


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _read_table(path: Path) -> pl.DataFrame:
    with reading(path, "a table of import_corpus"):
        return pl.read_parquet(path)


def _check_table(path: Path, record: type[_Record]) -> None:
    if not path.exists():
        raise DataError(f"{path}: missing; run the import again to restore it")
    try:
        schema = pl.read_parquet_schema(path)
    except POLARS_ERRORS as error:
        raise DataError(f"{path}: not a Parquet file ({error})") from error
    if dict(schema) != SCHEMAS[record]:
        raise DataError(
            f"{path}: the columns must be the fields of {record.__name__}; import "
            f"again into a new directory. Received: columns={list(schema)}"
        )
