"""Keyed pseudonyms, which only the holder of the key can link to identities.

A pseudonym is an HMAC-SHA256 code; the key is stored outside the corpus. Each kind of
identity is hashed in its own domain, so a handle that looks like a user id does not
share its pseudonym.
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
    """Computes the pseudonyms of identities with one secret key of 32 bytes."""

    key: bytes = field(repr=False)
    # Copied for each code, because the key setup takes as long as the rest.
    _keyed: hmac.HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.key) != _KEY_BYTES:
            raise DataError(
                f"a pseudonym key must have {_KEY_BYTES} bytes. "
                f"Received: num_bytes={len(self.key)}"
            )
        object.__setattr__(self, "_keyed", hmac.new(self.key, digestmod="sha256"))

    def __reduce__(self) -> tuple[type[Pseudonymizer], tuple[bytes]]:
        return Pseudonymizer, (self.key,)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that identify the key and reveal nothing else about it."""
        return self._code("fingerprint", "", _FINGERPRINT_DIGITS)

    def require_key_of(self, corpus_dir: Path, fingerprint: str) -> None:
        """Raises `DataError` if a corpus was made with a key of another fingerprint."""
        if fingerprint != self.fingerprint:
            raise DataError(
                f"{corpus_dir}: the corpus was made with another pseudonym key, so "
                "pseudonyms would not match; use the key file it was made with. "
                f"Received: fingerprint={self.fingerprint}, "
                f"corpus fingerprint={fingerprint}"
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
        """Returns `u_` and the first 10 hex digits of the handle's pseudonym."""
        return mention_code(self.handle(handle))

    def forgotten(self, value: str) -> str:
        """Returns the fingerprint of a forgotten id or code, 32 hex digits.

        The list of fingerprints alone identifies nobody.
        """
        return self._code("forgotten", value, _PSEUDONYM_DIGITS)

    def _code(self, domain: str, value: str, digits: int) -> str:
        mac = self._keyed.copy()
        # Names of files and keys of records may have lone surrogates.
        mac.update(f"dc_keras/{domain}\0{value}".encode("utf-8", "surrogatepass"))
        return mac.hexdigest()[:digits]


def post_code(key_fingerprint: str, video_id: str) -> str:
    """Returns the code under which a model stores a post, 32 hex digits.

    Post ids are public, so a plain hash would reveal to anybody with the model which
    posts it was trained on. This hash is keyed with the fingerprint of the key of the
    corpus, which only the corpus contains.
    """
    text = f"dc_keras/post\0{video_id}".encode()
    mac = hmac.new(key_fingerprint.encode(), text, "sha256")
    return mac.hexdigest()[:_PSEUDONYM_DIGITS]


def mention_code(alias: str) -> str:
    """Returns the code of a mention from the pseudonym of the handle."""
    return f"u_{alias[:_MENTION_DIGITS]}"


def load_or_create_key(path: Path, *, corpus_dir: Path) -> bytes:
    """Reads the key file, or creates it with mode 0600 if it does not exist.

    The key, 64 hex digits, must lie outside of the corpus directory, because a copy of
    the corpus would otherwise include it.

    Raises:
        DataError: the file is a directory or lies inside the corpus, other users may
            read it, or its content is not a key.
    """
    path = path.expanduser()
    if path.resolve().is_relative_to(corpus_dir.expanduser().resolve()):
        raise DataError(
            "the key file must lie outside the corpus directory, because a copy of "
            f"the corpus would include the key. Received: key_file={path}"
        )
    if not path.exists():
        _create_key(path)
    if not path.is_file():
        raise DataError(f"the key file must be a file. Received: key_file={path}")
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
    # The mode is set before the content is written, so no other user can read it.
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(secrets.token_hex(_KEY_BYTES) + "\n", encoding="ascii")
