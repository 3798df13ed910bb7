"""Resolves requests for removal, or lists of valid posts and users, in corpora."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from dc_keras.corpus.forgotten import codes_of
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from tfrecords.storage.read_errors import reading

_LINE = re.compile(r"@[\w.]+|[\w.-]+")
_MOST = 0.5  # share of the posts


@dataclass(frozen=True, slots=True)
class RemovalRequests:
    """The people and posts to remove.

    Attributes:
        codes: ids of posts, pseudonyms of people, codes of mentions.
        requests: for the keyed fingerprint of each request, whether a corpus has it.
        missing: fingerprint of each line that no corpus has, by its number from 1.
    """

    codes: frozenset[str]
    requests: dict[str, bool]
    missing: Mapping[int, str] = field(default_factory=dict)


class _People:
    """The people of corpora, with all their codes."""

    def __init__(self, corpora: Sequence[Corpus]) -> None:
        self._corpora = corpora
        self.codes: defaultdict[str, set[str]] = defaultdict(set)
        self._owners: defaultdict[str, set[str]] = defaultdict(set)
        for user in (user for corpus in corpora for user in corpus.iter_users()):
            codes = codes_of(user)
            self.codes[user.user_id] |= codes
            for code in codes:
                self._owners[code].add(user.user_id)

    def named_by(self, codes: Collection[str]) -> set[str]:
        """Returns the ids of the users whom one of the codes identifies."""
        return {user for code in codes for user in self._owners.get(code, ())}

    def all_codes_of(self, users: set[str]) -> set[str]:
        """Returns the codes that only these users have, and the ids of their posts.

        A handle that another user has had too does not identify the author of a post.
        """
        known = (code for user in users for code in self.codes[user])
        is_theirs = pl.col("user_id").is_in(users)
        posts = (
            corpus.videos.filter(is_theirs)["video_id"] for corpus in self._corpora
        )
        return {code for code in known if self._owners[code] <= users}.union(*posts)


def read_lines(path: Path) -> dict[int, str]:
    """Returns the ids of a file by line number, from 1.

    Args:
        path: file with one id per line: the id of a post or of a user, a secUid, or a
            handle after an @. Text after a # is a comment.

    Raises:
        DataError: a line is invalid, or there are no ids.
    """
    with reading(path, "a list of ids in UTF-8"):
        text = path.read_text(encoding="utf-8-sig")
    stripped = (line.partition("#")[0].strip() for line in text.split("\n"))
    lines = {number: line for number, line in enumerate(stripped, start=1) if line}
    for number, line in lines.items():
        if not _LINE.fullmatch(line):
            # Only the number, because the line may be a name and end up in a log.
            raise DataError(
                f"{path}: a line must be an id, or a handle after an @. "
                f"Received: line={number}"
            )
    if not lines:
        raise DataError(f"{path}: at least one line must be an id. Received: none")
    return lines


def find_requested(
    lines: Mapping[int, str], corpora: Sequence[Corpus], pseudonymizer: Pseudonymizer
) -> RemovalRequests:
    """Resolves lines to people and posts.

    An id or a handle of a person includes all their known handles and posts. A line
    that no corpus has is kept, because a later import may contain it.

    Raises:
        DataError: a handle has belonged to several people.
    """
    people = _People(corpora)
    codes = {number: _codes_of(line, pseudonymizer) for number, line in lines.items()}
    named = {number: people.named_by(codes[number]) for number in lines}
    for number, users in named.items():
        if len(users) > 1:
            raise DataError(
                "a handle must identify one person; use the user id instead. "
                f"Received: line={number}, a handle of {len(users)} people"
            )
    requested = set().union(*codes.values())
    present = _find_present(requested, corpora)
    found = {n: bool(named[n] or codes[n] & present) for n in lines}
    names = {n: pseudonymizer.forgotten(line.lower()) for n, line in lines.items()}
    return RemovalRequests(
        codes=frozenset(requested | people.all_codes_of(set().union(*named.values()))),
        requests={names[number]: found[number] for number in lines},
        missing={number: names[number] for number in lines if not found[number]},
    )


def find_gone(
    lines: Iterable[str],
    corpora: Sequence[Corpus],
    pseudonymizer: Pseudonymizer,
    kind: str,
) -> RemovalRequests:
    """Finds all posts or users of corpora that lines do not list as valid.

    Args:
        lines: ids, and handles after an @, of valid posts or users.
        corpora: the corpora.
        pseudonymizer: the pseudonymizer with the key.
        kind: "video" if the lines list valid posts, "user" if they list valid users.
    """
    valid = set().union(*(_codes_of(line, pseudonymizer) for line in lines))
    if kind == "video":
        known = {v for corpus in corpora for v in corpus.videos["video_id"]}
        gone = codes = known - valid
    else:
        people = _People(corpora)
        gone = {user for user, known in people.codes.items() if not known & valid}
        codes = people.all_codes_of(gone)
    requests = dict.fromkeys(map(pseudonymizer.forgotten, sorted(gone)), True)
    return RemovalRequests(frozenset(codes), requests)


def require_few(requested: RemovalRequests, corpora: Sequence[Corpus]) -> None:
    """Raises `DataError` if more than half of the posts would be removed."""
    posts = pl.concat([c.videos.select("video_id", "user_id") for c in corpora])
    is_gone = pl.any_horizontal(pl.all().is_in(requested.codes))
    num_gone = posts.filter(is_gone).height
    if num_gone > _MOST * posts.height:
        raise DataError(
            "more than half of the posts would be removed; check the file, or use "
            "--allow_most to remove them. "
            f"Received: {num_gone} of {posts.height} posts"
        )


def _codes_of(line: str, pseudonymizer: Pseudonymizer) -> set[str]:
    if line.startswith("@"):
        return {pseudonymizer.handle(line[1:]), pseudonymizer.mention(line[1:])}
    if line.isdecimal():
        return {line, pseudonymizer.user(line)}
    return {pseudonymizer.sec_uid(line)}


def _find_present(codes: Collection[str], corpora: Sequence[Corpus]) -> set[str]:
    """Returns those of the codes that occur in posts or edges."""
    found: set[str] = set()
    for corpus in corpora:
        columns = [
            *(corpus.videos[name] for name in ("video_id", "duet_of", "stitch_of")),
            corpus.videos["mentions"].explode(),
            *(corpus.edges[name] for name in ("user_id", "target_id", "video_id")),
        ]
        for column in columns:
            found.update(column.filter(column.is_in(codes)))
    return found
