"""Sums of tensors at scales far apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_EXPONENT = 100
"""Up to here a power of two and its inverse are normal numbers, in single precision too."""


class ScaledSum:
    """Σ 2^e X over tensors X of one shape, kept as one tensor times a power of two.

    Parameters
    ----------
    zero
        Zeros of the shape, dtype and device of the terms; the sum is kept in it.

    Examples
    --------
    >>> total = ScaledSum(torch.zeros(1, dtype=torch.float64))
    >>> total.add(torch.ones(1, dtype=torch.float64), -5000)
    >>> total.add(torch.ones(1, dtype=torch.float64), -4999)
    >>> total.tensor.item() * 2.0 ** (total.exponent + 5000)
    3.0
    """

    def __init__(self, zero: Tensor) -> None:
        self.tensor = zero
        self.exponent = 0
        self._any = False

    def add(self, term: Tensor, exponent: int) -> None:
        """Add 2^exponent · term; what is below the rounding of the larger summand is lost."""
        largest = _largest(term)
        if largest == 0:
            return
        own = exponent + math.frexp(largest)[1]
        if not self._any:
            self.exponent, self._any = own, True
        if own > self.exponent:
            self.tensor.mul_(2.0 ** (self.exponent - own))  # never above one
            self.exponent = own
        _add_times_power(self.tensor, term, exponent - self.exponent)


def _largest(tensor: Tensor) -> float:
    """Return the largest absolute value of a real or imaginary part; 0 for an empty tensor."""
    if tensor.numel() == 0:
        return 0.0
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return max(abs(float(extreme)) for extreme in real.aminmax())


def _add_times_power(total: Tensor, term: Tensor, exponent: int) -> None:
    """Add 2^exponent · term in place; in range, though 2^exponent itself need not be."""
    half = exponent // 2
    if abs(exponent) > LARGEST_EXPONENT:
        term, exponent = term * 2.0**half, exponent - half
    total.add_(term, alpha=2.0**exponent)
