"""What a removal has to do, kept until it is done.

It lies in the list of the forgotten, in each corpus, and is written before anything is
removed. A run that was stopped is completed from it: the requests that were found then
count as found, and what it was to be taken out of is looked through again, even where
so much of it is gone that nothing else tells what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dc_keras.privacy.artifacts import Artifact, Found
from dc_keras.privacy.removal_requests import Asked


@dataclass(frozen=True)
class Journal:
    """A removal that was begun.

    Attributes:
        requests: keyed fingerprint of each request → whether a corpus had it.
        artifacts: what it takes the forgotten out of.
        trained_on_forgotten: models that had seen what goes.
    """

    requests: Mapping[str, bool]
    artifacts: tuple[Artifact, ...]
    trained_on_forgotten: tuple[Path, ...]

    @classmethod
    def of(cls, contents: Iterable[Mapping[str, Any]]) -> Journal:
        """Returns what several corpora have noted, together."""
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
        """Returns plain values; `of` reads them."""
        return {
            "requests": dict(self.requests),
            "artifacts": [
                [str(item.path.resolve()), item.kind] for item in self.artifacts
            ],
            "trained": [str(path) for path in self.trained_on_forgotten],
        }

    def add_to_found(self, found: Found) -> Found:
        """Returns what lies in directories, with what this removal has not finished."""
        known = {item.path.resolve() for item in found.artifacts}
        rest = [
            item
            for item in self.artifacts
            if item.path.exists() and item.path not in known
        ]
        return replace(found, artifacts=(*found.artifacts, *rest))

    def add_to_asked(self, asked: Asked) -> Asked:
        """Returns what is asked, where what was found then counts as found."""
        names = {**self.requests, **asked.requests}
        found = {name: names[name] or self.requests.get(name, False) for name in names}
        return replace(
            asked,
            requests=found,
            missing={
                line: fingerprint
                for line, fingerprint in asked.missing.items()
                if not found[fingerprint]
            },
        )
