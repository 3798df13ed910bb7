import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import zipfile

import pytest

from dc_keras.corpus.importing.sources.pieces import Piece
from dc_keras.corpus.importing.sources.reading import read_documents

_NO_EXPORT = "an archive without a file that may be an export"


def _zip(*files, **options):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", **options) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return data.getvalue()


def _tar(*files, kind=tarfile.PAX_FORMAT):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=kind) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def _links():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for kind in (
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.DIRTYPE,
            tarfile.CHRTYPE,
        ):
            info = tarfile.TarInfo("a.json")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return data.getvalue()


@pytest.fixture
def read(tmp_path):
    def run(data):
        (tmp_path / "export").write_bytes(data)
        found = list(read_documents(Piece(tmp_path / "export")))
        assert [path.name for path in tmp_path.iterdir()] == ["export"]
        return [(d.position, d.value if d.reason is None else d.reason) for d in found]

    return run


@pytest.mark.parametrize(
    ("data", "positions"),
    [
        (_zip(("a", b"[1]"), ("d/b", b"[1]")), ["a line 1", "d/b line 1"]),
        (_zip(("in.zip", _zip(("a", b"[1]")))), ["in.zip/a line 1"]),
        (
            _zip(("x.tgz", gzip.compress(_tar(("a", b"[1]")), mtime=0))),
            ["x.tgz/a line 1"],
        ),
        (_zip(("a", b"[1]"), compression=zipfile.ZIP_LZMA), ["a line 1"]),
        (_tar(("a", b"[1]"), kind=tarfile.GNU_FORMAT), ["a line 1"]),
        (lzma.compress(_tar(("a", b"[1]"))), ["a line 1"]),
        (bz2.compress(b"[1]"), ["line 1"]),
        # Names are never used as paths.
        (_zip(("../../a", b"[1]"), ("/b", b"[1]")), ["../../a line 1", "/b line 1"]),
        (_tar(("../../a", b"[1]")), ["../../a line 1"]),
        # Files that operating systems add are ignored.
        (
            _zip(("a", b"[1]"), ("Thumbs.db", b"\xd0\xcf"), (".DS_Store", b"x")),
            ["a line 1"],
        ),
        (_zip(("a.mp4", b"x"), ("__MACOSX/._a", b"x"), ("a", b"[1]")), ["a line 1"]),
    ],
)
def test_every_export_in_an_archive_is_read(read, data, positions):
    assert read(data) == [(position, [1]) for position in positions]


@pytest.mark.parametrize(
    "data",
    [
        *(_zip(), _tar(), gzip.compress(_tar(), mtime=0), _links()),
        *(_zip(("d/", b"")), _zip(("a.mp4", b"x"))),
    ],
)
def test_an_archive_without_an_export_is_reported(read, data):
    assert [reason for _, reason in read(data)] == [_NO_EXPORT]


def test_an_encrypted_entry_is_reported_and_the_others_are_read(read):
    data = bytearray(_zip(("a", b"[1]"), ("b", b"[2]")))
    for start, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.find(start) + place] |= 1
    found = read(bytes(data))
    assert found == [("a", "an entry with a password"), ("b line 1", [2])]


def test_endless_nesting_and_bombs_are_rejected(read):
    data = b"[1]"
    for _ in range(8):
        data = gzip.compress(data)
    assert read(data) == [("document", "archives nested deeper than 4")]
    [(_, reason)] = read(gzip.compress(b"0" * 100_000_000))
    assert reason.startswith("it grows more than 400-fold")


def _posts(number):
    """Returns objects that do not compress well."""
    texts = (hashlib.sha256(str(n).encode()).hexdigest() * 9 for n in range(number))
    return [{"id": n, "text": text} for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    "pack", [gzip.compress, lambda d: bz2.compress(d, 1), lzma.compress]
)
@pytest.mark.parametrize("is_lines", [False, True])
def test_the_intact_part_of_damaged_files_is_read(read, pack, is_lines):
    posts = _posts(2000)
    text = "\n".join(map(json.dumps, posts)) if is_lines else json.dumps(posts)
    packed = pack(text.encode())
    *found, (position, reason) = read(packed[: len(packed) * 2 // 3])
    values = [value for _, value in found]
    whole = (values if is_lines else values[0])[:-1]  # the last one is a part
    assert whole == posts[: len(whole)]
    assert len(whole) > 500
    assert (position, reason) == ("end", "the file is cut or damaged (EOFError)")


def test_trailing_garbage_loses_no_data(read):
    found = read(gzip.compress(b"[1]") + b"garbage")
    assert found == [
        ("line 1", [1]),
        ("end", "the file is cut or damaged (BadGzipFile)"),
    ]
    assert read(gzip.compress(b"[1]") + bytes(512)) == [("line 1", [1])]


def test_entries_after_a_damaged_one_are_read(read):
    data = bytearray(_zip(("a", b"[1]"), ("b", b"[2]")))
    data[data.find(b"[1]") + 1] ^= 1
    reasons = [
        ("a end", "the file is cut or damaged (BadZipFile)"),
        ("b line 1", [2]),
    ]
    assert [entry for entry in read(bytes(data)) if entry[0] != "a line 1"] == reasons
    cut = _tar(("a", b"[1]"), ("b", json.dumps(_posts(50)).encode()))[:12_000]
    found = read(cut)
    assert found[0] == ("a line 1", [1])
    assert found[-1] == ("b end", "the file is cut or damaged (ReadError)")


@pytest.mark.parametrize("keep", [-20, 40, 10])
def test_a_truncated_zip_is_reported(read, keep):
    [(_, reason)] = read(_zip(("a", b"[1]"), ("b", b"[2]"))[:keep])
    assert reason == "the archive is cut or damaged (BadZipFile)"
