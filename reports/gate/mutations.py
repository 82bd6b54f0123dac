"""What the gate catches, and how often it is wrong: rebuilds README.md and pool.json here.

    python reports/gate/mutations.py

takes some five minutes on one core.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from faults import FAULTS, Fault
from stability_measurements import measured

from gradprobe.gate import Baseline, Comparison, FailOn, Measured, Verdict, compare, write_baseline
from gradprobe.gate.metric import Metric

HERE = Path(__file__).parent
POOL = HERE / "pool.json"
APPROVED, OTHERS, ALL = range(10), range(10, 20), range(60)
COMPARISONS = 200


def at(whole: Measured, seeds: list[int], model: str | None = None) -> Measured:
    """Return what was measured at some of the seeds, of all models or of one."""
    kept = [
        Metric.of(one.name, {seed: one.values[seed] for seed in seeds}, one.worse, one.tolerance)
        for one in whole.metrics
        if model is None or one.model == model
    ]
    return Measured(whole.study, whole.settings, tuple(sorted(seeds)), kept)


def false_alarms(pool: Measured, count: int) -> Counter[Verdict]:
    """Count the comparisons of sound results with others that found anything, by verdict."""
    generator = np.random.default_rng(1)
    found: Counter[Verdict] = Counter()
    for _ in range(count):
        seeds = [int(seed) for seed in generator.permutation(pool.seeds)[:20]]
        comparison = compare(Baseline.of(at(pool, seeds[:10])), at(pool, seeds[10:]))
        found.update({finding.verdict for finding in comparison.findings})
    return found


def caught(pool: Measured, fault: Fault) -> tuple[Comparison, Comparison]:
    """Return what is found of a fault at the approved seeds, and at other ones."""
    baseline = Baseline.of(at(pool, list(APPROVED), fault.model))
    return (
        compare(baseline, measured(APPROVED, [fault.model], fault)),
        compare(baseline, measured(OTHERS, [fault.model], fault)),
    )


def verdict(comparison: Comparison) -> str:
    """Return the worst verdict, and of how many metrics."""
    for worst in (Verdict.REGRESSION, Verdict.CHANGED, Verdict.IMPROVED, Verdict.NOT_COMPARABLE):
        if comparison.of(worst):
            return f"{worst.value}: {len(comparison.of(worst))} of {len(comparison.findings)}"
    return "—"


def main() -> None:
    """Measure, compare, and write the files."""
    torch.set_num_threads(1)
    pool = measured(ALL)
    write_baseline(Baseline.of(pool), POOL)
    rows, missed = [], []
    for fault in FAULTS:
        same, other = caught(pool, fault)
        if same.exit_code(FailOn.CHANGED) != 1:
            missed.append(fault)
        cells = (fault.model, fault.name, verdict(same), verdict(other))
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], file=sys.stderr)
    alarms = false_alarms(pool, COMPARISONS)
    text = TEXT.format(
        faults=len(FAULTS),
        caught=len(FAULTS) - len(missed),
        comparisons=COMPARISONS,
        regressions=alarms[Verdict.REGRESSION],
        changes=alarms[Verdict.CHANGED],
        improvements=alarms[Verdict.IMPROVED],
        metrics=len(pool.metrics),
        rows="\n".join(rows),
    )
    (HERE / "README.md").write_text(text, encoding="utf-8")


TEXT = """\
# What the gate catches, and how often it is wrong

Rebuilt by `python reports/gate/mutations.py`; the faults stand in [faults.py](faults.py), the study
is [studies/stability.toml](../../studies/stability.toml).

**{caught} of {faults} faults are caught at the approved seeds**, as a regression or as a change: at
the same seeds any difference shows.  At ten *other* seeds a fault must stand out from the noise
between seeds; one that leaves the distribution alone, such as a transposed matrix, cannot: "—".

**{comparisons} comparisons of sound results** at ten random seeds with ten others, out of 60, over
{metrics} metrics each, called {regressions} a regression, {changes} a change and {improvements} an
improvement.

| model | fault | approved seeds | other seeds |
| --- | --- | --- | --- |
{rows}
"""

if __name__ == "__main__":
    main()
