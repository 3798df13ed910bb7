"""The last look: is an id or a code of the forgotten left in any file?

Every word that may be an id or a code is compared with the list, so that nothing needs
to be known but the key. Parquet files, and archives such as model.keras and .npz, are
looked through decoded; everything else, shards included, keeps texts as they are.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from dc_keras.corpus.forgotten import Forgotten
from dc_keras.corpus.media import MEDIA_SUFFIXES

# A number of fewer than 15 digits is a size or a time as likely as an id.
_CODE = re.compile(
    rb"(?<![0-9A-Za-z_])(?:u_[0-9a-f]{10}|[0-9a-f]{32}|[0-9]{15,19})(?![0-9A-Za-z_])"
)
# Whatever is long enough for a code shows as a run of ones: to find those is ten times
# as fast as the expression.
_IS_HEX = bytes(character in b"0123456789abcdef" for character in range(256))
_RUN = b"\1" * 10
_BEFORE, _AFTER = len("?u_"), 1  # what the expression reads around a run
_BLOCK = 2**24
_OVERLAP = 64


def find_traces(places: Iterable[Path], forgotten: Forgotten) -> Iterator[Path]:
    """Yields the files, media apart, that still hold something forgotten.

    Args:
        places: files, and directories to any depth.
        forgotten: the list.
    """
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            is_ours = path.is_file() and path.suffix.lower() not in MEDIA_SUFFIXES
            if is_ours and forgotten.among(_words_of(path)):
                yield path


def _words_of(path: Path) -> set[str]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return set().union(*(_words_of_member(archive, name) for name in names))
    with path.open("rb") as file:
        words = _words_of_file(file)
    return words | _words_of_table(path) if path.suffix == ".parquet" else words


def _words_of_member(archive: zipfile.ZipFile, name: str) -> set[str]:
    with archive.open(name) as file:
        if not name.endswith(".npy"):
            return _words_of_file(file)
        array = np.load(io.BytesIO(file.read()), allow_pickle=False)
    # Texts there have four bytes a character.
    texts = array.ravel().tolist() if array.dtype.kind in "US" else []
    return _words_of_texts(map(str, texts))


def _words_of_table(path: Path) -> set[str]:
    words: set[str] = set()
    for column in pl.read_parquet(path):
        values = column.explode() if column.dtype == pl.List(pl.String) else column
        if values.dtype == pl.String:
            words |= _words_of_texts(values.unique().drop_nulls())
    return words


def _words_of_texts(texts: Iterable[str]) -> set[str]:
    return _words_of_file(io.BytesIO("\n".join(texts).encode()))


def _words_of_file(file: IO[bytes]) -> set[str]:
    words: set[str] = set()
    rest = b""
    while block := file.read(_BLOCK):
        words.update(word.decode() for word in _words(rest + block))
        rest = block[-_OVERLAP:]
    return words


def _words(data: bytes) -> Iterator[bytes]:
    marks = data.translate(_IS_HEX)
    start = marks.find(_RUN)
    while start >= 0:
        end = marks.find(b"\0", start)
        end = len(data) if end < 0 else end
        yield from _CODE.findall(data[max(start - _BEFORE, 0) : end + _AFTER])
        start = marks.find(_RUN, end)
