"""The receipt of a removal: requests and removed data, without identities."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dc_keras.corpus.store import write_sealed
from dc_keras.privacy.removal_requests import RemovalRequests

_VERSION = 1


@dataclass
class Receipt:
    """The record of a removal, filled while it runs.

    Attributes:
        rule: meaning of the lines of the input file: "ids", "valid video" or "valid
            user".
        requested: the requests.
        key_fingerprint: fingerprint of the key of the requests' fingerprints.
        is_resumed: whether an earlier run of the removal was interrupted.
        time: time of the removal, UTC.
        removed: path and kind of each artifact, and the numbers of removed items.
        trained_on_forgotten: models to retrain or delete.
        outdated: tables that no longer match the predictions next to them.
    """

    rule: str
    requested: RemovalRequests
    key_fingerprint: str
    is_resumed: bool = False
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    removed: list[tuple[Path, str, Counter[str]]] = field(default_factory=list)
    trained_on_forgotten: Sequence[Path] = ()
    outdated: list[Path] = field(default_factory=list)

    @property
    def has_changes(self) -> bool:
        """Whether anything was removed."""
        return any(counts.total() for _, _, counts in self.removed)

    def add(self, place: Path, kind: str, counts: Counter[str]) -> None:
        """Adds the numbers of removed items of an artifact."""
        self.removed.append((place, kind, +counts))
        has_tables = kind == "evaluation" and (place / "tables").is_dir()
        # An earlier run may have been interrupted after it removed the rows.
        if has_tables and (counts.total() or self.is_resumed):
            self.outdated.append(place / "tables")

    def path_in(self, directory: Path) -> Path:
        """Returns the default path of the receipt in a directory."""
        return directory / f"forget-receipt-{self.time:%Y%m%dT%H%M%SZ}.json"

    def write(self, path: Path) -> None:
        """Writes the receipt."""
        content: dict[str, Any] = {
            "version": _VERSION,
            "time": f"{self.time:%Y-%m-%dT%H:%M:%SZ}",
            "rule": self.rule,
            "key_fingerprint": self.key_fingerprint,
            "requests": [
                {"fingerprint": fingerprint, "found": found}
                for fingerprint, found in self.requested.requests.items()
            ],
            "removed": [
                {"path": str(place), "kind": kind, **dict(sorted(counts.items()))}
                for place, kind, counts in self.removed
            ],
            "trained_on_forgotten": [str(place) for place in self.trained_on_forgotten],
            "outdated": [str(place) for place in self.outdated],
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_sealed(path, text)
