"""The alias table: which handles and secUids belong to which author.

Some exports know an author's id, others the handle only, and handles change. An author
seen by handle alone goes under the handle's pseudonym until some export tells whose
handle it is; then both become one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from dc_keras.corpus.records import User, Video


@dataclass(slots=True)
class _Entry:
    aliases: set[str] = field(default_factory=set)
    sec_uids: set[str] = field(default_factory=set)
    usernames: set[str] = field(default_factory=set)
    first_seen: int | None = None
    last_seen: int | None = None


class AuthorTable:
    """Collects what exports say about authors.

    Args:
        users: what is known already.

    Attributes:
        handle_only: user ids that are the pseudonym of a handle.
    """

    def __init__(self, users: Iterable[User] = ()) -> None:
        self._entries: defaultdict[str, _Entry] = defaultdict(_Entry)
        self.handle_only: set[str] = set()
        for user in users:
            self._add_user(user)

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
        for known, value in (
            (entry.aliases, alias),
            (entry.sec_uids, sec_uid),
            (entry.usernames, username),
        ):
            if value is not None:
                known.add(value)
        return chosen

    def resolve(self, videos: Iterable[Video]) -> list[Video]:
        """Returns the videos under the best known user ids, and keeps to them.

        A handle that two ids have carried stays on its own: whose the post is cannot
        be told.
        """
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for user_id, entry in self._entries.items():
            if user_id not in self.handle_only:
                for alias in entry.aliases:
                    owners[alias].add(user_id)
        renames = {
            alias: min(owners[alias])
            for alias in self.handle_only
            if len(owners[alias]) == 1
        }
        for alias, user_id in renames.items():
            self._join(self._entries.pop(alias), self._entries[user_id])
        self.handle_only -= renames.keys()
        return [
            replace(video, user_id=renames[video.user_id])
            if video.user_id in renames
            else video
            for video in videos
        ]

    def users(self, videos: Iterable[Video]) -> Iterator[User]:
        """Yields the authors, with first and last seen widened by these videos."""
        for video in videos:
            entry = self._entries[video.user_id]
            _see(entry, video.create_time)
        for user_id, entry in self._entries.items():
            yield User(
                user_id=user_id,
                aliases=tuple(sorted(entry.aliases)),
                sec_uids=tuple(sorted(entry.sec_uids)),
                usernames=tuple(sorted(entry.usernames)),
                first_seen=entry.first_seen,
                last_seen=entry.last_seen,
            )

    def _add_user(self, user: User) -> None:
        entry = _Entry(set(user.aliases), set(user.sec_uids), set(user.usernames))
        _see(entry, user.first_seen)
        _see(entry, user.last_seen)
        self._entries[user.user_id] = entry
        if user.user_id in entry.aliases:
            self.handle_only.add(user.user_id)

    @staticmethod
    def _join(source: _Entry, target: _Entry) -> None:
        target.aliases |= source.aliases
        target.sec_uids |= source.sec_uids
        target.usernames |= source.usernames
        _see(target, source.first_seen)
        _see(target, source.last_seen)


def _see(entry: _Entry, time: int | None) -> None:
    if time is None:
        return
    entry.first_seen = time if entry.first_seen is None else min(entry.first_seen, time)
    entry.last_seen = time if entry.last_seen is None else max(entry.last_seen, time)
