"""Ratios of running times on a noisy machine: interleave, repeat, take medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def compare(benchmark: Any, subject: Callable[[], Any], **others: Callable[[], Any]) -> Any:
    """Time `subject` beside `others`, in turn; record the ratios; return the subject's result.

    With benchmarks disabled (an ordinary test run) the subject is called once and nothing is timed.
    """
    if not benchmark.enabled:
        return benchmark.pedantic(subject, rounds=1)
    functions = {"subject": subject, **others}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(5):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name in others:
        benchmark.extra_info[f"times {name}"] = round(medians["subject"] / medians[name], 2)
    return benchmark.pedantic(subject, rounds=3)
