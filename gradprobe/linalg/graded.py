r"""Graded factorisations :math:`M = U \mathrm{diag}(e^d) V`, batched over leading axes.

U is orthogonal, d is real and need not be sorted, V is well conditioned. The methods of quantum
Monte Carlo for stabilising products of matrices: columns sorted by their norm before each QR
factorisation (Bauer, SciPost Phys. Core 2, 011, 2020, section 3.2), rows sorted by theirs, which
makes Householder QR stable row by row (Cox and Higham, "Stability of Householder QR factorization
for weighted least squares problems", 1998, section 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor


WEAK = 1e-6
"""A diagonal entry of R, relative to its column, below this: perhaps dependent on those before."""


class Graded(NamedTuple):
    """The factors of U diag(e^d) V, and what rounding left out of d (compensated sum)."""

    U: Tensor
    d: Tensor
    V: Tensor
    compensation: Tensor


class UpperFactor(NamedTuple):
    """A factorisation of Y diag(e^d): the new U, what to add to d, and what to apply to V.

    Attributes
    ----------
    Q
        The orthogonal factor.
    log_diagonal
        Logarithms of the absolute diagonal of the triangular factor, before R lost it.
    relative_diagonal
        The same diagonal divided by the largest entry of its column.
    R
        Upper triangular, graded, with a diagonal of ±1; acts on the rows of V in `order`.
    order
        The columns of Y from the largest to the smallest.
    """

    Q: Tensor
    log_diagonal: Tensor
    relative_diagonal: Tensor
    R: Tensor
    order: Tensor


def take_columns(matrix: Tensor, order: Tensor) -> Tensor:
    """Return the columns of `matrix` in `order`, (..., n)."""
    return matrix.gather(-1, order.unsqueeze(-2).expand_as(matrix))


def take_rows(matrix: Tensor, order: Tensor) -> Tensor:
    """Return the rows of `matrix` in `order`, (..., n)."""
    return matrix.gather(-2, order.unsqueeze(-1).expand_as(matrix))


def put_rows(matrix: Tensor, order: Tensor) -> Tensor:
    """Undo `take_rows`."""
    return torch.empty_like(matrix).scatter_(-2, order.unsqueeze(-1).expand_as(matrix), matrix)


def column_order(columns: Tensor, d: Tensor) -> Tensor:
    """Sort columns by the size of columns · e^d, largest first; −inf in d sorts last."""
    return (columns.abs().amax(-2).log() + d).argsort(dim=-1, descending=True, stable=True)


def row_sorted_qr(columns: Tensor) -> tuple[Tensor, Tensor]:
    """Householder QR with the largest rows first, so that it is stable row by row."""
    order = columns.abs().amax(-1).argsort(dim=-1, descending=True, stable=True)
    Q, R = torch.linalg.qr(take_rows(columns, order))
    return put_rows(Q, order), R


def scaled_upper(R: Tensor, d: Tensor, compensation: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return log|r_ii| and the factor with entries r_ij / |r_ii| · e^(d_j − d_i), diagonal ±1.

    A row whose r_ii or e^d_i is zero becomes a row of the identity.
    """
    diagonal = R.diagonal(dim1=-2, dim2=-1)
    size = diagonal.abs()
    dead = (size == 0) | (d == -torch.inf)
    gap = d.unsqueeze(-2) - d.unsqueeze(-1)
    gap = gap + (compensation.unsqueeze(-2) - compensation.unsqueeze(-1))
    gap = gap.masked_fill(dead.unsqueeze(-1), 0.0).triu()
    upper = R.triu() / size.masked_fill(dead, 1.0).unsqueeze(-1) * gap.exp()
    identity = torch.eye(R.shape[-1], dtype=R.dtype, device=R.device)
    upper = torch.where(dead.unsqueeze(-1), identity, upper)
    return size.log().masked_fill(dead, -torch.inf), upper


def factor(Y: Tensor, d: Tensor, compensation: Tensor) -> UpperFactor:
    """Factor Y diag(e^d) with sorted columns and rows; the signs of diag(R) stay in R."""
    order = column_order(Y, d)
    return factor_in_order(Y, d, compensation, order)


