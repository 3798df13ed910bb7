"""The posts of one target: what the saved pages hold, and where to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dc_keras.corpus.collecting.answers import RefusedError, check_answer, posts_of
from dc_keras.corpus.collecting.plan import Target
from dc_keras.corpus.collecting.raw_pages import Answer, RawPages


class PostPages:
    """The pages of a target, old and new; everything is told by the raw files.

    Args:
        output: the directory of the collection.
        target: a hashtag, a user or a sound.

    Attributes:
        target: that target.
        cursor: where the next page begins.
        has_more: whether the platform promises another page.
        post_ids: of all posts so far.
        detail: the answer that told the target's ids, or None.
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
                self._learn(answer)

    def has(self, count: int) -> bool:
        """Whether so many posts are there, or all that the platform has."""
        return not self.has_more or len(self.post_ids) >= count

    def take(self, request: str, cursor: Any, data: Any) -> None:
        """Saves an answer, then learns from it where to go on.

        Raises:
            RefusedError: it does not hold what was asked for, or nothing new.
        """
        answer = Answer(request, cursor, data)
        self._raw.append(answer)
        self._learn(answer)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields every post once, as it came first."""
        seen: set[str] = set()
        for answer in self._raw:
            with suppress(RefusedError):
                for post in self._posts(answer):
                    if str(post["id"]) not in seen:
                        seen.add(str(post["id"]))
                        yield post

    def _learn(self, answer: Answer) -> None:
        posts = self._posts(answer)
        if answer.request != self.target.request:
            self.detail = answer.data
            return
        new = {str(post["id"]) for post in posts} - self.post_ids
        self.post_ids |= new
        self.has_more = bool(answer.data["hasMore"])
        self.cursor = answer.data.get("cursor", self.cursor)
        if self.has_more and not new:
            # The end of a long list looks like this: the cursor moves on for ever.
            reason = "only posts that it gave before, although it promises more"
            raise RefusedError(reason, is_final=True)

    def _posts(self, answer: Answer) -> list[dict[str, Any]]:
        check_answer(answer.request, answer.data)
        return posts_of(answer.data) if answer.request == self.target.request else []
