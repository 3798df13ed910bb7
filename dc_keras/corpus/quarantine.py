"""What an import could not read: one line each in quarantine.jsonl, never twice.

A line names the file, the position, the reason, the record's top-level keys and a
sha256 of its content. The content itself is people's data that no pseudonym covers, so
it is kept only on request; the position leads back to it in the export.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dc_keras.corpus.store import write_text
from dc_keras.errors import DataError

QUARANTINE_FILE = "quarantine.jsonl"


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that was not imported.

    Attributes:
        file: name of the export file, without directories.
        position: where in the file.
        reason: why, in words that repeat nothing of the content.
        sha256: hex, of the raw bytes or of the record's canonical JSON.
        keys: top-level keys of the record, sorted; empty where it is no object, or
            a table of objects.
        raw: the content, only on request.
    """

    file: str
    position: str
    reason: str
    sha256: str
    keys: tuple[str, ...]
    raw: str | None = None

    @classmethod
    def of(
        cls,
        content: Any,
        *,
        file: str,
        position: str,
        reason: str,
        keep_raw: bool,
    ) -> Rejected:
        """Describes a rejected record.

        Args:
            content: the raw bytes, or the parsed record.
            file: name of the export file.
            position: where in the file.
            reason: why it was rejected.
            keep_raw: whether to keep the content.
        """
        data = content if isinstance(content, bytes) else _canonical_json(content)
        return cls(
            file=file,
            position=position,
            reason=reason,
            sha256=hashlib.sha256(data).hexdigest(),
            keys=_field_names(content),
            raw=data.decode("utf-8", "replace") if keep_raw else None,
        )

    def to_json(self) -> str:
        """Returns the line for quarantine.jsonl, without its end."""
        entry: dict[str, Any] = {
            "file": self.file,
            "position": self.position,
            "reason": self.reason,
            "sha256": self.sha256,
            "keys": self.keys,
        }
        if self.raw is not None:
            entry["raw"] = self.raw
        return json.dumps(entry)


def append_rejected(directory: Path, rejected: Iterable[Rejected]) -> int:
    """Adds what is not there yet to quarantine.jsonl.

    Args:
        directory: the corpus directory.
        rejected: what this import rejected.

    Returns:
        The number of lines after it.

    Raises:
        DataError: the file that is there is not a quarantine file.
    """
    path = directory / QUARANTINE_FILE
    # Split at line ends only: JSON escapes every other kind of line break.
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = {_key(path, line): line for line in text.split("\n") if line}
    for entry in rejected:
        line = entry.to_json()
        lines.setdefault(_key(path, line), line)
    if lines:
        write_text(path, "".join(f"{line}\n" for line in lines.values()))
    return len(lines)


def _key(path: Path, line: str) -> tuple[str, str, str, str]:
    try:
        entry = json.loads(line)
        return entry["file"], entry["position"], entry["reason"], entry["sha256"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: every line must be a quarantine entry; move the file away and "
            f"import again. Received: {error!r}"
        ) from error


def _field_names(content: Any) -> tuple[str, ...]:
    if not isinstance(content, dict):
        return ()
    # An object of nothing but objects is a table, keyed by handles as likely as not.
    is_table = all(isinstance(value, dict) for value in content.values())
    return () if is_table else tuple(sorted(content))


def _canonical_json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
