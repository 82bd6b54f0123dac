"""The gate: baselines of approved values, and checks of results against them.

Reads stored results only; torch is never imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.gate.baseline import Baseline as Baseline
    from gradprobe.gate.baseline import read_baseline as read_baseline
    from gradprobe.gate.baseline import write_baseline as write_baseline
    from gradprobe.gate.comparing import compare as compare
    from gradprobe.gate.findings import Comparison as Comparison
    from gradprobe.gate.findings import FailOn as FailOn
    from gradprobe.gate.findings import Finding as Finding
    from gradprobe.gate.findings import Verdict as Verdict
    from gradprobe.gate.measured import Measured as Measured
    from gradprobe.gate.measured import read_measured as read_measured

_PLACES = {
    "Baseline": "gradprobe.gate.baseline",
    "Comparison": "gradprobe.gate.findings",
    "FailOn": "gradprobe.gate.findings",
    "Finding": "gradprobe.gate.findings",
    "Measured": "gradprobe.gate.measured",
    "Verdict": "gradprobe.gate.findings",
    "compare": "gradprobe.gate.comparing",
    "read_baseline": "gradprobe.gate.baseline",
    "read_measured": "gradprobe.gate.measured",
    "write_baseline": "gradprobe.gate.baseline",
}

__all__ = [
    "Baseline",
    "Comparison",
    "FailOn",
    "Finding",
    "Measured",
    "Verdict",
    "compare",
    "read_baseline",
    "read_measured",
    "write_baseline",
]

__getattr__ = lazy_names(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted(__all__)
