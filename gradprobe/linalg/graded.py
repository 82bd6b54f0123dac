r"""Graded factorisations :math:`M = U \mathrm{diag}(e^d) V`, batched over leading axes.

U is orthogonal, d is real and need not be sorted, V is well conditioned. The methods of quantum
Monte Carlo for stabilising products of matrices: columns sorted by their norm before each QR
factorisation (Bauer, SciPost Phys. Core 2, 011, 2020, section 3.2), rows sorted by theirs, which
makes Householder QR stable row by row (Cox and Higham, "Stability of Householder QR factorization
for weighted least squares problems", 1998, section 2).

The entries of d are rounded to float64, and that costs nothing: V takes up what the rounding left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor


DELICATE = 1e-3
"""A relative diagonal entry of R below this: the column has lost digits in the matrix product."""

WEAK = 1e-6
"""A relative diagonal entry of R below this: the column may depend on those before it."""


class Graded(NamedTuple):
    """The factors of U diag(e^d) V."""

    U: Tensor
    d: Tensor
    V: Tensor


class Sizes(NamedTuple):
    """The largest absolute entry of each row and each column of a matrix."""

    rows: Tensor
    columns: Tensor


class UpperFactor(NamedTuple):
    """A factorisation Y diag(e^d) P = Q diag(e^d') R of the columns of Y in some order P.

    Attributes
    ----------
    Q
        The orthogonal factor.
    d
        d', the logarithms of the absolute diagonal of the triangular factor, to rounding.
    R
        Upper triangular, graded, with a diagonal of ±1 to rounding; acts on the rows of V in
        `order`.
    relative_diagonal
        |r_ii| before the scaling, divided by what the sizes of Y's rows and columns lead to
        expect; tiny if the column depends on those before it.
    order
        The order of the columns: indices into those of Y.
    """

    Q: Tensor
    d: Tensor
    R: Tensor
    relative_diagonal: Tensor
    order: Tensor


def take_columns(matrix: Tensor, order: Tensor) -> Tensor:
    """Return the columns of `matrix` in `order`, (..., n)."""
    if in_order(order):
        return matrix
    return matrix.gather(-1, order.unsqueeze(-2).expand_as(matrix))


def take_rows(matrix: Tensor, order: Tensor) -> Tensor:
    """Return the rows of `matrix` in `order`, (..., n)."""
    if in_order(order):
        return matrix
    size = order.shape[-1]
    batches = order.reshape(-1, size)
    first_rows = torch.arange(batches.shape[0], device=order.device).unsqueeze(-1) * size
    # Selecting from one tall matrix copies whole rows: several times faster than `gather`.
    tall = matrix.reshape(-1, matrix.shape[-1])
    return tall.index_select(0, (first_rows + batches).reshape(-1)).reshape(matrix.shape)


def put_rows(matrix: Tensor, order: Tensor) -> Tensor:
    """Undo `take_rows`."""
    return take_rows(matrix, order.argsort(dim=-1))


def in_order(order: Tensor) -> bool:
    """Return whether `order` leaves everything where it is."""
    return bool((order == torch.arange(order.shape[-1], device=order.device)).all())


def descending(values: Tensor) -> Tensor:
    """Return the order that sorts `values`, largest first; −inf comes last."""
    return values.argsort(dim=-1, descending=True, stable=True)


def sizes_of(matrix: Tensor) -> Sizes:
    """Return the largest absolute entries of rows and columns."""
    absolute = matrix.abs()
    return Sizes(absolute.amax(-1), absolute.amax(-2))


def row_sorted_qr(columns: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Householder QR with the largest rows first, so that it is stable row by row."""
    order = descending(rows)
    Q, R = torch.linalg.qr(take_rows(columns, order))
    return put_rows(Q, order), R


def factor(Y: Tensor, d: Tensor, sizes: Sizes, order: Tensor | None = None) -> UpperFactor:
    """Factor Y diag(e^d); the signs of diag(R) stay in R.

    Parameters
    ----------
    Y
        (..., n, n).
    d
        (..., n); −inf for a column that is zero.
    sizes
        The sizes of Y's rows and columns, by which both are sorted.
    order
        Another order of the columns than by size.
    """
    if order is None:
        order = descending(sizes.columns.log() + d)
    Q, R = row_sorted_qr(take_columns(Y, order), sizes.rows)
    d, size = d.gather(-1, order), R.diagonal(dim1=-2, dim2=-1).abs()
    relative = relative_to(size, sizes.rows.sort(descending=True).values, sizes.columns, order)
    new_d = d + size.log()
    return UpperFactor(Q, new_d, graded_upper(R, d, new_d), relative, order)


def relative_to(diagonal: Tensor, rows: Tensor, columns: Tensor, order: Tensor) -> Tensor:
    """Divide |r_ii| by what a matrix with rows and columns of these sizes leads to expect.

    For a well-conditioned matrix with graded rows and columns that is r_i s_i / max r, with r the
    sorted sizes of the rows and s those of the columns.
    """
    columns, rows = columns.gather(-1, order), rows / rows[..., :1]
    empty = (columns == 0) | ~(rows > 0)
    return (diagonal / columns / rows).masked_fill(empty, 0.0)


def graded_upper(R: Tensor, d: Tensor, new_d: Tensor) -> Tensor:
    """Return diag(e^−d') R diag(e^d); a row whose d' is −inf becomes a row of the identity.

    The diagonal is ±1 up to the rounding of d', which it makes up for.
    """
    dead = new_d == -torch.inf
    gap = d.unsqueeze(-2) - new_d.masked_fill(dead, 0.0).unsqueeze(-1)
    below = torch.ones(R.shape[-2:], dtype=torch.bool, device=R.device).tril(-1)
    upper = gap.masked_fill_(below, -torch.inf).exp_().to(R.dtype).mul_(R)
    if bool(dead.any()):
        upper = torch.where(dead.unsqueeze(-1), identity_like(R), upper)
    return upper


def identity_like(matrix: Tensor) -> Tensor:
    """Return the identity of the size, dtype and device of the square `matrix`."""
    return torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)


