"""The journal of a removal, which makes it restartable.

It is stored in the list of removed people of each corpus, before anything is removed. A
removal that was interrupted is completed from it: requests that were found before count
as found, and its artifacts are processed again, even if they can no longer be
recognised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dc_keras.privacy.artifacts import Artifact, FoundArtifacts
from dc_keras.privacy.removal_requests import RemovalRequests


@dataclass(frozen=True)
class Journal:
    """A removal that was started.

    Attributes:
        requests: for the keyed fingerprint of each request, whether a corpus had it.
        artifacts: the artifacts to process.
        trained_on_forgotten: models that were trained on removed data.
    """

    requests: Mapping[str, bool]
    artifacts: tuple[Artifact, ...]
    trained_on_forgotten: tuple[Path, ...]

    @classmethod
    def of(cls, contents: Iterable[Mapping[str, Any]]) -> Journal:
        """Merges the journals of several corpora."""
        requests: dict[str, bool] = {}
        artifacts: dict[Artifact, None] = {}
        trained: dict[Path, None] = {}
        for content in contents:
            for fingerprint, was_found in content.get("requests", {}).items():
                requests[fingerprint] = requests.get(fingerprint, False) or was_found
            for path, kind in content.get("artifacts", ()):
                artifacts[Artifact(Path(path), kind)] = None
            trained |= dict.fromkeys(map(Path, content.get("trained", ())))
        return cls(requests, tuple(artifacts), tuple(trained))

    def to_json(self) -> dict[str, Any]:
        """Returns JSON values, which `of` reads."""
        return {
            "requests": dict(self.requests),
            "artifacts": [
                [str(item.path.resolve()), item.kind] for item in self.artifacts
            ],
            "trained": [str(path) for path in self.trained_on_forgotten],
        }

    def merge_artifacts(self, found: FoundArtifacts) -> FoundArtifacts:
        """Returns artifacts together with the unfinished ones of this removal."""
        known = {item.path.resolve() for item in found.artifacts}
        rest = [
            item
            for item in self.artifacts
            if item.path.exists() and item.path not in known
        ]
        return replace(found, artifacts=(*found.artifacts, *rest))

    def merge_requests(self, requested: RemovalRequests) -> RemovalRequests:
        """Returns requests, with those that were found before marked as found."""
        names = {**self.requests, **requested.requests}
        found = {name: names[name] or self.requests.get(name, False) for name in names}
        return replace(
            requested,
            requests=found,
            missing={
                line: fingerprint
                for line, fingerprint in requested.missing.items()
                if not found[fingerprint]
            },
        )
