"""The direction that a product of many steps stretches most."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from gradprobe import checks
from gradprobe.errors import NonFiniteError
from gradprobe.linalg.operators import check_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gradprobe.linalg.operators import StepOperator

AMPLITUDE = 8.0
"""Perturbations are this many units of rounding: real rounding errors are smaller."""


class LeadingVector:
    r"""The leading right singular vector v₁ of :math:`M_t = J_t \cdots J_1`, with perturbed copies.

    M is kept as a matrix times a power of two.  Copies of it are perturbed after each step, each
    entry by some units of rounding, so that the spread of what is derived from the copies' v₁ shows
    how far the arithmetic determines it: not at all within a cluster of equal singular values, nor
    where what leads at the end was below the rounding of M on the way.

    Parameters
    ----------
    size
        Rows and columns of each J.
    batch_shape
        Leading axes: one independent product for each index.
    dtype
        ``torch.float64`` (default) or ``torch.float32``.
    device
        Where the product is kept.
    copies
        How many perturbed copies run beside the product.
    generator
        Draws the perturbations, on the CPU.

    Raises
    ------
    ArgumentError
        A size or dtype is wrong.
    NonFiniteError
        A step holds NaN or an infinity, or overflows.

    Examples
    --------
    >>> leading = LeadingVector(2, generator=torch.Generator().manual_seed(0))
    >>> for _ in range(2000):
    ...     leading.absorb(torch.diag(torch.tensor([0.25, 0.5], dtype=torch.float64)))
    >>> leading.vectors().abs().tolist()
    [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    """

    def __init__(
        self,
        size: int,
        *,
        generator: torch.Generator,
        batch_shape: Sequence[int] = (),
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
        copies: int = 2,
    ) -> None:
        size = checks.positive_integer("size", size)
        copies = checks.positive_integer("copies", copies)
        identity = torch.eye(size, dtype=check_dtype(dtype), device=device)
        self._product = identity.repeat(1 + copies, *batch_shape, 1, 1)
        self._generator = generator
        self.steps = 0

    def absorb(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M.

        Parameters
        ----------
        step
            J: a tensor (*batch_shape, size, size), or a `StepOperator`.
        """
        product = step @ self._product
        self.steps += 1
        largest = product.abs().amax((-2, -1))
        if not bool(largest.isfinite().all()):
            raise NonFiniteError(f"step {self.steps} holds NaN or an infinity, or overflows")
        # A scale far below one takes several steps, so that the factor does not overflow.
        lowest = math.frexp(torch.finfo(product.dtype).tiny)[1]
        exponent = torch.frexp(largest).exponent.clamp(min=lowest)
        product = product * torch.exp2(-exponent.to(product.dtype))[..., None, None]
        self._product = product
        perturbed(product, self._generator)

    def is_zero(self) -> Tensor:
        """Return where M is exactly zero, (*batch_shape), bool."""
        return (self._product[0] == 0).flatten(-2).all(-1)

    def vectors(self) -> Tensor:
        """Return v₁, then those of the perturbed copies, (1 + copies, *batch_shape, size).

        The sign is free; where M is zero, any unit vector is returned.
        """
        leading: Tensor = torch.linalg.svd(self._product).Vh[..., 0, :]
        return leading


def perturbed(copies: Tensor, generator: torch.Generator) -> None:
    """Perturb all but the first of some tensors in place, each entry by some units of rounding.

    Parameters
    ----------
    copies
        Shape (1 + copies, ...).
    generator
        Draws the perturbations, on the CPU.

    Examples
    --------
    >>> copies = torch.ones(2, dtype=torch.float64)
    >>> perturbed(copies, torch.Generator().manual_seed(0))
    >>> copies[0].item(), 0 < abs(copies[1].item() - 1) < 1e-14
    (1.0, True)
    """
    level = AMPLITUDE * torch.finfo(copies.dtype).eps / 2
    noise = torch.randn(copies[1:].shape, generator=generator, dtype=copies.dtype)
    copies[1:] *= 1 + level * noise.to(copies)
