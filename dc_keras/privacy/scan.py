"""Scans files for remaining ids, codes and names of removed people and posts.

Every word that may be an id or a code is compared with the list of removed people,
which needs only the key. Parquet files, archives such as model.keras and .npz, and
compressed files are decoded; other files, including shards, contain texts unencoded.
Files that the scripts of this project wrote contain no names; any other file is
compared word by word.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl

from dc_keras.corpus.forgotten import Forgotten
from tfrecords.media_paths import MEDIA_SUFFIXES

# A number of fewer than 15 digits may also be a size or a time.
_CODE = re.compile(
    rb"(?<![0-9A-Za-z_])(?:u_[0-9a-f]{10}|[0-9a-f]{32}|[0-9]{15,19})(?![0-9A-Za-z_])"
)
# Positions of names in a file in the clear: a mention, a quoted text, a table cell. A
# handle inside a sentence cannot be distinguished from a word.
_NAME = re.compile(
    r'[@＠]([\w.]*\w)|"([\w.-]+)"|(?:^|[,;\t])([\w.-]+)(?=[,;\t\r\n]|\Z)', re.MULTILINE
)
# The part after a handle in a file name: `ann_video_687….mp4`, `ann.json.gz`.
_STEM_END = re.compile(
    r"(?:_(?:video|slide|photo))?_[0-9]{1,19}.*|(?:\.[A-Za-z0-9]{1,7}){1,2}\Z"
)
# Hexadecimal characters are mapped to 1, and candidates for codes are runs of them.
# Finding these runs is ten times as fast as the regular expression.
_IS_HEX = bytes(character in b"0123456789abcdef" for character in range(256))
_RUN = b"\1" * 10
_BEFORE, _AFTER = len("?u_"), 1  # characters around a run that the expression needs
_PARQUET = b"PAR1"
_BLOCK = 2**24
_OVERLAP = 64
_OPENERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
_UNREADABLE = (
    *(OSError, EOFError, ValueError, RuntimeError, NotImplementedError),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile, pl.exceptions.PolarsError),
)


@dataclass(frozen=True, slots=True)
class Trace:
    """A file with a trace, or one that cannot be read; the reason has no identities."""

    path: Path
    reason: str


def find_traces(
    places: Iterable[Path], forgotten: Forgotten, *, ours: Collection[Path] = ()
) -> Iterator[Trace]:
    """Yields the files that contain traces of removed data, or cannot be read.

    Only the names of media files are checked.

    Args:
        places: files, and directories of any depth.
        forgotten: the list of removed people and posts.
        ours: files and directories with pseudonyms only; all other files are also
            searched for ids, handles and secUids in the clear.
    """
    clean = {path.resolve() for path in ours}
    done: set[Path] = set()
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            whole = path.resolve()
            if whole in done or not path.is_file():
                continue
            done.add(whole)
            is_ours = not clean.isdisjoint((whole, *whole.parents))
            parts = path.relative_to(place).parts or (path.name,)
            if not is_ours and any(map(forgotten.has_name, _words_in_names(parts))):
                yield Trace(path, "its name still contains an id or a handle")
                continue
            trace = _check_file(path, forgotten, is_ours=is_ours)
            if trace is not None:
                yield trace


def _words_in_names(names: Iterable[str]) -> set[str]:
    words: set[str] = set()
    for name in names:
        stem = name.partition("@")[2] or name
        words |= {stem, *_STEM_END.split(stem), *re.findall(r"[0-9]{6,19}", stem)}
    return words


def _check_file(path: Path, forgotten: Forgotten, *, is_ours: bool) -> Trace | None:
    if path.suffix.lower() in MEDIA_SUFFIXES:
        return None
    try:
        words = {w for block in _blocks_of(path) for w in _words_in(block, is_ours)}
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Trace(path, f"cannot be read, check it yourself ({reason})")
    is_gone = forgotten.has if is_ours else forgotten.has_name
    if any(map(is_gone, words)):
        return Trace(path, "still contains an id or a code of removed data")
    return None


def _blocks_of(path: Path) -> Iterator[bytes]:
    """Yields the content of a file, decoded, and overlapping where it is divided."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield "\n".join(archive.namelist()).encode()
            for name in archive.namelist():
                with archive.open(name) as file:
                    yield from _blocks_of_member(file, name)
        return
    with path.open("rb") as file:
        is_parquet = file.read(len(_PARQUET)) == _PARQUET
        file.seek(0)
        yield from _blocks_of_file(file)
    if is_parquet or path.suffix == ".parquet":
        yield from map(_text_of_column, pl.read_parquet(path))


def _blocks_of_member(file: IO[bytes], name: str) -> Iterator[bytes]:
    if not name.endswith(".npy"):
        yield from _blocks_of_file(file)
        return
    array = np.load(io.BytesIO(file.read()), allow_pickle=False)
    # NumPy's texts have four bytes per character, which the scan would not match.
    if array.dtype.kind in "US":
        yield "\n".join(map(str, array.ravel().tolist())).encode()


def _text_of_column(column: pl.Series) -> bytes:
    values = column.explode() if column.dtype == pl.List(pl.String) else column
    if values.dtype.is_nested() or values.dtype == pl.Categorical:
        return values.to_frame().write_ndjson().encode()
    is_text = values.dtype == pl.String
    return "\n".join(values.unique().drop_nulls()).encode() if is_text else b""


def _blocks_of_file(file: IO[bytes]) -> Iterator[bytes]:
    start = file.read(max(map(len, _OPENERS)))
    file.seek(0)
    openers = (opener for magic, opener in _OPENERS.items() if start.startswith(magic))
    opener = next(openers, nullcontext)
    rest = b""
    with opener(file) as inner:
        while block := inner.read(_BLOCK):
            yield rest + block
            rest = block[-_OVERLAP:]


def _words_in(data: bytes, is_ours: bool) -> set[str]:
    words = {word.decode() for word in _codes_in(data)}
    if is_ours:
        return words
    text = data.decode("utf-8", "ignore")
    if "\0" not in text:
        words.update("".join(parts) for parts in _NAME.findall(text))
    return words


def _codes_in(data: bytes) -> Iterator[bytes]:
    marks = data.translate(_IS_HEX)
    start = marks.find(_RUN)
    while start >= 0:
        end = marks.find(b"\0", start)
        end = len(data) if end < 0 else end
        yield from _CODE.findall(data[max(start - _BEFORE, 0) : end + _AFTER])
        start = marks.find(_RUN, end)
