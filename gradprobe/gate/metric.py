"""A metric: what a gate compares, with its value at every seed."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gradprobe.gate.directions import Worse

if TYPE_CHECKING:
    from collections.abc import Iterable

DIGITS = 9
"""Significant digits that a baseline keeps: far finer than any tolerance, coarser than rounding."""


class Name(NamedTuple):
    """What tells a metric from every other.

    Attributes
    ----------
    model, task, length, iteration, probe, quantity, matrix, block
        As in the columns of `gradprobe.frame`; None where that is missing.
    statistic
        How the one number was made of a probe's many: ``"largest, at the end"``, for example.

    Examples
    --------
    >>> print(Name("GRU", "digits", 8, 0, "singular_values", "log_sigma", "end_to_end", "state",
    ...            "largest, at the end"))
    GRU on digits, T = 8: singular_values log_sigma (end_to_end, state), largest, at the end
    """

    model: str | None
    task: str | None
    length: int | None
    iteration: int | None
    probe: str
    quantity: str
    matrix: str | None
    block: str | None
    statistic: str

    @property
    def place(self) -> str:
        """The model, and the task if there is one."""
        return place(self.model, self.task)

    @property
    def what(self) -> str:
        """The quantity, of which matrix, and how it was made one number."""
        of = ", ".join(part for part in (self.matrix, self.block) if part is not None)
        where = f" ({of})" if of else ""
        return f"{self.probe} {self.quantity}{where}, {self.statistic}"

    @property
    def when(self) -> str:
        """The length, and the iteration if the model was trained."""
        length = [] if self.length is None else [f"T = {self.length}"]
        return ", ".join(length + ([f"iteration {self.iteration}"] if self.iteration else []))

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.place, self.when) if part)
        return f"{where}: {self.what}"

    def order(self) -> tuple[Any, ...]:
        """Return what names are sorted by: missing parts first, numbers by size."""
        return tuple((part is not None, part) for part in self)


def place(model: str | None, task: str | None) -> str:
    """Return how a model on a task is called.

    Examples
    --------
    >>> place("GRU", "digits"), place(None, None)
    ('GRU on digits', 'the model')
    """
    name = "the model" if model is None else model
    return name if task is None else f"{name} on {task}"


def _number(value: object) -> object:
    """Accept JSON's numbers, and infinities as strings; nothing else stands for a number."""
    if value in {"-inf", "inf"} and isinstance(value, str):
        return float(value)
    if isinstance(value, bool | str):
        raise ValueError('must be a number, "-inf", "inf" or null')
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("must not be NaN")
    return value


Value = Annotated[float | None, BeforeValidator(_number)]
"""A value of a metric; None where it is not resolved."""


class Metric(BaseModel):
    """A metric with its value at every seed, its direction and its tolerance.

    Attributes
    ----------
    model, task, length, iteration, probe, quantity, matrix, block, statistic
        See `Name`.
    worse
        The direction in which it gets worse.
    tolerance
        The difference between two values that may have numerical reasons; see
        `gradprobe.gate.directions.differ`.
    median
        Of the resolved values; None if there are none.
    values
        By seed; None where the value is not resolved.

    Examples
    --------
    >>> metric = Metric.of(
    ...     Name("GRU", "digits", 8, 0, "condition", "log_condition", "end_to_end", "state", "end"),
    ...     {0: 1.0, 1: 3.00000000001, 2: None}, Worse.HIGHER, 1e-5,
    ... )
    >>> metric.median, metric.values
    (2.0, {0: 1.0, 1: 3.0, 2: None})
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None
    task: str | None
    length: int | None
    iteration: int | None
    probe: str
    quantity: str
    matrix: str | None
    block: str | None
    statistic: str
    worse: Worse
    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    median: Value
    values: Annotated[dict[int, Value], Field(min_length=1)]

    @model_validator(mode="after")
    def _median_of_the_values(self) -> Metric:
        if not _same(self.median, median(self.values.values())):
            raise ValueError("median is not that of values; the file was edited by hand")
        return self

    @classmethod
    def of(
        cls, name: Name, values: dict[int, float | None], worse: Worse, tolerance: float
    ) -> Metric:
        """Return a metric, its values rounded as a baseline keeps them.

        Parameters
        ----------
        name, values, worse, tolerance
            See the class.
        """
        kept = {seed: rounded(value) for seed, value in sorted(values.items())}
        return cls(
            **name._asdict(),
            worse=worse,
            tolerance=tolerance,
            median=rounded(median(kept.values())),
            values=kept,
        )

    @property
    def name(self) -> Name:
        """What tells it from every other."""
        return Name(*(getattr(self, field) for field in Name._fields))

    @property
    def resolved(self) -> dict[int, float]:
        """The resolved values by seed."""
        return {seed: value for seed, value in self.values.items() if value is not None}


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of those of `values` that are not None; None if all are.

    The lower of the middle two if one of them is infinite.

    Examples
    --------
    >>> median([3.0, None, 1.0]), median([None]), median([float("-inf"), float("inf")])
    (2.0, None, -inf)
    """
    resolved: list[float] = [value for value in values if value is not None]
    if not resolved:
        return None
    low, high = statistics.median_low(resolved), statistics.median_high(resolved)
    return low if math.isinf(low) or math.isinf(high) else (low + high) / 2


def rounded(value: float | None) -> float | None:
    """Return `value` with `DIGITS` significant digits.

    Examples
    --------
    >>> rounded(-123.45678912345), rounded(1e-300 / 3), rounded(float("-inf")), rounded(None)
    (-123.456789, 3.33333333e-301, -inf, None)
    """
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _same(stored: float | None, computed: float | None) -> bool:
    if stored is None or computed is None:
        return stored is computed
    return stored == computed or math.isclose(stored, computed, rel_tol=1e-7)
