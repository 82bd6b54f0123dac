"""JSON of a check, for keeping a history."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradprobe.gate.baseline import Baseline
    from gradprobe.gate.findings import Comparison, FailOn, Finding
    from gradprobe.gate.measured import Measured

FORMAT = 1


def history(comparison: Comparison, fail_on: FailOn, baseline: Baseline, measured: Measured) -> str:
    """Return all findings as JSON; infinities are strings, as in a baseline.

    Parameters
    ----------
    comparison, fail_on
        What was found, and what lets the check fail.
    baseline, measured
        What was compared.

    Examples
    --------
    >>> from gradprobe import frame
    >>> from gradprobe.gate import Baseline, FailOn, Measured, compare
    >>> one = Measured.of_table(frame.rows(probe="training", quantity="test_loss", value=1.0))
    >>> text = history(compare(Baseline.of(one), one), FailOn.REGRESSION, Baseline.of(one), one)
    >>> json.loads(text)["counts"]["unchanged"]
    2
    """
    content = {
        "format": FORMAT,
        "study": measured.study,
        "exit_code": comparison.exit_code(fail_on),
        "fail_on": fail_on.value,
        "answer": comparison.headline(fail_on),
        "counts": {verdict.value: count for verdict, count in comparison.counts().items()},
        "obstacles": list(comparison.obstacles),
        "method": comparison.method,
        "baseline": {"study": baseline.study, "hash": baseline.hash, "origin": baseline.origin},
        "measured": {"seeds": list(measured.seeds), "origin": measured.origin},
        "findings": [_finding(finding) for finding in comparison.findings],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        **finding.name._asdict(),
        "verdict": finding.verdict.value,
        "approved": _written(finding.approved),
        "measured": _written(finding.measured),
        "seed": finding.seed,
        "probability": finding.probability,
        "worse": finding.metric.worse.value,
        "tolerance": finding.metric.tolerance,
        "message": finding.message,
    }


def _written(value: float | None) -> float | str | None:
    return str(value) if value is not None and math.isinf(value) else value
