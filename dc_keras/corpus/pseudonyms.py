"""Keyed pseudonyms: a code stands for who posted, and only the key links the two.

HMAC-SHA256 under a key that lives outside the corpus. Each kind of identity has its own
domain, so that a handle that looks like a user id does not share its pseudonym.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from dc_keras.errors import DataError

DEFAULT_KEY_FILE = "~/.config/dc_keras/pseudonym.key"

_KEY_BYTES = 32
_PSEUDONYM_DIGITS = 32
_MENTION_DIGITS = 10
_FINGERPRINT_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Pseudonymizer:
    """Turns identities into pseudonyms under one secret key.

    Attributes:
        key: 32 secret bytes; never shown.

    Raises:
        DataError: the key has another length.
    """

    key: bytes = field(repr=False)
    # Copied for each code: beginning with the key takes as long as all that follows.
    _keyed: hmac.HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.key) != _KEY_BYTES:
            raise DataError(
                f"a pseudonym key must have {_KEY_BYTES} bytes. "
                f"Received: num_bytes={len(self.key)}"
            )
        object.__setattr__(self, "_keyed", hmac.new(self.key, digestmod="sha256"))

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell two keys apart and nothing else about them."""
        return self._code("fingerprint", "", _FINGERPRINT_DIGITS)

    def require_key_of(self, corpus_dir: Path, fingerprint: str) -> None:
        """Refuses a corpus that was made with another key.

        Args:
            corpus_dir: the corpus, for the message.
            fingerprint: of the key that it was made with.

        Raises:
            DataError: it is another one than this key's.
        """
        if fingerprint != self.fingerprint:
            raise DataError(
                f"{corpus_dir}: made with another pseudonym key, under which a person "
                "would be someone else; give the key file it was made with. Received: "
                f"fingerprint={self.fingerprint}, corpus fingerprint={fingerprint}"
            )

    def user(self, user_id: str) -> str:
        """Returns the pseudonym of a platform user id, 32 hex digits."""
        return self._code("user", user_id, _PSEUDONYM_DIGITS)

    def handle(self, handle: str) -> str:
        """Returns the pseudonym of a handle in any letter case, 32 hex digits."""
        return self._code("handle", handle.lower(), _PSEUDONYM_DIGITS)

    def sec_uid(self, sec_uid: str) -> str:
        """Returns the pseudonym of a secUid, 32 hex digits."""
        return self._code("sec_uid", sec_uid, _PSEUDONYM_DIGITS)

    def mention(self, handle: str) -> str:
        """Returns `u_` and the first 10 hex digits of the handle's pseudonym.

        Short enough for a caption, and still found among a user's aliases.
        """
        return mention_code(self.handle(handle))

    def forgotten(self, value: str) -> str:
        """Returns the fingerprint of who or what is forgotten, 32 hex digits.

        Args:
            value: an id or a code. Whoever has it and the key can ask a list of
                fingerprints for it; the list alone names nobody.
        """
        return self._code("forgotten", value, _PSEUDONYM_DIGITS)

    def _code(self, domain: str, value: str, digits: int) -> str:
        mac = self._keyed.copy()
        mac.update(f"dc_keras/{domain}\0{value}".encode())
        return mac.hexdigest()[:digits]


def post_code(key_fingerprint: str, video_id: str) -> str:
    """Returns the code under which a model remembers a post, 32 hex digits.

    Post ids are public, so a plain hash would tell whoever has the model which posts it
    was made from. This one is keyed with what only the corpus knows.

    Args:
        key_fingerprint: of the corpus's pseudonyms (`Pseudonymizer.fingerprint`).
        video_id: the id of the post.
    """
    text = f"dc_keras/post\0{video_id}".encode()
    mac = hmac.new(key_fingerprint.encode(), text, "sha256")
    return mac.hexdigest()[:_PSEUDONYM_DIGITS]


def mention_code(alias: str) -> str:
    """Returns the code of a mention, by the pseudonym of the handle."""
    return f"u_{alias[:_MENTION_DIGITS]}"


def load_or_create_key(path: Path, *, corpus_dir: Path) -> bytes:
    """Reads the key file, or makes it (mode 0600) where there is none.

    Args:
        path: the key file: 64 hex digits.
        corpus_dir: the corpus that the key is for; it may not hold its own key,
            because whoever copies the corpus would copy the key with it.

    Returns:
        The key, 32 bytes.

    Raises:
        DataError: the file lies inside the corpus, others may read it, or it is not a
            key.
    """
    path = path.expanduser()
    if path.resolve().is_relative_to(corpus_dir.expanduser().resolve()):
        raise DataError(
            "the key file must lie outside the corpus directory, or a copy of the "
            f"corpus takes the key along. Received: key_file={path}"
        )
    if not path.exists():
        _create_key(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise DataError(
            f"the key file must be readable by its owner only; run `chmod 600 {path}`. "
            f"Received: mode={mode:04o}"
        )
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise DataError(
            f"a key file must hold {2 * _KEY_BYTES} hex digits and nothing else. "
            f"Received: key_file={path}"
        )
    return key


def _create_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Created closed, then written: at no moment may another user read it.
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(secrets.token_hex(_KEY_BYTES) + "\n", encoding="ascii")
