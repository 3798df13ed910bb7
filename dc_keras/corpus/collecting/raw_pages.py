"""The platform's answers on disk: one JSON line per answer, in order of the requests.

    {"__collect_meta": {"version": 1, "request": …, "target": …, "cursor": …,
     "collected_at": …, "seed": …}, "data": …}

`data` is the parsed answer, or its text if it is not JSON: unusable answers are saved
too. Pages and suggestions are in raw/. The answers that contain the ids of a hashtag or
user are in details/, which an import of raw/*.ndjson does not read.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dc_keras.corpus.collecting.answers import RefusedError, check_answer, posts_of
from dc_keras.corpus.collecting.plan import Target
from dc_keras.errors import DataError

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the platform.

    Attributes:
        request: one of the values of `answers.REQUESTS`.
        cursor: cursor of the requested page; None if the request has no pages.
        data: parsed JSON, or the text of an answer that is not JSON.
        seed: `{user_id, handle}` of the user to whom suggestions belong, or None.
    """

    request: str
    cursor: Any
    data: Any
    seed: dict[str, str] | None = None


class RawPages:
    """The files of one target; an incomplete last line is removed on opening."""

    def __init__(self, output: Path, target: Target) -> None:
        self._target = target
        self._pages = output / "raw" / target.file_name
        self._details = output / "details" / target.file_name
        for path in (self._pages, self._details):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _cut_torn_line(path)

    def __iter__(self) -> Iterator[Answer]:
        """Yields the saved answers: details first, then pages, each in order."""
        for path in (self._details, self._pages):
            if path.exists():
                yield from _read(path)

    def append(self, answer: Answer) -> None:
        """Appends an answer in one write."""
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
                    f"{path}, line {number}: must be an answer saved by `collect`; "
                    f"move the file away to request it again. Received: {error!r}"
                ) from error
            if version != _VERSION:
                raise DataError(
                    f"{path}, line {number}: `version` must be {_VERSION}. "
                    f"Received: version={version}"
                )
            yield answer


class PostPages:
    """The pages of a hashtag, a user or a sound, as the saved answers tell.

    Attributes:
        target: the target.
        cursor: cursor of the next page.
        has_more: whether the platform has another page.
        post_ids: ids of all posts so far.
        detail: the answer that contains the target's ids, or None.
    """

    def __init__(self, output: Path, target: Target) -> None:
        self.target = target
        self.cursor: Any = 0
        self.has_more = True
        self.post_ids: set[str] = set()
        self.detail: Any = None
        self._raw = RawPages(output, target)
        for answer in self._raw:
            with suppress(RefusedError):
                self._update(answer)

    def has(self, count: int) -> bool:
        """Whether this many posts, or all that the platform has, are collected."""
        return not self.has_more or len(self.post_ids) >= count

    def add_answer(self, request: str, cursor: Any, data: Any) -> None:
        """Saves an answer; raises `RefusedError` if it lacks what was requested."""
        answer = Answer(request, cursor, data)
        self._raw.append(answer)
        self._update(answer)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields every post once, in its first version."""
        yielded: set[str] = set()
        for answer in self._raw:
            with suppress(RefusedError):
                for post in self._posts(answer):
                    if str(post["id"]) not in yielded:
                        yielded.add(str(post["id"]))
                        yield post

    def _update(self, answer: Answer) -> None:
        posts = self._posts(answer)
        if answer.request != self.target.request:
            self.detail = answer.data
            return
        new = {str(post["id"]) for post in posts} - self.post_ids
        self.post_ids |= new
        self.has_more = bool(answer.data["hasMore"])
        self.cursor = answer.data.get("cursor", self.cursor)
        if self.has_more and not new:
            # Long lists end like this: the cursor keeps advancing without new posts.
            reason = "only posts that were sent before, although `hasMore` is true"
            raise RefusedError(reason, is_final=True)

    def _posts(self, answer: Answer) -> list[dict[str, Any]]:
        check_answer(answer.request, answer.data)
        return posts_of(answer.data) if answer.request == self.target.request else []
