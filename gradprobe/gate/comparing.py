"""Comparing results with a baseline: what stands in the way, then every metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.gate.findings import Comparison, Finding, Verdict
from gradprobe.gate.metric import place
from gradprobe.gate.noise import FEWEST, BetweenSeeds
from gradprobe.gate.paired import Paired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradprobe.gate.baseline import Baseline
    from gradprobe.gate.measured import Measured, Settings
    from gradprobe.gate.metric import Metric

    Obstacle = Callable[[Baseline, Measured], Iterator[str]]


def compare(baseline: Baseline, measured: Measured) -> Comparison:
    """Compare results with what was approved, metric by metric, as far as that is possible.

    Parameters
    ----------
    baseline
        What was approved.
    measured
        What is to be judged.

    Examples
    --------
    >>> from gradprobe import frame
    >>> from gradprobe.gate.baseline import Baseline
    >>> from gradprobe.gate.measured import Measured
    >>> approved, later = (
    ...     Measured.of_table(frame.rows(probe="training", quantity="test_loss", value=value))
    ...     for value in (1.0, 2.0)
    ... )
    >>> [finding.verdict.value for finding in compare(Baseline.of(approved), later).findings]
    ['unchanged', 'regression']
    """
    obstacles = [text for obstacle in OBSTACLES for text in obstacle(baseline, measured)]
    method = _method(baseline, measured)
    changed = set(_changed_settings(baseline.settings, measured.settings))
    known = {metric.name: metric for metric in measured.metrics}
    approved = [metric for metric in baseline.metrics if (metric.model, metric.task) not in changed]
    pairs = [(metric, known[metric.name]) for metric in approved if metric.name in known]
    found = [] if method is None else method.judge(pairs)
    found += [_absent(metric) for metric in approved if metric.name not in known]
    found += _new(baseline, measured, changed)
    return Comparison(
        findings=tuple(sorted(found, key=lambda finding: finding.name.order())),
        obstacles=tuple(obstacles),
        method="" if method is None else method.sentence,
    )


def _method(baseline: Baseline, measured: Measured) -> Paired | BetweenSeeds | None:
    """Return how the seeds at hand are compared; None if they cannot be."""
    old, new = set(baseline.seeds), set(measured.seeds)
    if old <= new:
        return Paired()
    if not old & new and min(len(old), len(new)) >= FEWEST:
        return BetweenSeeds()
    return None


def incomplete_results(baseline: Baseline, measured: Measured) -> Iterator[str]:
    """Yield what is missing from the results.

    Parameters
    ----------
    baseline, measured
        What is compared.
    """
    if not measured.metrics:
        yield "nothing was measured: the results hold no finished cell"
    yield from measured.gaps


def other_settings(baseline: Baseline, measured: Measured) -> Iterator[str]:
    """Yield the models and tasks of which the study is not the approved one.

    Parameters
    ----------
    baseline, measured
        What is compared.
    """
    for (model, task), reason in _changed_settings(baseline.settings, measured.settings).items():
        yield f"{place(model, task)}: {reason}"


def other_seeds(baseline: Baseline, measured: Measured) -> Iterator[str]:
    """Yield why the seeds cannot be compared, if they cannot.

    Parameters
    ----------
    baseline, measured
        What is compared.
    """
    if not measured.metrics or _method(baseline, measured) is not None:
        return
    old, new = set(baseline.seeds), set(measured.seeds)
    if old & new:
        absent = ", ".join(map(str, sorted(old - new)))
        yield (
            f"the results lack approved seeds ({absent}); seeds are compared either one by one, "
            "then all approved ones must be there, or all as others"
        )
    else:
        yield (
            f"the seeds are other ones, {len(old)} approved and {len(new)} measured; their noise "
            f"can be told at {FEWEST} or more on each side"
        )


OBSTACLES: tuple[Obstacle, ...] = (incomplete_results, other_settings, other_seeds)
"""What may stand in the way of a comparison: each yields sentences, or nothing."""


def _changed_settings(
    approved: Settings, measured: Settings
) -> dict[tuple[str | None, str | None], str]:
    old, new = _flat(approved), _flat(measured)
    changed: dict[tuple[str | None, str | None], str] = {}
    for key in sorted({*old, *new}):
        if key not in new:
            changed[key] = "was approved, but is not in the study that made the results"
        elif key not in old:
            changed[key] = "is in the study that made the results, but was not approved"
        elif old[key] != new[key]:
            changed[key] = (
                "its settings, or the version of what is stored, are not the approved ones"
            )
    return changed


def _flat(settings: Settings) -> dict[tuple[str, str], str]:
    return {(model, task): value for model, of in settings.items() for task, value in of.items()}


def _absent(metric: Metric) -> Finding:
    message = "was approved, but was not measured"
    return Finding(metric, Verdict.NOT_COMPARABLE, metric.median, None, message)


def _new(
    baseline: Baseline, measured: Measured, changed: set[tuple[str | None, str | None]]
) -> list[Finding]:
    names = {metric.name for metric in baseline.metrics}
    return [
        Finding(metric, Verdict.NOT_COMPARABLE, None, metric.median, "was never approved")
        for metric in measured.metrics
        if metric.name not in names and (metric.model, metric.task) not in changed
    ]
