"""The people and posts that a corpus has forgotten, as a list that identifies nobody.

`forgotten.json` holds keyed fingerprints of ids and codes: of posts, of their authors,
and of the authors' handles and mentions. The list is written before anything is
removed, so an interrupted removal can be completed from the list alone. It is kept
afterwards, so later imports do not restore forgotten data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from dc_keras.corpus.pseudonyms import Pseudonymizer, mention_code, post_code
from dc_keras.corpus.records import Edge, User
from dc_keras.corpus.store import write_sealed
from dc_keras.errors import DataError

FORGOTTEN_FILE = "forgotten.json"
FORGOTTEN = "u_forgotten"
_VERSION = 1

# A mention, a pseudonym or an id, as a whole word. Numbers of fewer than six digits are
# common in ordinary text and are not ids.
_CODE = re.compile(
    r"(?<![0-9A-Za-z_])(?:u_[0-9a-f]{10}|[0-9a-f]{32}|[0-9]{6,19})(?![0-9A-Za-z_])"
)
# The places where raw content can name a person: mentions, and string values.
_NAME = re.compile(r'[@＠]([\w.]*\w)|"([\w.-]+)"(?!\s*:)')
_TEXTS = ("caption", "music_title", "transcript")
_OTHER_POSTS = ("duet_of", "stitch_of")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The list of forgotten ids and codes.

    Attributes:
        pseudonymizer: computes the fingerprints; holds the key.
        fingerprints: fingerprints of the forgotten ids and codes.
        journal: remaining work of a removal that is running or was interrupted, as
            plain values of `privacy.journal`; None if there is none.
    """

    pseudonymizer: Pseudonymizer
    fingerprints: frozenset[str] = frozenset()
    journal: Mapping[str, Any] | None = None

    @property
    def is_finished(self) -> bool:
        """False while a removal is running or after it was interrupted."""
        return self.journal is None

    @classmethod
    def load(cls, corpus_dir: Path, pseudonymizer: Pseudonymizer) -> Forgotten:
        """Reads the list of a corpus, which may have none.

        Raises:
            DataError: the file is not a valid list, or it was made with another key.
        """
        path = corpus_dir / FORGOTTEN_FILE
        if not path.exists():
            return cls(pseudonymizer)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            version, key = content["version"], content["key_fingerprint"]
            fingerprints = frozenset(content["fingerprints"])
            journal = None if content["finished"] else content.get("journal", {})
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{path}: not a valid list of forgotten ids; restore it from a backup. "
                f"Received: {error!r}"
            ) from error
        if version != _VERSION:
            raise DataError(
                f"{path}: `version` must be {_VERSION}. Received: version={version!r}"
            )
        pseudonymizer.require_key_of(corpus_dir, key)
        return cls(pseudonymizer, fingerprints, journal)

    def save(self, corpus_dir: Path) -> None:
        """Writes the list to a corpus directory."""
        content: dict[str, Any] = {
            "version": _VERSION,
            "key_fingerprint": self.pseudonymizer.fingerprint,
            "finished": self.is_finished,
            "fingerprints": sorted(self.fingerprints),
        }
        if self.journal is not None:
            content["journal"] = self.journal
        text = json.dumps(content, indent=2) + "\n"
        write_sealed(corpus_dir / FORGOTTEN_FILE, text, seals=True)

    def with_codes(self, codes: Iterable[str]) -> Forgotten:
        """Returns the list with further ids and codes.

        The code under which models store a post is added together with the id.
        """
        added = set(codes)
        key = self.pseudonymizer.fingerprint
        added |= {post_code(key, code) for code in added if code.isdecimal()}
        fingerprints = map(self.pseudonymizer.forgotten, added)
        return replace(self, fingerprints=self.fingerprints.union(fingerprints))

    def with_people(self, users: Iterable[User]) -> Forgotten:
        """Returns the list with all codes of those users who are on it.

        A person who was added by handle is then also recognised by numeric id. Codes
        that other people share are not added, because they are ambiguous.
        """
        if not self.fingerprints:
            return self
        gone: set[str] = set()
        others: list[User] = []
        for user in users:
            if self.among((user.user_id, *user.aliases, *user.sec_uids)):
                gone |= codes_of(user)
            else:
                others.append(user)
        shared = gone.intersection(code for user in others for code in codes_of(user))
        return self.with_codes(gone - shared)

    def has(self, code: str) -> bool:
        """Whether the id of a post, a pseudonym or a mention is on the list."""
        if not self.fingerprints:  # nearly every corpus
            return False
        return self.pseudonymizer.forgotten(code) in self.fingerprints

    def among(self, values: Iterable[str | None]) -> list[str]:
        """Returns the values that are on the list, each once, in order."""
        found = dict.fromkeys(v for v in values if v is not None)
        return [value for value in found if self.has(value)]

    def has_edge(self, edge: Edge) -> bool:
        """Whether an edge starts at, leads to, passes or names a forgotten id."""
        ends = (edge.user_id, edge.target_id, edge.video_id)
        return bool(self.among(ends)) or self.scrub(edge.target_id) != edge.target_id

    def scrub(self, text: str) -> str:
        """Returns the text with every forgotten code replaced by `u_forgotten`."""
        if not self.fingerprints:
            return text
        return _CODE.sub(lambda m: FORGOTTEN if self.has(m[0]) else m[0], text)

    def names_any(self, rejected: Mapping[str, Any]) -> bool:
        """Whether an entry of quarantine.jsonl names a forgotten person or post."""
        if not self.fingerprints:
            return False
        raw = rejected.get("raw") or ""
        places = (rejected["file"], rejected["position"], *rejected["keys"], raw)
        words = set(_CODE.findall("\n".join(places)))
        words.update(handle or value for handle, value in _NAME.findall(raw))
        return any(map(self.has_name, words))

    def has_name(self, word: str) -> bool:
        """Whether a code, or an id, handle or secUid in the clear, is forgotten."""
        code = self.pseudonymizer
        kinds = (code.user, code.handle, code.sec_uid)
        return self.has(word) or any(self.has(kind(word)) for kind in kinds)

    def filter_videos(self, videos: pl.DataFrame) -> pl.DataFrame:
        """Returns the posts that are not forgotten, without references to such posts.

        Args:
            videos: table with the fields of `records.Video`, and possibly others.
        """
        if not self.fingerprints:
            return videos
        kept = self.drop_rows(videos, ("video_id", "user_id"))
        codes = self.among(kept["mentions"].explode())
        others = {name: self.among(kept[name]) for name in _OTHER_POSTS}
        return kept.with_columns(
            pl.col("mentions").list.filter(~pl.element().is_in(codes)),
            *(
                pl.when(pl.col(name).is_in(ids)).then(None).otherwise(name).alias(name)
                for name, ids in others.items()
            ),
            *(pl.Series(name, self._scrubbed(kept[name])) for name in _TEXTS),
        )

    def filter_edges(self, edges: pl.DataFrame) -> pl.DataFrame:
        """Returns the edges, fields of `records.Edge`, that do not match `has_edge`."""
        kept = self.drop_rows(edges, ("user_id", "target_id", "video_id"))
        # The title of a sound may name a person.
        return kept.filter(kept["target_id"] == self._scrubbed(kept["target_id"]))

    def drop_rows(self, table: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
        """Returns the rows without forgotten ids in the given columns."""
        for column in columns:
            gone = self.among(table[column].unique())
            if gone:
                is_gone = pl.col(column).is_in(gone).fill_null(value=False)
                table = table.filter(~is_gone)
        return table

    def _scrubbed(self, texts: pl.Series) -> pl.Series:
        scrubbed = (None if text is None else self.scrub(text) for text in texts)
        return pl.Series(list(scrubbed), dtype=pl.String)


def codes_of(user: User) -> set[str]:
    """Returns all codes of a person: pseudonyms, and the codes of mentions."""
    mentions = map(mention_code, user.aliases)
    return {user.user_id, *user.aliases, *user.sec_uids, *mentions}
