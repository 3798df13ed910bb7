"""Who asks to be forgotten, or which posts are still there, looked up in corpora."""

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
class Asked:
    """What is to be forgotten.

    Attributes:
        codes: ids of posts, pseudonyms of people, codes of mentions.
        requests: keyed fingerprint of each request → whether a corpus has it.
        missing: number of each line that no corpus has, from 1 → its fingerprint.
    """

    codes: frozenset[str]
    requests: dict[str, bool]
    missing: Mapping[int, str] = field(default_factory=dict)


class _People:
    """Everyone in some corpora, with all that they are known by."""

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
        """Returns the user ids of everyone whom one of the codes names."""
        return {user for code in codes for user in self._owners.get(code, ())}

    def all_codes_of(self, users: set[str]) -> set[str]:
        """Returns the codes that these people alone have, and the ids of their posts.

        A handle that somebody else has had too does not say whose a post is.
        """
        known = (code for user in users for code in self.codes[user])
        is_theirs = pl.col("user_id").is_in(users)
        posts = (
            corpus.videos.filter(is_theirs)["video_id"] for corpus in self._corpora
        )
        return {code for code in known if self._owners[code] <= users}.union(*posts)


def read_lines(path: Path) -> dict[int, str]:
    """Returns the ids in a file by the number of their line, from 1.

    Args:
        path: a line an id: of a post, of a user, a secUid, or a handle after an @.
            What follows a # is a comment.

    Raises:
        DataError: a line is none of these, or every line is empty.
    """
    with reading(path, "a list of ids in UTF-8"):
        text = path.read_text(encoding="utf-8-sig")
    stripped = (line.partition("#")[0].strip() for line in text.split("\n"))
    lines = {number: line for number, line in enumerate(stripped, start=1) if line}
    for number, line in lines.items():
        if not _LINE.fullmatch(line):
            # The number alone: the line may be a name, and logs are kept.
            raise DataError(
                f"{path}: a line must be an id, or a handle after an @. "
                f"Received: line={number}"
            )
    if not lines:
        raise DataError(f"{path}: at least one line must hold an id. Received: none")
    return lines


def find_asked(
    lines: Mapping[int, str], corpora: Sequence[Corpus], pseudonymizer: Pseudonymizer
) -> Asked:
    """Finds what some lines name.

    An id or a handle of a person leads to all handles and posts that a corpus knows of
    them. A line that no corpus has is kept too: a later import might bring it.

    Returns:
        What they name; a request's fingerprint is that of the line in lower case.

    Raises:
        DataError: two people have had a handle.
    """
    people = _People(corpora)
    codes = {number: _codes_of(line, pseudonymizer) for number, line in lines.items()}
    named = {number: people.named_by(codes[number]) for number in lines}
    for number, users in named.items():
        if len(users) > 1:
            raise DataError(
                "a handle must lead to one person; give the user id instead. "
                f"Received: line={number}, a handle that {len(users)} people have had"
            )
    asked = set().union(*codes.values())
    present = _present(asked, corpora)
    found = {n: bool(named[n] or codes[n] & present) for n in lines}
    names = {n: pseudonymizer.forgotten(line.lower()) for n, line in lines.items()}
    return Asked(
        codes=frozenset(asked | people.all_codes_of(set().union(*named.values()))),
        requests={names[number]: found[number] for number in lines},
        missing={number: names[number] for number in lines if not found[number]},
    )


def find_gone(
    lines: Iterable[str],
    corpora: Sequence[Corpus],
    pseudonymizer: Pseudonymizer,
    kind: str,
) -> Asked:
    """Finds everything that some lines do not name as still there.

    Args:
        lines: ids, and handles after an @, of what is still there.
        corpora: where to look.
        pseudonymizer: holds the key.
        kind: whether the lines name each "video" or each "user" that is.

    Returns:
        The rest; a request's fingerprint is that of the id of the post, or of the
        author's pseudonym.
    """
    there = set().union(*(_codes_of(line, pseudonymizer) for line in lines))
    if kind == "video":
        known = {v for corpus in corpora for v in corpus.videos["video_id"]}
        gone = codes = known - there
    else:
        people = _People(corpora)
        gone = {user for user, known in people.codes.items() if not known & there}
        codes = people.all_codes_of(gone)
    requests = dict.fromkeys(map(pseudonymizer.forgotten, sorted(gone)), True)
    return Asked(frozenset(codes), requests)


def require_few(asked: Asked, corpora: Sequence[Corpus]) -> None:
    """Refuses a removal of more than half of the posts.

    Raises:
        DataError: it is as much, which a wrong file would be the usual reason for.
    """
    posts = pl.concat([c.videos.select("video_id", "user_id") for c in corpora])
    is_gone = pl.any_horizontal(pl.all().is_in(asked.codes))
    num_gone = posts.filter(is_gone).height
    if num_gone > _MOST * posts.height:
        raise DataError(
            "more than half of the posts would go, as if the file were the wrong one; "
            "--allow_most removes them. "
            f"Received: {num_gone} of {posts.height} posts"
        )


def _codes_of(line: str, pseudonymizer: Pseudonymizer) -> set[str]:
    """Returns all that a line may stand for."""
    if line.startswith("@"):
        return {pseudonymizer.handle(line[1:]), pseudonymizer.mention(line[1:])}
    if line.isdecimal():
        return {line, pseudonymizer.user(line)}
    return {pseudonymizer.sec_uid(line)}


def _present(codes: Collection[str], corpora: Sequence[Corpus]) -> set[str]:
    """Returns those of some codes that posts or ties hold anywhere."""
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
