"""The alias table: the handles and secUids of each author.

Some exports contain the id of an author, others only the handle, and handles change. An
author who is known by handle only has the pseudonym of the handle as user id until an
export relates the handle to an id; then both entries are merged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from dc_keras.corpus.importing.sources.post import AccountCounts
from dc_keras.corpus.records import User


@dataclass(slots=True)
class Author:
    """What is known about an author; the attributes are those of `records.User`."""

    # Tuples, not sets: nearly all have one element, and there are millions.
    aliases: tuple[str, ...] = ()
    sec_uids: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    first_seen: int | None = None
    last_seen: int | None = None
    account: AccountCounts | None = None
    account_seen: int | None = None


class AuthorTable:
    """Collects the aliases, times and account counts of authors.

    Attributes:
        entries: the authors, by user id.
        handle_only: user ids that are the pseudonym of a handle.
        known_owners: pseudonym of a handle → user id, from the existing corpus.
    """

    def __init__(self, users: Iterable[User] = ()) -> None:
        self.entries: defaultdict[str, Author] = defaultdict(Author)
        self.handle_only: set[str] = set()
        self._last_counts: dict[str, tuple[int | None, Any]] = {}
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
        """Adds one occurrence of an author; all values but `username` are pseudonyms.

        Returns the user id for the record, which is `alias` if `user_id` is None.
        """
        chosen = alias if user_id is None else user_id
        if chosen is None:
            raise ValueError("an author must have `user_id` or `alias`")
        if user_id is None:
            self.handle_only.add(chosen)
        entry = self.entries[chosen]
        entry.aliases = _append_new(entry.aliases, alias)
        entry.sec_uids = _append_new(entry.sec_uids, sec_uid)
        entry.usernames = _append_new(entry.usernames, username)
        return chosen

    def absorb(self, entries: Mapping[str, Author]) -> None:
        """Adds the authors of another table, which must not be used afterwards."""
        for user_id, entry in entries.items():
            known = self.entries.setdefault(user_id, entry)
            if known is not entry:
                self._join(entry, known)
            if user_id in entry.aliases:
                self.handle_only.add(user_id)

    def resolve(self) -> dict[str, str]:
        """Merges authors who are known by handle with the owners of the handles.

        A handle that belonged to two ids is not merged, because its owner is ambiguous.
        Returns the user id of each merged handle → the user id of its owner.
        """
        owners = self._owners()
        renames = {a: owners[a] for a in sorted(self.handle_only) if a in owners}
        for alias, user_id in renames.items():
            self._join(self.entries.pop(alias), self.entries[user_id])
        self.handle_only -= renames.keys()
        return renames

    def add_times(self, user_id: str, *times: int | None) -> None:
        """Extends the period of a user to posting times, UTC seconds."""
        for time in times:
            _extend_period(self.entries[user_id], time)

    def add_accounts(
        self,
        user_ids: Iterable[str],
        times: Iterable[int | None],
        accounts: Iterable[Any],
    ) -> None:
        """Keeps the newest counts of each account.

        Args:
            user_ids: owners of the accounts.
            times: collection times, UTC seconds; None counts as the oldest.
            accounts: the counts, with the attributes of `AccountCounts`, or None.
        """
        for user_id, time, account in zip(user_ids, times, accounts, strict=True):
            if account is None:
                continue
            last = self._last_counts.get(user_id)
            # Nearly always the same counts again.
            if last is None or account != last[1] or time != last[0]:
                self._last_counts[user_id] = time, account
                counts = AccountCounts(*_counts(account))
                _update_account(self.entries[user_id], counts, time)

    def users(self) -> Iterator[User]:
        """Yields the authors, sorted by id."""
        for user_id, entry in sorted(self.entries.items()):
            account = entry.account or AccountCounts()
            yield User(
                user_id=user_id,
                aliases=tuple(sorted(entry.aliases)),
                sec_uids=tuple(sorted(entry.sec_uids)),
                usernames=tuple(sorted(entry.usernames)),
                first_seen=entry.first_seen,
                last_seen=entry.last_seen,
                followers=account.followers,
                total_likes=account.total_likes,
                total_posts=account.total_posts,
                account_seen=entry.account_seen,
            )

    def _owners(self) -> dict[str, str]:
        """Returns handle → user id, for handles that belonged to exactly one id."""
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for user_id, entry in self.entries.items():
            if user_id not in self.handle_only:
                for alias in entry.aliases:
                    owners[alias].add(user_id)
        return {alias: min(ids) for alias, ids in owners.items() if len(ids) == 1}

    def _add_user(self, user: User) -> None:
        entry = Author(user.aliases, user.sec_uids, user.usernames)
        entry.first_seen, entry.last_seen = user.first_seen, user.last_seen
        _update_account(entry, AccountCounts(*_counts(user)), user.account_seen)
        self.absorb({user.user_id: entry})

    @staticmethod
    def _join(source: Author, target: Author) -> None:
        target.aliases = reduce(_append_new, source.aliases, target.aliases)
        target.sec_uids = reduce(_append_new, source.sec_uids, target.sec_uids)
        target.usernames = reduce(_append_new, source.usernames, target.usernames)
        _extend_period(target, source.first_seen)
        _extend_period(target, source.last_seen)
        if source.account is not None and (
            source.account != target.account
            or source.account_seen != target.account_seen
        ):
            _update_account(target, source.account, source.account_seen)


def _append_new(known: tuple[str, ...], value: str | None) -> tuple[str, ...]:
    return known if value is None or value in known else (*known, value)


def _extend_period(entry: Author, time: int | None) -> None:
    if time is None:
        return
    entry.first_seen = time if entry.first_seen is None else min(entry.first_seen, time)
    entry.last_seen = time if entry.last_seen is None else max(entry.last_seen, time)


def _update_account(entry: Author, account: AccountCounts, time: int | None) -> None:
    """Keeps the newer counts; at equal times, the larger ones.

    Missing counts are taken from the older ones.
    """
    if all(count is None for count in _counts(account)):
        return
    if entry.account is None:
        entry.account, entry.account_seen = account, time
        return
    before = entry.account_seen, entry.account
    versions = sorted(((time, account), before), key=_account_sort_key)
    (_, older), (entry.account_seen, newer) = versions
    pairs = zip(_counts(newer), _counts(older), strict=True)
    entry.account = AccountCounts(*(old if new is None else new for new, old in pairs))


def _account_sort_key(version: tuple[int | None, AccountCounts]) -> tuple[int, ...]:
    time, account = version
    return tuple(-1 if n is None else n for n in (time, *_counts(account)))


def _counts(account: Any) -> tuple[int | None, int | None, int | None]:
    return account.followers, account.total_likes, account.total_posts
