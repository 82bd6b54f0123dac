"""What a check finds: a verdict for each metric, obstacles to comparing, and an exit code."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradprobe.gate.metric import Metric, Name

PASSED = 0
FAILED = 1
NOT_COMPARABLE = 3


class Verdict(enum.StrEnum):
    """What became of a metric, worst first."""

    REGRESSION = "regression"
    CHANGED = "changed"
    NOT_COMPARABLE = "not comparable"
    IMPROVED = "improved"
    UNRESOLVED = "unresolved"
    UNCHANGED = "unchanged"


class FailOn(enum.StrEnum):
    """What lets a check fail."""

    REGRESSION = "regression"
    CHANGED = "changed"

    def fails(self, verdict: Verdict) -> bool:
        """Return whether a metric of this verdict lets the check fail.

        Parameters
        ----------
        verdict
            Of a metric.

        Examples
        --------
        >>> FailOn.REGRESSION.fails(Verdict.CHANGED), FailOn.CHANGED.fails(Verdict.CHANGED)
        (False, True)
        """
        changed = self is FailOn.CHANGED and verdict is Verdict.CHANGED
        return changed or verdict is Verdict.REGRESSION


@dataclass(frozen=True)
class Finding:
    """What became of one metric.

    Attributes
    ----------
    metric
        The approved metric; the measured one where nothing is approved.
    verdict
        What became of it.
    approved, measured
        What is compared: values at the seed that is worst off, or medians over seeds.
    message
        How it differs, where, and by how much, in a sentence.
    seed
        The seed that is worst off; None where seeds are not compared one by one.
    probability
        Of such a difference among all metrics if nothing had changed; None where seeds are compared
        one by one.
    """

    metric: Metric
    verdict: Verdict
    approved: float | None
    measured: float | None
    message: str
    seed: int | None = None
    probability: float | None = None

    @property
    def name(self) -> Name:
        """What the metric is called."""
        return self.metric.name


@dataclass(frozen=True)
class Comparison:
    """All that a check found.

    Attributes
    ----------
    findings
        One for each metric, in the order of their names.
    obstacles
        Why results and baseline cannot be compared, or not in full, a sentence each.
    method
        How seeds were compared, a sentence; empty if they were not.
    """

    findings: tuple[Finding, ...]
    obstacles: tuple[str, ...]
    method: str

    def of(self, verdict: Verdict) -> list[Finding]:
        """Return the findings of a verdict.

        Parameters
        ----------
        verdict
            Which.
        """
        return [finding for finding in self.findings if finding.verdict is verdict]

    def counts(self) -> dict[Verdict, int]:
        """Return how many metrics have each verdict, worst first."""
        counted = Counter(finding.verdict for finding in self.findings)
        return {verdict: counted[verdict] for verdict in Verdict}

    def failures(self, fail_on: FailOn) -> list[Finding]:
        """Return the findings that let the check fail.

        Parameters
        ----------
        fail_on
            What lets it fail.
        """
        return [finding for finding in self.findings if fail_on.fails(finding.verdict)]

    def exit_code(self, fail_on: FailOn) -> int:
        """Return 0, or 1 if the check fails, or 3 if something or everything is not comparable.

        Parameters
        ----------
        fail_on
            What lets it fail.

        Examples
        --------
        >>> Comparison((), (), "").exit_code(FailOn.REGRESSION)
        3
        """
        if self.failures(fail_on):
            return FAILED
        judged = (Verdict.UNCHANGED, Verdict.IMPROVED, Verdict.CHANGED)
        nothing = not any(finding.verdict in judged for finding in self.findings)
        if nothing or self.obstacles or self.of(Verdict.NOT_COMPARABLE):
            return NOT_COMPARABLE
        return PASSED

    def headline(self, fail_on: FailOn) -> str:
        """Return the answer in a sentence.

        Parameters
        ----------
        fail_on
            What lets it fail.

        Examples
        --------
        >>> Comparison((), (), "").headline(FailOn.REGRESSION)
        'NOT COMPARABLE: nothing was compared'
        """
        words = {PASSED: "PASSED", FAILED: "FAILED", NOT_COMPARABLE: "NOT COMPARABLE"}
        counts = [f"{count} {verdict}" for verdict, count in self.counts().items() if count]
        return f"{words[self.exit_code(fail_on)]}: {', '.join(counts) or 'nothing was compared'}"
