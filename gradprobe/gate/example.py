"""A metric for the examples of this package."""

from __future__ import annotations

from gradprobe.gate.directions import Worse
from gradprobe.gate.metric import Metric, Name

NAME = Name(
    "GRU",
    "digits",
    8,
    0,
    "singular_values",
    "log_sigma",
    "end_to_end",
    "state",
    "largest, at the end",
)


def metric(
    values: dict[int, float | None], worse: Worse = Worse.FARTHER_FROM_ZERO, name: Name = NAME
) -> Metric:
    """Return a metric with some values.

    Parameters
    ----------
    values
        By seed.
    worse
        In which direction it gets worse.
    name
        What it is called.

    Examples
    --------
    >>> metric({0: -1.0}).median
    -1.0
    """
    return Metric.of(name, values, worse, 1e-5)