def join(graded: Graded, step: UpperFactor) -> Graded:
    """Return the factors of step · graded.V, where `step` factored Y diag(e^d)."""
    return Graded(step.Q, step.d, step.R @ take_rows(graded.V, step.order))


def sorted_by_size(graded: Graded) -> Graded:
    """Return the same product with d descending."""
    order = descending(graded.d)
    return Graded(
        take_columns(graded.U, order), graded.d.gather(-1, order), take_rows(graded.V, order)
    )


def refactored(graded: Graded) -> Graded:
    """Restore the condition of V: an LQ factorisation, then a graded QR of L' diag(e^d).

    V = L W gives diag(e^d) V = L' diag(e^d) W with L'_ij = L_ij e^(d_i − d_j), |L'| ≤ |L| when d
    descends.
    """
    U, d, V = sorted_by_size(graded)
    W, L = (part.mT for part in torch.linalg.qr(V.mT))
    L = graded_lower(L, d)
    inner = join(Graded(L, d, W), factor(L, d, sizes_of(L)))
    return inner._replace(U=U @ inner.U)


def graded_lower(L: Tensor, d: Tensor) -> Tensor:
    """Return diag(e^d) L diag(e^−d); rows whose d is −inf become rows of the identity."""
    alive = (d != -torch.inf).unsqueeze(-1)
    gap = (d.unsqueeze(-1) - d.unsqueeze(-2)).masked_fill(~alive, 0.0)
    return torch.where(alive, L.tril() * gap.tril().exp().to(L.dtype), identity_like(L))


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
    sizes = sizes_of(Y)
    kept = torch.arange(Y.shape[-1], device=Y.device) < rank.unsqueeze(-1)
    dead = graded.d == -torch.inf
    demoted = dead.gather(-1, factors.order)
    weak = kept & ~demoted & (factors.relative_diagonal < WEAK)
    while bool(weak.any()):
        demoted = demoted | weak
        strength = torch.where(demoted, factors.relative_diagonal, torch.inf)
        position = descending(strength.masked_fill(dead.gather(-1, factors.order), -torch.inf))
        demoted, order = demoted.gather(-1, position), factors.order.gather(-1, position)
        factors = factor(Y, graded.d, sizes, order)
        weak = kept & ~demoted & (factors.relative_diagonal < WEAK)
    return factors._replace(
        d=factors.d.masked_fill(~kept, -torch.inf),
        R=torch.where(kept.unsqueeze(-1), factors.R, identity_like(Y)),
    )


def restricted(graded: Graded, rows: Tensor, rank: Tensor) -> Graded:
    """Set all rows of the product to zero but those where `rows`, (size), is true."""
    Y = graded.U * rows.unsqueeze(-1)
    factors = factor(Y, graded.d, sizes_of(Y))
    return join(graded, truncated(Y, graded, factors, rank))


def transposed(graded: Graded) -> Graded:
    """Return the factors of the transposed product; its U is well conditioned, not orthogonal."""
    return graded._replace(U=graded.V.mT, V=graded.U.mT)
