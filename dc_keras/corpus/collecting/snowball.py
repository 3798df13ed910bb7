"""A group of users around a seed, collected by following suggestions.

Like whichtok (`seed_user`, `group_size`), but breadth first: first the users who are
suggested next to the seed, then those suggested next to each of them, in order, until
the group is full. The seed itself is not a member.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from dc_keras.corpus.collecting.answers import (
    Member,
    RefusedError,
    check_answer,
    members_of,
)
from dc_keras.corpus.collecting.plan import Target
from dc_keras.corpus.collecting.raw_pages import Answer, RawPages


class Snowball:
    """The group of a seed; the whole state is derived from the saved suggestions.

    Args:
        output: the directory of the collection.
        target: target with request "suggested" and the seed's handle.
        group_size: number of users in the group.

    Attributes:
        seed: the seed user; None until its id is known.
    """

    def __init__(self, output: Path, target: Target, group_size: int) -> None:
        self.seed: Member | None = None
        self.group_size = group_size
        self._suggested: dict[str, Member] = {}
        self._requested: set[str] = set()
        self._current: Member | None = None
        self._raw = RawPages(output, target)
        for answer in self._raw:
            with suppress(RefusedError):
                self._update(answer)

    @property
    def members(self) -> list[Member]:
        """The users of the group, in the order in which they were suggested."""
        return list(self._suggested.values())[: self.group_size]

    @property
    def is_full(self) -> bool:
        """Whether the group has `group_size` users."""
        return len(self._suggested) >= self.group_size

    def next_user(self) -> Member | None:
        """Returns the next user to request suggestions for; None if there is none."""
        queue = ([] if self.seed is None else [self.seed]) + self.members
        for user in queue:
            if user.user_id not in self._requested:
                self._requested.add(user.user_id)
                self._current = user
                return user
        return None

    def add_answer(self, request: str, cursor: Any, data: Any) -> None:
        """Saves an answer; raises `RefusedError` if it lacks what was requested."""
        user = self._current
        seed = (
            None if user is None else {"user_id": user.user_id, "handle": user.handle}
        )
        answer = Answer(request, cursor, data, seed)
        self._raw.append(answer)
        self._update(answer)

    def _update(self, answer: Answer) -> None:
        check_answer(answer.request, answer.data)
        if answer.seed is None:
            user = answer.data["userInfo"]["user"]
            self.seed = Member(str(user["id"]), user["uniqueId"], user["secUid"])
            return
        self._requested.add(answer.seed["user_id"])
        for member in members_of(answer.data):
            if self.seed is not None and member.user_id != self.seed.user_id:
                self._suggested.setdefault(member.user_id, member)
