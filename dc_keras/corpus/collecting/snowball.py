"""A group of users around a seed: suggested users, and whom is suggested beside them.

As whichtok does it (`seed_user`, `group_size`), but breadth first: whom is suggested
beside the seed, then whom beside each of those in the order in which they were found,
until the group has its size. The seed itself is no member.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from dc_keras.corpus.collecting.answers import Member, RefusedError, check_answer, members_of
from dc_keras.corpus.collecting.plan import Target
from dc_keras.corpus.collecting.raw_pages import Answer, RawPages


class Snowball:
    """The group as far as the saved suggestions lead.

    Args:
        output: the directory of the collection.
        target: the group's seed: request "suggested", the seed's handle.
        group_size: how many users the group should have.

    Attributes:
        group_size: as given.
        seed: the seed user; None until its id is known.
    """

    def __init__(self, output: Path, target: Target, group_size: int) -> None:
        self.seed: Member | None = None
        self.group_size = group_size
        self._found: dict[str, Member] = {}
        self._asked: set[str] = set()
        self._asking: Member | None = None
        self._raw = RawPages(output, target)
        for answer in self._raw:
            with suppress(RefusedError):
                self._learn(answer)

    @property
    def members(self) -> list[Member]:
        """The group, in the order in which its users were found."""
        return list(self._found.values())[: self.group_size]

    @property
    def is_full(self) -> bool:
        """Whether the group has its size."""
        return len(self._found) >= self.group_size

    def next_user(self) -> Member | None:
        """Returns the next user to ask suggestions for, each once; None at the end."""
        queue = ([] if self.seed is None else [self.seed]) + self.members
        for user in queue:
            if user.user_id not in self._asked:
                self._asked.add(user.user_id)
                self._asking = user
                return user
        return None

    def take(self, request: str, cursor: Any, data: Any) -> None:
        """Saves an answer, then learns from it.

        Raises:
            RefusedError: it does not hold what was asked for.
        """
        user = self._asking
        seed = (
            None if user is None else {"user_id": user.user_id, "handle": user.handle}
        )
        answer = Answer(request, cursor, data, seed)
        self._raw.append(answer)
        self._learn(answer)

    def _learn(self, answer: Answer) -> None:
        check_answer(answer.request, answer.data)
        if answer.seed is None:
            user = answer.data["userInfo"]["user"]
            self.seed = Member(str(user["id"]), user["uniqueId"], user["secUid"])
            return
        self._asked.add(answer.seed["user_id"])
        for member in members_of(answer.data):
            if self.seed is not None and member.user_id != self.seed.user_id:
                self._found.setdefault(member.user_id, member)
