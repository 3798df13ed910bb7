"""Findings of an audit, its checks, and the report.

The report lists every check: those without findings, and those that could not run, with
the reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from dc_keras.escaping import escape_controls

Severity = Literal["leak", "fault", "warning"]

_SEVERITIES: tuple[Severity, ...] = ("leak", "fault", "warning")  # worst first
_NUM_NAMED = 5
_NUM_LISTED = 20


@dataclass(frozen=True)
class Finding:
    """A problem, or a possible problem, in the data.

    Attributes:
        severity: "leak" (a model's input may reveal the label), "fault" (a file
            contradicts itself, the corpus or arithmetic) or "warning" (to be checked by
            a person).
        what: one line that describes the problem, with numbers and names.
        advice: one line with the suggested action.
        where: the affected ids and names by kind: `users`, `challenges`, `videos`,
            `folds`, or `rows` of a published table.
    """

    severity: Severity
    what: str
    advice: str
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: name of the check.
        subject: the checked file or study.
        unit: the checked unit, such as "pairs".
        num_checked: number of checked units.
        findings: the findings.
        not_run: why the check could not run; None if it did.
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
    """The results of an audit.

    Attributes:
        checks: all checks, in order, including those that could not run.
    """

    checks: tuple[Check, ...]

    @property
    def is_sound(self) -> bool:
        """Whether there are no leaks and no faults; warnings are allowed."""
        severities = {f.severity for check in self.checks for f in check.findings}
        return severities <= {"warning"}

    def describe_findings(self) -> str:
        """Returns the findings as text, worst first.

        The first 20 of each check are listed, and the others are counted.
        """
        lines = []
        for check in self.checks:
            ranked = sorted(check.findings, key=_rank)
            for finding in ranked[:_NUM_LISTED]:
                what = escape_controls(f"{check.subject}: {finding.what}")
                lines.append(f"{finding.severity}: {what}")
                lines.append(f"    {escape_controls(finding.advice)}")
            if len(ranked) > _NUM_LISTED:
                more = len(ranked) - _NUM_LISTED
                lines.append(f"    … and {more} more of {check.name}")
        return "\n".join(lines)

    def describe_counts(self) -> str:
        """Returns one line per check with the numbers of units and findings."""
        width = max((len(check.name) for check in self.checks), default=0)
        lines, subject = [], None
        for check in self.checks:
            if check.subject != subject:
                subject = check.subject
                lines.append(subject)
            lines.append(f"  {check.name:<{width}}  {_outcome(check)}")
        return "\n".join(lines)

    def describe_verdict(self) -> str:
        """Returns one line with the numbers of checks and findings."""
        findings = [finding for check in self.checks for finding in check.findings]
        num_skipped = sum(check.not_run is not None for check in self.checks)
        skipped = f", {num_skipped} of them not run" if num_skipped else ""
        return f"{len(self.checks)} checks{skipped}: found {_count(findings)}"

    def to_json(self) -> str:
        """Returns all checks with all findings as JSON."""
        content = {
            "is_sound": self.is_sound,
            "checks": [asdict(check) for check in self.checks],
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def named(names: Iterable[str]) -> str:
    """Returns the first names in sorted order, and the number of the others."""
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
    return f"checked {check.num_checked} {check.unit}, found {_count(check.findings)}"


def _count(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    kinds = [
        f"{counts[severity]} {severity}{'s' if counts[severity] > 1 else ''}"
        for severity in _SEVERITIES
        if counts[severity]
    ]
    return f"{len(findings)} ({', '.join(kinds)})" if kinds else "0"
