"""The collected posts of one target, read from its saved answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dc_keras.corpus.collecting.answers import RefusedError, check_answer, posts_of
from dc_keras.corpus.collecting.plan import Target
from dc_keras.corpus.collecting.raw_pages import Answer, RawPages


class PostPages:
    """The pages of a target; the whole state is derived from the saved answers.

    Args:
        output: the directory of the collection.
        target: a hashtag, a user or a sound.

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
        """Saves an answer and updates the state.

        Raises:
            RefusedError: the answer lacks what was requested, or has no new posts.
        """
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
