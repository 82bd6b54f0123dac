"""Ratios of running times on a noisy machine: interleave, repeat, take medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

ROUNDS = 5


def compare(
    benchmark: Any,
    subject: Callable[[], Any],
    *,
    bars: Mapping[str, float] | None = None,
    rounds: int = ROUNDS,
    **others: Callable[[], Any],
) -> Any:
    """Time `subject` beside `others`, in turn; record the ratios; return the subject's result.

    With benchmarks disabled (an ordinary test run) the subject is called once and nothing is timed.

    Parameters
    ----------
    benchmark
        The fixture of pytest-benchmark.  Its ``extra_info`` receives ``times <other>``, the ratio;
        ``seconds``, the medians by name; ``bars``.
    subject
        What is judged.
    bars
        By the name of an other: the largest ratio that was aimed at.  Recorded, never asserted.
    rounds
        How often each function is timed, after a first call that is not.
    **others
        What it is compared with.
    """
    if not benchmark.enabled:
        return benchmark.pedantic(subject, rounds=1)
    functions = {"subject": subject, **others}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            seconds[name].append(_processor_seconds(function))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name in others:
        benchmark.extra_info[f"times {name}"] = round(medians["subject"] / medians[name], 2)
    benchmark.extra_info.update(seconds=medians, bars=dict(bars or {}))
    return benchmark.pedantic(subject, rounds=1)


def _processor_seconds(function: Callable[[], Any]) -> float:
    """Return the time of this process alone, whatever the others on the machine do."""
    start = time.process_time()
    function()
    return time.process_time() - start
