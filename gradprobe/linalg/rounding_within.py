r"""What rounding inside a block of steps has become by its end.

Several steps are multiplied before one factorisation, :math:`Y_k = J_k \cdots J_1 U`. A rounding
error of :math:`Y_j` is multiplied by the steps that follow, :math:`J_k \cdots J_{j+1}`, and these
may stretch it more than they stretch the columns themselves: where the block turns, some steps
there and their inverses back, :math:`Y_k` is as well conditioned as U, and nothing of it tells what
was lost on the way. So random errors Z, relative to the rows of each :math:`Y_j`, go with the
columns from where they arise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from gradprobe.linalg.graded import log_loss

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.graded import UpperFactor
    from gradprobe.linalg.operators import StepOperator

SAMPLES = 4
"""How many random errors are followed."""

TURNED = math.log(10.0)
"""As a rule, what is lost inside a block is at most a few times as much as its end tells."""


class RoundingWithin:
    """Follow random errors from the steps of a block to its end, in units of rounding.

    Parameters
    ----------
    like
        A matrix of the product: its rows, its dtype and its device are those of the errors.
    longest
        Of how many steps a block consists at most.

    Examples
    --------
    What a step has made small in a direction askew to the rows, its inverse makes large again, and
    with it the error of all that was large:

    >>> from gradprobe.linalg.graded import factor, sizes_of
    >>> turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    >>> there = turn @ torch.diag(torch.tensor([1.0, 1e-6], dtype=torch.float64))
    >>> within = RoundingWithin(there, longest=2)
    >>> within.arise(there.abs().amax(-1))
    >>> within.go_on(there.inverse())
    >>> back = there.inverse() @ there
    >>> factors = factor(back, None, sizes_of(back))
    >>> loss, turns = within.log_loss(factors, steps=2)
    >>> (loss / math.log(10)).round().tolist(), turns
    ([0.0, 6.0], True)
    """

    def __init__(self, like: Tensor, longest: int) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = (longest, like.shape[-2], SAMPLES)
        errors = torch.randn(shape, generator=generator, dtype=torch.float64)
        self._errors = errors.to(like)
        self._arisen = 0
        self._Z: Tensor | None = None

    def begin(self) -> None:
        """Begin a block: nothing has been rounded."""
        self._arisen, self._Z = 0, None

    def go_on(self, step: Tensor | StepOperator) -> None:
        """Multiply the errors by J."""
        if self._Z is not None:
            self._Z = step @ self._Z

    def arise(self, sizes: Tensor) -> None:
        """Add the rounding errors of a Y_j that is not the last of its block, of rows as large."""
        if self._Z is not None:
            # Where rows of J Y cancel, the errors of J Y are those of what has been cancelled: J Z
            # is as large as they are, times as many errors as it is the sum of.
            sizes = sizes.maximum((self._Z.square().mean(-1) / self._arisen).sqrt())
        fresh = self._errors[self._arisen] * sizes.unsqueeze(-1)
        self._Z = fresh if self._Z is None else self._Z + fresh
        self._arisen += 1

    def log_loss(self, factors: UpperFactor, steps: int) -> tuple[Tensor, bool]:
        """Return the loss of a block of so many steps, and whether the block must be parted.

        The loss is what `graded.log_loss` tells from the end of the block, or that of the errors
        that have been followed, where it is larger. Where it is larger by far, the block turns
        inside, or its columns range over many sizes.
        """
        loss = log_loss(factors, steps)
        if steps == 1 or self._Z is None:
            return loss, False
        along = (factors.Q.mT @ self._Z).double().square().mean(-1).log() / 2
        followed = along - factors.log_diagonal
        return loss.maximum(followed), bool((followed > loss + TURNED).any())
