"""Checks of arguments, shared by all packages.

Each check returns the value it was given, so that it can stand in an assignment, and raises
`ArgumentError` with the name of the argument, what was expected and what was got.
"""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING

from gradprobe.errors import ArgumentError, NonFiniteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor


def positive_integer(name: str, value: object) -> int:
    """Return `value` if it is an integer of at least one.

    Examples
    --------
    >>> positive_integer("hidden_size", 64)
    64
    >>> positive_integer("hidden_size", -3)
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: hidden_size must be a positive integer, got -3
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ArgumentError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


def non_negative_integer(name: str, value: object) -> int:
    """Return `value` if it is an integer of at least zero.

    Examples
    --------
    >>> non_negative_integer("repetitions", 0)
    0
    >>> non_negative_integer("repetitions", -1)
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: repetitions must be zero or a positive integer, got -1
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
        raise ArgumentError(f"{name} must be zero or a positive integer, got {value!r}")
    return int(value)


def finite_number(name: str, value: object) -> float:
    """Return `value` as a float if it is a finite real number.

    Examples
    --------
    >>> finite_number("forget_bias", 1)
    1.0
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ArgumentError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def positive_number(name: str, value: object) -> float:
    """Return `value` as a float if it is finite and above zero.

    Examples
    --------
    >>> positive_number("step_size", 0.01)
    0.01
    """
    if finite_number(name, value) <= 0:
        raise ArgumentError(f"{name} must be a positive number, got {value!r}")
    return finite_number(name, value)


def non_negative_number(name: str, value: object) -> float:
    """Return `value` as a float if it is finite and not below zero.

    Examples
    --------
    >>> non_negative_number("diffusion", 0)
    0.0
    """
    if finite_number(name, value) < 0:
        raise ArgumentError(f"{name} must be zero or a positive number, got {value!r}")
    return finite_number(name, value)


def one_of(name: str, value: object, choices: Iterable[str]) -> str:
    """Return `value` if it is one of the strings in `choices`.

    Examples
    --------
    >>> one_of("nonlinearity", "tanh", ["tanh", "modrelu"])
    'tanh'
    >>> one_of("nonlinearity", "relu6", ["tanh", "modrelu"])
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: nonlinearity must be one of 'tanh', 'modrelu', got 'relu6'
    """
    valid = list(choices)
    if not isinstance(value, str) or value not in valid:
        expected = ", ".join(repr(choice) for choice in valid)
        raise ArgumentError(f"{name} must be one of {expected}, got {value!r}")
    return value


def increasing_lengths(name: str, value: Sequence[int], longest: int) -> list[int]:
    """Return `value` as sorted distinct integers if each lies in 1 … `longest`.

    Parameters
    ----------
    name
        What the caller calls this argument.
    value
        Numbers of steps, in any order.
    longest
        The number of steps that the inputs have.

    Examples
    --------
    >>> increasing_lengths("lengths", [200, 100], longest=400)
    [100, 200]
    >>> increasing_lengths("lengths", [800], longest=400)
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: lengths must lie between 1 and the 400 steps of the inputs,
    got 800
    """
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise ArgumentError(f"{name} must be a sequence of positive integers, got {value!r}")
    lengths = sorted({positive_integer(f"each of {name}", length) for length in value})
    if not lengths:
        raise ArgumentError(f"{name} must name at least one length, got an empty sequence")
    if lengths[-1] > longest:
        raise ArgumentError(
            f"{name} must lie between 1 and the {longest} steps of the inputs, got {lengths[-1]}"
        )
    return lengths


def shape(name: str, value: Tensor, expected: tuple[int | str, ...]) -> Tensor:
    """Return the tensor `value` if its shape is `expected`.

    Parameters
    ----------
    name
        What the caller calls this tensor.
    value
        The tensor.
    expected
        An integer for an axis of known size, a string such as ``"T"`` for a free one.

    Examples
    --------
    >>> import torch
    >>> shape("inputs", torch.zeros(5, 2, 3), ("T", "B", 4))
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: inputs must have shape (T, B, 4), got (5, 2, 3)
    """
    got = tuple(value.shape)
    fits = len(got) == len(expected) and all(
        isinstance(want, str) or want == have for want, have in zip(expected, got, strict=True)
    )
    if not fits:
        want = ", ".join(str(axis) for axis in expected)
        have = ", ".join(str(axis) for axis in got)
        raise ArgumentError(f"{name} must have shape ({want}), got ({have})")
    return value


def finite(name: str, value: Tensor) -> Tensor:
    """Return the tensor `value` if it holds neither NaN nor an infinity.

    Examples
    --------
    >>> import torch
    >>> finite("inputs", torch.tensor([0.0, float("nan")]))
    Traceback (most recent call last):
    ...
    gradprobe.errors.NonFiniteError: inputs must be finite, got 1 NaN and 0 infinite values,
    the first at index (1,)
    """
    bad = ~value.isfinite()
    if bad.any():
        first = tuple(bad.nonzero()[0].tolist())
        nan, infinite = int(value.isnan().sum()), int(value.isinf().sum())
        raise NonFiniteError(
            f"{name} must be finite, got {nan} NaN and {infinite} infinite values, "
            f"the first at index {first}"
        )
    return value
