"""Which way a quantity gets worse, and from which difference on two of its values differ."""

from __future__ import annotations

import enum
import math


class Worse(enum.StrEnum):
    """In which direction a metric gets worse; stored with each metric of a baseline."""

    FARTHER_FROM_ZERO = "farther from 0"
    FARTHER_FROM_ONE = "farther from 1"
    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"

    def badness(self, value: float) -> float:
        """Return a number that grows as `value` gets worse; `value` itself where nothing is worse.

        Parameters
        ----------
        value
            Of the metric; may be infinite.

        Examples
        --------
        >>> [direction.badness(-3.0) for direction in Worse]
        [3.0, 4.0, -3.0, 3.0, -3.0]
        >>> Worse.FARTHER_FROM_ZERO.badness(float("-inf"))
        inf
        """
        if self is Worse.FARTHER_FROM_ZERO:
            return abs(value)
        if self is Worse.FARTHER_FROM_ONE:
            return abs(value - 1.0)
        return -value if self is Worse.LOWER else value


_LOGARITHMS = frozenset(
    {
        "log_sigma",
        "log_norm_fro",
        "log_norm_spectral",
        "log_growth",
        "log_modulus",
        "lyapunov_exponent",
    }
)
_HIGHER = frozenset(
    {
        "log_condition",
        "departure_from_normality",
        "relative_departure_from_normality",
        "saturation",
        "saturated_fraction",
        "train_loss",
        "validation_loss",
        "test_loss",
        "validation_mean_squared_error",
        "test_mean_squared_error",
    }
)
_LOWER = frozenset(
    {
        "effective_rank",
        "stable_rank",
        "validation_accuracy",
        "test_accuracy",
        "diverged_at",
    }
)
_REAL_PARTS = frozenset({"real", "real_max", "real_mean"})
_OF_ONE_STEP = frozenset({"step", "step_minus_identity"})

EXACT = 1e-5
"""Ten times the largest error that counts as resolved in float64: room for another machine."""
SINGLE = 1e-3
TRAINED = 1e-2
"""Training magnifies rounding: on another machine the same seed ends close by, not there."""


def worse(quantity: str, matrix: str | None) -> Worse:
    """Return in which direction a quantity gets worse.

    A logarithm of a norm, a singular value or a modulus gets worse away from 0, where gradients
    neither vanish nor explode; so do real parts of eigenvalues of a vector field.  The moduli of
    the eigenvalues of J_t get worse away from 1, accuracies downwards, losses upwards.  What is
    good or bad only for some models, such as a gate's mean, has no direction.

    Parameters
    ----------
    quantity, matrix
        As in the columns of `gradprobe.frame`.

    Examples
    --------
    >>> str(worse("log_sigma", "end_to_end")), str(worse("real", "vector_field"))
    ('farther from 0', 'farther from 0')
    >>> str(worse("real", "step")), str(worse("test_accuracy", None))
    ('neither', 'lower')
    """
    if quantity in _LOGARITHMS:
        # one step's own growth may be anything: only the product over all steps is the gradient's
        return (
            Worse.NEITHER if matrix in _OF_ONE_STEP or matrix is None else Worse.FARTHER_FROM_ZERO
        )
    if matrix == "vector_field" and quantity == "real_std":
        return Worse.HIGHER
    if matrix == "vector_field" and quantity in _REAL_PARTS:
        return Worse.FARTHER_FROM_ZERO
    if matrix == "step" and quantity == "modulus":
        return Worse.FARTHER_FROM_ONE
    if quantity in _HIGHER:
        return Worse.HIGHER
    return Worse.LOWER if quantity in _LOWER else Worse.NEITHER


def tolerance(dtype: str | None, *, trained: bool) -> float:
    """Return the difference between two values that numerical reasons can have.

    Parameters
    ----------
    dtype
        Of the arithmetic; None if not known.
    trained
        Whether the value is of a model that was trained.

    Examples
    --------
    >>> tolerance("float64", trained=False), tolerance("float32", trained=False)
    (1e-05, 0.001)
    """
    if trained:
        return TRAINED
    return EXACT if dtype == "float64" else SINGLE


def differ(approved: float, measured: float, allowed: float) -> bool:
    """Return whether two values differ by more than `allowed`, relative to values beyond 1.

    Parameters
    ----------
    approved, measured
        The values; equal infinities do not differ.
    allowed
        The tolerance: absolute up to ``abs(approved) == 1``, relative beyond.

    Examples
    --------
    >>> differ(-1000.0, -1000.005, 1e-5), differ(0.0, 0.005, 1e-5)
    (False, True)
    >>> differ(float("-inf"), float("-inf"), 1e-5), differ(float("-inf"), -700.0, 1e-5)
    (False, True)
    """
    if approved == measured:
        return False
    if math.isinf(approved) or math.isinf(measured):
        return True
    return abs(measured - approved) > allowed * max(1.0, abs(approved))