def factor_in_order(Y: Tensor, d: Tensor, compensation: Tensor, order: Tensor) -> UpperFactor:
    """Factor Y diag(e^d) with the columns in `order`."""
    columns = take_columns(Y, order)
    Q, R = row_sorted_qr(columns)
    norms = columns.abs().amax(-2)
    relative = R.diagonal(dim1=-2, dim2=-1).abs() / norms.masked_fill(norms == 0, 1.0)
    log_diagonal, upper = scaled_upper(R, d.gather(-1, order), compensation.gather(-1, order))
    return UpperFactor(Q, log_diagonal, relative, upper, order)


def join(graded: Graded, step: UpperFactor) -> Graded:
    """Return the factors of step · graded.V, where `step` factored Y diag(e^d)."""
    d, compensation = add_compensated(
        graded.d.gather(-1, step.order),
        graded.compensation.gather(-1, step.order),
        step.log_diagonal,
    )
    return Graded(step.Q, d, step.R @ take_rows(graded.V, step.order), compensation)


def add_compensated(total: Tensor, compensation: Tensor, term: Tensor) -> tuple[Tensor, Tensor]:
    """Add `term` to a running sum and carry the rounding error (Neumaier's summation)."""
    result = total + term
    big = torch.where(total.abs() >= term.abs(), total, term)
    small = torch.where(total.abs() >= term.abs(), term, total)
    lost = (big - result) + small
    return result, (compensation + lost).masked_fill(result == -torch.inf, 0.0)


def refactored(graded: Graded) -> Graded:
    """Restore the condition of V: an LQ factorisation, then a graded QR of L' diag(e^d).

    V = L W gives diag(e^d) V = L' diag(e^d) W with L'_ij = L_ij e^(d_i − d_j), |L'| ≤ |L| when d
    descends.
    """
    order = graded.d.argsort(dim=-1, descending=True, stable=True)
    U, V = take_columns(graded.U, order), take_rows(graded.V, order)
    d, compensation = graded.d.gather(-1, order), graded.compensation.gather(-1, order)
    W, L = (factor.mT for factor in torch.linalg.qr(V.mT))
    gap = d.unsqueeze(-1) - d.unsqueeze(-2)
    gap = gap + (compensation.unsqueeze(-1) - compensation.unsqueeze(-2))
    alive = (d != -torch.inf).unsqueeze(-1)
    identity = torch.eye(L.shape[-1], dtype=L.dtype, device=L.device)
    L = torch.where(alive, L.tril() * gap.masked_fill(~alive, 0.0).tril().exp(), identity)
    step = factor(L, d, compensation)
    inner = join(Graded(L, d, W, compensation), step)
    return inner._replace(U=U @ inner.U)


def truncated(Y: Tensor, graded: Graded, factors: UpperFactor, rank: Tensor) -> UpperFactor:
    """Give all columns of Y diag(e^d) beyond `rank` d = −inf, and see that these are dependent.

    A column that depends on those before it shows as a weak diagonal entry of R. Weak columns
    among the first `rank` go to the end, and Y is factored anew.

    Parameters
    ----------
    Y, graded, factors
        What `factor` took and returned.
    rank
        At most how many columns are independent, (*batch_shape), int64.
    """
    kept = torch.arange(Y.shape[-1], device=Y.device) < rank.unsqueeze(-1)
    demoted = graded.d.gather(-1, factors.order) == -torch.inf
    weak = kept & ~demoted & (factors.relative_diagonal < WEAK)
    while bool(weak.any()):
        demoted = demoted | weak
        strength = torch.where(demoted, factors.relative_diagonal, torch.inf)
        position = strength.argsort(dim=-1, descending=True, stable=True)
        demoted, order = demoted.gather(-1, position), factors.order.gather(-1, position)
        factors = factor_in_order(Y, graded.d, graded.compensation, order)
        weak = kept & ~demoted & (factors.relative_diagonal < WEAK)
    identity = torch.eye(Y.shape[-1], dtype=Y.dtype, device=Y.device)
    return factors._replace(
        log_diagonal=factors.log_diagonal.masked_fill(~kept, -torch.inf),
        R=torch.where(kept.unsqueeze(-1), factors.R, identity),
    )


def restricted(graded: Graded, rows: Tensor, rank: Tensor) -> Graded:
    """Set all rows of the product to zero but those where `rows`, (size), is true."""
    Y = graded.U * rows.unsqueeze(-1)
    factors = factor(Y, graded.d, graded.compensation)
    return join(graded, truncated(Y, graded, factors, rank))


def transposed(graded: Graded) -> Graded:
    """Return the factors of the transposed product; its U is well conditioned, not orthogonal."""
    return graded._replace(U=graded.V.mT, V=graded.U.mT)
