"""Small invented exports."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.pseudonyms import Pseudonymizer

# 1_600_000_000 << 32 = 6871947673600000000: posted 2020-09-13 12:26:40 UTC.
POSTED = 1_600_000_000


@pytest.fixture
def video_id() -> Callable[[int], str]:
    """Returns the id of the post `number`; posts are a minute apart."""
    return lambda number: str((POSTED + 60 * number << 32) + 77 + number)


@pytest.fixture
def make_item(video_id: Callable[[int], str]) -> Callable[..., dict[str, Any]]:
    """Makes a complete web item; keywords replace keys, None removes one."""

    def make(number: int = 0, **changes: Any) -> dict[str, Any]:
        item = {
            "id": video_id(number),
            "desc": "hello @Some.One #Fun",
            "createTime": POSTED + 60 * number,
            "author": {
                "id": "6655162062744181174",
                "uniqueId": "Ann",
                "secUid": "MS4x",
            },
            "stats": {
                "playCount": 100,
                "diggCount": 10,
                "commentCount": 3,
                "shareCount": 2,
                "collectCount": 1,
            },
            "music": {"id": "6740249209892505602", "title": "BOP"},
            "challenges": [{"id": "1", "title": "fun"}],
            "textExtra": [{"hashtagName": "fun", "userUniqueId": ""}],
            "video": {"duration": 13},
            "duetInfo": {"duetFromId": "0"},
            "locationCreated": "SG",
            "textLanguage": "en",
        } | changes
        return {key: value for key, value in item.items() if value is not None}

    return make


@pytest.fixture
def pseudonymizer() -> Pseudonymizer:
    return Pseudonymizer(b"k" * 32)


@pytest.fixture
def corpus_dir(tmp_path):
    return tmp_path / "corpus"


@pytest.fixture
def give(tmp_path, corpus_dir, pseudonymizer):
    """Writes each document, or its bytes, to a file and imports the files."""

    def run(**documents):
        options = {
            key: documents.pop(key) for key in list(documents) if key in _OPTIONS
        }
        paths = []
        for name, document in documents.items():
            path = tmp_path / f"{name}.json"
            data = (
                document
                if isinstance(document, bytes)
                else json.dumps(document).encode()
            )
            path.write_bytes(data)
            paths.append(str(path))
        return import_files(paths, corpus_dir, pseudonymizer=pseudonymizer, **options)

    return run


_OPTIONS = ("source", "media_root", "keep_handles", "keep_raw", "workers")
