"""The alias table: which handles and secUids belong to which author.

Some exports know an author's id, others the handle only, and handles change. An author
seen by handle alone goes under the handle's pseudonym until some export tells whose
handle it is; then both become one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

from dc_keras.corpus.records import User

# Followers, likes of all posts, number of posts.
Counts: TypeAlias = tuple[int | None, int | None, int | None]
_UNSEEN: Counts = (None, None, None)


@dataclass(slots=True)
class _Entry:
    # Tuples, not sets: nearly all have one element, and there are millions.
    aliases: tuple[str, ...] = ()
    sec_uids: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    first_seen: int | None = None
    last_seen: int | None = None
    account: Counts = _UNSEEN
    account_seen: int | None = None


class AuthorTable:
    """Collects what exports say about authors.

    Args:
        users: what is known already.

    Attributes:
        handle_only: user ids that are the pseudonym of a handle.
        known_owners: pseudonym of a handle → user id, as far as was known already.
    """

    def __init__(self, users: Iterable[User] = ()) -> None:
        self._entries: defaultdict[str, _Entry] = defaultdict(_Entry)
        self.handle_only: set[str] = set()
        for user in users:
            self._add_user(user)
        self.known_owners = self._owners()

    def add(
        self,
        *,
        user_id: str | None,
        alias: str | None,
        sec_uid: str | None,
        username: str | None,
    ) -> str:
        """Adds one sighting, all of it pseudonyms but `username`.

        Returns:
            The user id to put into the record: `alias` where there is no other.

        Raises:
            ValueError: both `user_id` and `alias` are None.
        """
        chosen = alias if user_id is None else user_id
        if chosen is None:
            raise ValueError("an author must have `user_id` or `alias`")
        if user_id is None:
            self.handle_only.add(chosen)
        entry = self._entries[chosen]
        entry.aliases = _with(entry.aliases, alias)
        entry.sec_uids = _with(entry.sec_uids, sec_uid)
        entry.usernames = _with(entry.usernames, username)
        return chosen

    def resolve(self) -> dict[str, str]:
        """Joins authors known by handle with whose handle it is, and says which.

        A handle that two ids have carried stays on its own: whose the post is cannot
        be told.

        Returns:
            User id of a handle → user id of the author, to rename records by.
        """
        owners = self._owners()
        renames = {a: owners[a] for a in self.handle_only if a in owners}
        for alias, user_id in renames.items():
            self._join(self._entries.pop(alias), self._entries[user_id])
        self.handle_only -= renames.keys()
        return renames

    def see(self, user_id: str, *times: int | None) -> None:
        """Widens first and last seen by posting times, UTC seconds."""
        for time in times:
            _see(self._entries[user_id], time)

    def see_account(self, user_id: str, account: Counts, time: int | None) -> None:
        """Keeps what an export said about an account, if it is the newest to do so.

        Args:
            user_id: whose account.
            account: followers, likes of all posts and number of posts.
            time: when the export saw them, UTC seconds; None is older than any time.
        """
        _see_account(self._entries[user_id], account, time)

    def users(self) -> Iterator[User]:
        """Yields the authors, sorted by id."""
        for user_id, entry in sorted(self._entries.items()):
            yield User(
                user_id=user_id,
                aliases=tuple(sorted(entry.aliases)),
                sec_uids=tuple(sorted(entry.sec_uids)),
                usernames=tuple(sorted(entry.usernames)),
                first_seen=entry.first_seen,
                last_seen=entry.last_seen,
                followers=entry.account[0],
                total_likes=entry.account[1],
                total_posts=entry.account[2],
                account_seen=entry.account_seen,
            )

    def _owners(self) -> dict[str, str]:
        """Returns handle → user id, of handles that one id alone has carried."""
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for user_id, entry in self._entries.items():
            if user_id not in self.handle_only:
                for alias in entry.aliases:
                    owners[alias].add(user_id)
        return {alias: min(ids) for alias, ids in owners.items() if len(ids) == 1}

    def _add_user(self, user: User) -> None:
        entry = _Entry(user.aliases, user.sec_uids, user.usernames)
        entry.first_seen, entry.last_seen = user.first_seen, user.last_seen
        entry.account = (user.followers, user.total_likes, user.total_posts)
        entry.account_seen = user.account_seen
        self._entries[user.user_id] = entry
        if user.user_id in entry.aliases:
            self.handle_only.add(user.user_id)

    @staticmethod
    def _join(source: _Entry, target: _Entry) -> None:
        target.aliases = reduce(_with, source.aliases, target.aliases)
        target.sec_uids = reduce(_with, source.sec_uids, target.sec_uids)
        target.usernames = reduce(_with, source.usernames, target.usernames)
        _see(target, source.first_seen)
        _see(target, source.last_seen)
        _see_account(target, source.account, source.account_seen)


def _with(known: tuple[str, ...], value: str | None) -> tuple[str, ...]:
    return known if value is None or value in known else (*known, value)


def _see(entry: _Entry, time: int | None) -> None:
    if time is None:
        return
    entry.first_seen = time if entry.first_seen is None else min(entry.first_seen, time)
    entry.last_seen = time if entry.last_seen is None else max(entry.last_seen, time)


def _see_account(entry: _Entry, account: Counts, time: int | None) -> None:
    """Keeps the newer of two looks at an account, of one time that which has more."""
    if entry.account in (_UNSEEN, account):
        # Of most accounts there is one look, or the same look again and again.
        if entry.account == _UNSEEN or (time or -1) > (entry.account_seen or -1):
            entry.account_seen = time
        entry.account = account
        return
    known = (entry.account_seen, entry.account)
    newer, older = sorted(((time, account), known), key=_age, reverse=True)
    kept = [b if a is None else a for a, b in zip(newer[1], older[1], strict=True)]
    entry.account, entry.account_seen = (kept[0], kept[1], kept[2]), newer[0]


def _age(look: tuple[int | None, Counts]) -> tuple[int, ...]:
    time, account = look
    return tuple(-1 if number is None else number for number in (time, *account))
