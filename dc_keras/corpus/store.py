"""The corpus directory: what an import leaves behind and everything else reads.

    videos.parquet     one row a post, the fields of `records.Video`, by video_id
    users.parquet      one row an author, the fields of `records.User`, by user_id
    quarantine.jsonl   what could not be read, with the reason (see `quarantine`)
    corpus.json        version, counts, sources, key fingerprint, media root

Equal content gives equal bytes, and no file is ever seen half-written.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dc_keras.corpus.records import User, Video
from dc_keras.errors import DataError

VERSION = 1
INFO_FILE = "corpus.json"
VIDEOS_FILE = "videos.parquet"
USERS_FILE = "users.parquet"

_COLUMN_TYPES: dict[Any, pl.DataType] = {
    str: pl.String(),
    str | None: pl.String(),
    int | None: pl.Int64(),
    float | None: pl.Float64(),
    bool: pl.Boolean(),
    tuple[str, ...]: pl.List(pl.String()),
}


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus as it lies on disk.

    Attributes:
        directory: where it lies.
        videos: one row a post; columns are the fields of `records.Video` in order,
            sorted by video_id.
        users: one row an author; columns are the fields of `records.User`.
        info: the content of corpus.json: `version`, `counts`, `sources`,
            `key_fingerprint`, `media_root`.
    """

    directory: Path
    videos: pl.DataFrame
    users: pl.DataFrame
    info: dict[str, Any]

    @classmethod
    def open(cls, directory: str | Path) -> Corpus:
        """Reads a corpus directory.

        Raises:
            DataError: there is no corpus, it has another version, or a table does not
                have the columns of its record.
        """
        directory = Path(directory)
        info = read_info(directory)
        if info is None:
            raise DataError(
                f"no corpus here: {INFO_FILE} is missing; `python -m "
                f"pipelines.import_corpus` makes one. Received: corpus={directory}"
            )
        return cls(
            directory=directory,
            videos=_read_table(directory / VIDEOS_FILE, Video),
            users=_read_table(directory / USERS_FILE, User),
            info=info,
        )

    @property
    def media_root(self) -> Path | None:
        """The directory that media paths are relative to; None without media."""
        root = self.info["media_root"]
        return None if root is None else Path(root)

    def iter_videos(self) -> Iterator[Video]:
        """Yields the posts, sorted by video_id."""
        return (Video(**_with_tuples(row)) for row in self.videos.iter_rows(named=True))

    def find_videos(self, video_ids: Sequence[str]) -> list[Video]:
        """Returns some posts, in the order of `video_ids`; each must be there."""
        rows = self.videos.filter(pl.col("video_id").is_in(video_ids))
        found = {row["video_id"]: row for row in rows.iter_rows(named=True)}
        return [Video(**_with_tuples(found[video_id])) for video_id in video_ids]

    def iter_users(self) -> Iterator[User]:
        """Yields the authors, sorted by user_id."""
        return (User(**_with_tuples(row)) for row in self.users.iter_rows(named=True))


def read_info(directory: Path) -> dict[str, Any] | None:
    """Returns the content of corpus.json, None where there is no corpus.

    Raises:
        DataError: the file is not a corpus.json of this version.
    """
    path = directory / INFO_FILE
    if not path.exists():
        return None
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{path}: not JSON ({error}); import again into a new directory"
        ) from error
    version = info.get("version") if isinstance(info, dict) else None
    if version != VERSION:
        raise DataError(
            f"{path}: `version` must be {VERSION}; import again into a new directory. "
            f"Received: version={version!r}"
        )
    return typing.cast("dict[str, Any]", info)


def write_corpus(
    directory: Path,
    videos: Iterable[Video],
    users: Iterable[User],
    *,
    key_fingerprint: str,
    media_root: Path | None,
    num_quarantined: int,
) -> None:
    """Writes the tables, then corpus.json; each under a temporary name, then renamed.

    Everything in corpus.json follows from the tables, so that importing a file twice
    changes nothing.

    Args:
        directory: made where it is missing.
        videos: one record a video_id, in any order.
        users: one record a user_id, in any order.
        key_fingerprint: of the key behind the pseudonyms.
        media_root: the directory that media paths are relative to.
        num_quarantined: number of lines in quarantine.jsonl.
    """
    directory.mkdir(parents=True, exist_ok=True)
    video_table = _table(Video, videos).sort("video_id")
    user_table = _table(User, users).sort("user_id")
    write_table(directory / VIDEOS_FILE, video_table)
    write_table(directory / USERS_FILE, user_table)
    info = {
        "version": VERSION,
        "counts": _counts(video_table, user_table) | {"quarantined": num_quarantined},
        "sources": dict(
            video_table.group_by("source").len().sort("source").iter_rows()
        ),
        "key_fingerprint": key_fingerprint,
        "media_root": None if media_root is None else str(media_root),
    }
    write_text(directory / INFO_FILE, json.dumps(info, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) under a temporary name and renames it when whole."""
    temporary = _temporary(path)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Writes a Parquet file under a temporary name and renames it when whole."""
    temporary = _temporary(path)
    table.write_parquet(temporary, compression="zstd")
    temporary.replace(path)


def _counts(videos: pl.DataFrame, users: pl.DataFrame) -> dict[str, int]:
    slides = pl.col("slide_paths").list.len() > 0
    return {
        "videos": videos.height,
        "users": users.height,
        "with_media": videos.filter(pl.col("media_path").is_not_null() | slides).height,
        "slideshows": int(videos["is_slideshow"].sum()),
        "without_create_time": videos["create_time"].null_count(),
    }


def _schema(record: type[Video] | type[User]) -> dict[str, pl.DataType]:
    types = typing.get_type_hints(record)
    return {
        field.name: _COLUMN_TYPES[types[field.name]]
        for field in dataclasses.fields(record)
    }


def _table(
    record: type[Video] | type[User], rows: Iterable[Video | User]
) -> pl.DataFrame:
    schema = _schema(record)
    rows = list(rows)
    return pl.DataFrame(
        {name: [_as_cell(getattr(row, name)) for row in rows] for name in schema},
        schema=schema,
    )


def _as_cell(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _with_tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in row.items()
    }


def _read_table(path: Path, record: type[Video] | type[User]) -> pl.DataFrame:
    if not path.exists():
        raise DataError(f"{path}: missing; run the import again to restore it")
    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: not a Parquet file ({error})") from error
    if dict(table.schema) != _schema(record):
        raise DataError(
            f"{path}: the columns must be the fields of {record.__name__}; import "
            f"again into a new directory. Received: columns={table.columns}"
        )
    return table


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
