"""What an audit says: findings, the checks they come from, and the report of both.

A check that ran and found nothing is visible, and one that could not run says why.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from dc_keras.escaping import escape_controls

Severity = Literal["leak", "fault", "warning"]

_SEVERITIES: tuple[Severity, ...] = ("leak", "fault", "warning")  # the worst first
_NUM_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or may be.

    Attributes:
        severity: "leak" (a model's input may know the label), "fault" (a file
            contradicts itself, the corpus or arithmetic) or "warning" (look at it).
        what: one line that says what is wrong, with its numbers and names.
        advice: one line that says what to do.
        where: everything concerned, by kind: `users`, `challenges`, `videos`, `folds`
            (ids and names), `rows` (of a published table).
    """

    severity: Severity
    what: str
    advice: str
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One check and what came of it.

    Attributes:
        name: what was looked for.
        subject: the file or study that was looked at.
        unit: what was counted, such as "pairs".
        num_checked: how many of them were looked at.
        findings: what was found.
        not_run: why the check could not run; None where it did.
    """

    name: str
    subject: str
    unit: str
    num_checked: int
    findings: tuple[Finding, ...] = ()
    not_run: str | None = None

    @classmethod
    def skipped(cls, name: str, subject: str, reason: str) -> Check:
        """Returns a check that could not run."""
        return cls(name, subject, "", 0, not_run=reason)


@dataclass(frozen=True)
class Report:
    """All checks of an audit, in order.

    Attributes:
        checks: those that ran, and those that could not.
    """

    checks: tuple[Check, ...]

    @property
    def is_sound(self) -> bool:
        """Whether there is neither a leak nor a fault; warnings are allowed."""
        severities = {f.severity for check in self.checks for f in check.findings}
        return severities <= {"warning"}

    def describe_findings(self, most: int) -> str:
        """Returns the findings as text, the worst first.

        Args:
            most: how many of each check to show; the others are counted.
        """
        lines = []
        for check in self.checks:
            ranked = sorted(check.findings, key=_rank)
            for finding in ranked[:most]:
                what = escape_controls(f"{check.subject}: {finding.what}")
                lines.append(f"{finding.severity}: {what}")
                lines.append(f"    {escape_controls(finding.advice)}")
            if len(ranked) > most:
                lines.append(f"    … and {len(ranked) - most} more of {check.name}")
        return "\n".join(lines)

    def describe_counts(self) -> str:
        """Returns a line a check: what was checked, and how much was found."""
        width = max((len(check.name) for check in self.checks), default=0)
        lines, subject = [], None
        for check in self.checks:
            if check.subject != subject:
                subject = check.subject
                lines.append(subject)
            lines.append(f"  {check.name:<{width}}  {_outcome(check)}")
        return "\n".join(lines)

    def describe_verdict(self) -> str:
        """Returns one line: what all checks found together."""
        findings = [finding for check in self.checks for finding in check.findings]
        num_skipped = sum(check.not_run is not None for check in self.checks)
        skipped = f", {num_skipped} of them not run" if num_skipped else ""
        return f"{len(self.checks)} checks{skipped}: found {_found(findings)}"

    def to_json(self) -> str:
        """Returns every check with every finding."""
        content = {
            "is_sound": self.is_sound,
            "checks": [asdict(check) for check in self.checks],
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def named(names: Iterable[str]) -> str:
    """Returns the first few of some names, sorted, and how many more there are."""
    ordered = sorted(set(names))
    text = ", ".join(ordered[:_NUM_NAMED])
    more = len(ordered) - _NUM_NAMED
    return f"{text} and {more} more" if more > 0 else text


def places(**kinds: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns the `where` of a finding: each kind sorted, empty kinds left out."""
    ordered = {kind: tuple(sorted(set(names))) for kind, names in kinds.items()}
    return {kind: names for kind, names in ordered.items() if names}


def _rank(finding: Finding) -> int:
    return _SEVERITIES.index(finding.severity)


def _outcome(check: Check) -> str:
    if check.not_run is not None:
        return f"not run: {check.not_run}"
    return f"checked {check.num_checked} {check.unit}, found {_found(check.findings)}"


def _found(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    kinds = [
        f"{counts[severity]} {severity}{'s' if counts[severity] > 1 else ''}"
        for severity in _SEVERITIES
        if counts[severity]
    ]
    return f"{len(findings)} ({', '.join(kinds)})" if kinds else "0"
