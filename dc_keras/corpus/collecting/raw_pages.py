"""Answers on disk, as they came: one JSON line each, in the order of asking.

    {"__collect_meta": {"version": 1, "request": …, "target": …, "cursor": …,
     "collected_at": …, "seed": …}, "data": …}

`data` is the answer, parsed if it is JSON and as a text if not: an answer of no use is
kept as well. Pages and suggestions lie in raw/, what told the ids of a hashtag or user
in details/, where an import of raw/*.ndjson does not meet it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dc_keras.corpus.collecting.plan import Target
from dc_keras.errors import DataError

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the platform.

    Attributes:
        request: one of the values of `answers.REQUESTS`.
        cursor: what page was asked for; None where there are no pages.
        data: parsed JSON, or the text of what is none.
        seed: `{user_id, handle}` of the user whose suggestions these are, or None.
    """

    request: str
    cursor: Any
    data: Any
    seed: dict[str, str] | None = None


class RawPages:
    """The files of one target; a torn last line is cut off on opening.

    Args:
        output: the directory of the collection.
        target: what the answers are about.
    """

    def __init__(self, output: Path, target: Target) -> None:
        self._target = target
        self._pages = output / "raw" / target.file_name
        self._details = output / "details" / target.file_name
        for path in (self._pages, self._details):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _cut_torn_line(path)

    def __iter__(self) -> Iterator[Answer]:
        """Yields what was saved: details first, then pages, each as they came."""
        for path in (self._details, self._pages):
            if path.exists():
                yield from _read(path)

    def append(self, answer: Answer) -> None:
        """Saves an answer in one write."""
        meta: dict[str, Any] = {
            "version": _VERSION,
            "request": answer.request,
            "target": self._target.name,
            "cursor": answer.cursor,
            "collected_at": int(time.time()),
        }
        if answer.seed is not None:
            meta["seed"] = answer.seed
        line = json.dumps({"__collect_meta": meta, "data": answer.data})
        is_detail = answer.request.endswith("_detail")
        with (self._details if is_detail else self._pages).open("ab") as file:
            file.write(f"{line}\n".encode("ascii"))


def _cut_torn_line(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _read(path: Path) -> Iterator[Answer]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                meta = entry["__collect_meta"]
                version = meta["version"]
                answer = Answer(
                    meta["request"], meta["cursor"], entry["data"], meta.get("seed")
                )
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(
                    f"{path}, line {number}: must be an answer that `collect` saved; "
                    f"move the file away to ask anew. Received: {error!r}"
                ) from error
            if version != _VERSION:
                raise DataError(
                    f"{path}, line {number}: `version` must be {_VERSION}. "
                    f"Received: version={version}"
                )
            yield answer
