r"""How the vectors of one basis become those of a later one, on the way of a product.

With :math:`M_s = U_s \mathrm{diag}(e^{d_s}) V_s` and M_t likewise, the steps between act as
:math:`C = U_t^{-1} J_t \cdots J_{s+1} U_s = \mathrm{diag}(e^g) A`, upper triangular but for the
order of its columns. Its diagonal, the growth, soon ranges over hundreds of orders of magnitude;
the rows of A do not. V is carried along by it, V_t = diag(e^(−d_t)) C diag(e^(d_s)) V_s; and so are
the errors that steps before s have left.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe.linalg.graded import exponential_, graded_upper, identity_like, take, take_rows

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.graded import UpperFactor


class Passage(NamedTuple):
    """The map diag(e^growth) A from the coordinates in one basis to those in a later one.

    Attributes
    ----------
    A
        (..., n, n); the entries of row i in column order_i are ±1 to rounding. Not `graded`: the
        map itself.
    growth
        (..., n), float64.
    order
        Which of the earlier vectors each later one continues, (..., n), int64.
    loss
        Sum over the steps of e^(2 `graded.log_loss`), for each of the later vectors, (..., n).
    graded
        False as long as the growth may be left in A, whose rows then differ by as much.
    """

    A: Tensor
    growth: Tensor
    order: Tensor
    loss: Tensor
    graded: bool = True


def standstill(like: Tensor, order: Tensor | None = None) -> Passage:
    """Return the passage from a basis to itself, its vectors taken in `order`."""
    identity = identity_like(like).expand(like.shape)
    zeros = torch.zeros(like.shape[:-1], dtype=torch.float64, device=like.device)
    if order is None:
        order = torch.arange(like.shape[-1], device=like.device).expand(zeros.shape)
    else:
        identity = take_rows(identity, order)
    return Passage(identity, zeros, order, zeros)


def onwards(passage: Passage, factors: UpperFactor, log_loss: Tensor) -> Passage:
    """Go on by the step whose factors are given, and whose loss has these logarithms."""
    before = take(passage.growth, factors.order)
    growth = before + factors.log_diagonal
    if not passage.graded and (factors.kept is not None or not _in_range(growth, passage.A)):
        passage = with_grading(passage)
    A = take_rows(passage.A, factors.order)
    upper = graded_upper(factors.R, before, growth) if passage.graded else factors.R
    upper = upper @ A
    if factors.kept is not None:
        growth = torch.where(factors.kept, growth, before)
        upper = torch.where(factors.kept.unsqueeze(-1), upper, A)
        log_loss = log_loss.masked_fill(~factors.kept, -torch.inf)
    loss = take(passage.loss, factors.order) + (2 * log_loss).exp()
    return Passage(upper, growth, take(passage.order, factors.order), loss, passage.graded)


def _in_range(growth: Tensor, A: Tensor) -> bool:
    """Return whether the growth can be left in A, and nothing that matters underflows."""
    return float(growth.abs().max()) < math.log(torch.finfo(A.dtype).max) / 4


def with_grading(passage: Passage) -> Passage:
    """Take the growth out of A if it still is in it."""
    if passage.graded:
        return passage
    A = passage.A * (-passage.growth).exp().to(passage.A.dtype).unsqueeze(-1)
    return passage._replace(A=A, graded=True)


def composed(first: Passage, second: Passage) -> Passage:
    """Return the passage `first`, then `second`; how `second` enlarges losses is left out."""
    before = first.growth.gather(-1, second.order)
    return Passage(
        rescaled(second.A, before, first.growth) @ first.A,
        before + second.growth,
        first.order.gather(-1, second.order),
        first.loss.gather(-1, second.order) + second.loss,
    )


def arrive(d: Tensor, V: Tensor, passage: Passage, dead: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return d and V at the end of a passage from those at its start; d = −inf where `dead`."""
    start = d.gather(-1, passage.order)
    start = start.masked_fill(start == -torch.inf, 0.0)
    end = start + passage.growth
    moved = rescaled(passage.A, start - _rounding_of_sum(start, passage.growth, end), d) @ V
    if dead is None:
        return end, moved
    moved = torch.where(dead.unsqueeze(-1), take_rows(V, passage.order), moved)
    return end.masked_fill(dead, -torch.inf), moved


def without_copies(passage: Passage) -> Passage:
    """Return the passage of the product itself, the first of all copies, in float64."""
    A, growth, order, loss = (part[0] for part in passage[:4])
    return Passage(A.double(), growth, order, loss, passage.graded)


def rescaled(A: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return diag(e^−rows) A diag(e^columns); a zero stays one, whatever the gap."""
    gap = columns.unsqueeze(-2) - rows.unsqueeze(-1)
    return A * exponential_(gap.masked_fill_(A == 0, -torch.inf)).to(A.dtype)


def _rounding_of_sum(first: Tensor, second: Tensor, total: Tensor) -> Tensor:
    """Return first + second − total exactly, `total` being their rounded sum (Knuth's TwoSum)."""
    part = total - first
    return (first - (total - part)) + (second - part)
