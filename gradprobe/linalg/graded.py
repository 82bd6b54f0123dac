r"""Graded factorisations :math:`M = U \mathrm{diag}(e^d) V`, batched over leading axes.

U is orthogonal, d is real and need not be sorted, V is well conditioned. The methods of quantum
Monte Carlo for stabilising products of matrices: columns sorted by their norm before each QR
factorisation (Bauer, SciPost Phys. Core 2, 011, 2020, section 4), rows sorted by theirs, which
makes Householder QR stable row by row (Cox and Higham, "Stability of Householder QR factorization
for weighted least squares problems", 1998).

The entries of d are rounded to float64, and that costs nothing: V takes up what the rounding left.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe.linalg.groups import largest_of_group, together, within_rank

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.groups import Groups

WEAK = 1e-6
"""A relative diagonal entry of R below this: the column may depend on those before it."""

EVEN = math.log(1e3)
"""Rows that differ by less than e to this need not be sorted."""


class Graded(NamedTuple):
    """The factors of U diag(e^d) V."""

    U: Tensor
    d: Tensor
    V: Tensor


class Sizes(NamedTuple):
    """The logarithms of the largest absolute entry of each row and each column, in float64.

    `sorted_rows` are those of the rows, descending.
    """

    rows: Tensor
    columns: Tensor
    sorted_rows: Tensor


class UpperFactor(NamedTuple):
    """A factorisation Y P = Q R of the columns of Y in some order P.

    Attributes
    ----------
    Q
        The orthogonal factor.
    R
        Upper triangular; the signs of its diagonal stay in it.
    log_diagonal
        log |r_ii|, float64.
    order
        The order of the columns: indices into those of Y. None: as they are.
    rows
        The size of the row of Y that stands where r_ii does, as `Sizes` has it.
    columns
        The sizes of the columns of Y, in this order.
    largest
        The size of the largest row of Y, or of its group.
    kept
        False where a column is zero because the rank is deficient. None: no column is.
    """

    Q: Tensor
    R: Tensor
    log_diagonal: Tensor
    order: Tensor | None
    rows: Tensor
    columns: Tensor
    largest: Tensor
    kept: Tensor | None = None


def take(vector: Tensor, order: Tensor | None) -> Tensor:
    """Return the entries of `vector` in `order`, (..., n); None: as they are."""
    return vector if order is None else vector.gather(-1, order)


def take_columns(matrix: Tensor, order: Tensor | None) -> Tensor:
    """Return the columns of `matrix` in `order`."""
    if order is None:
        return matrix
    return matrix.gather(-1, order.unsqueeze(-2).expand_as(matrix))


def take_rows(matrix: Tensor, order: Tensor | None) -> Tensor:
    """Return the rows of `matrix` in `order`."""
    if order is None:
        return matrix
    # Selecting from one tall matrix copies whole rows: several times faster than `gather`.
    tall, size = matrix.reshape(-1, matrix.shape[-1]), order.shape[-1]
    if order.numel() > size:  # more than one matrix
        batches = order.reshape(-1, size)
        order = batches + size * torch.arange(len(batches), device=order.device).unsqueeze(-1)
    return tall.index_select(0, order.reshape(-1)).reshape(matrix.shape)


def descending(values: Tensor) -> Tensor | None:
    """Return the order that sorts `values`, largest first, or None if they are sorted already."""
    if bool((values[..., 1:] <= values[..., :-1]).all()):
        return None
    return values.argsort(dim=-1, descending=True, stable=True)


def sizes_of(matrix: Tensor, absolute: Tensor | None = None, rows: Tensor | None = None) -> Sizes:
    """Return the sizes of rows and columns; `absolute` values and largest by `rows` if known."""
    absolute = matrix.abs() if absolute is None else absolute
    rows = absolute.amax(-1) if rows is None else rows
    rows, columns = rows.double().log(), absolute.amax(-2).double().log()
    return Sizes(rows, columns, rows.sort(descending=True).values)


def factor(
    Y: Tensor, order: Tensor | None, sizes: Sizes, groups: Groups | None = None
) -> UpperFactor:
    """Factor Y, its columns taken in `order`, stably row by row.

    That is Householder QR with the largest rows first. The zeros between groups stay zeros.
    """
    if groups is not None:
        return _factor_in_groups(Y, order, sizes, groups)
    row_order = descending(sizes.rows)
    Q, R = torch.linalg.qr(take_rows(take_columns(Y, order), row_order))
    back = None if row_order is None else row_order.argsort(dim=-1)
    return _upper_factor(take_rows(Q, back), R, order, sizes)


def _factor_in_groups(Y: Tensor, order: Tensor | None, sizes: Sizes, groups: Groups) -> UpperFactor:
    """Factor each group by itself; R is upper triangular in the order of all columns, too."""
    if order is None:
        order = torch.arange(Y.shape[-1], device=Y.device).expand(sizes.columns.shape)
    column_order = together(order, groups.columns)
    largest_first = sizes.rows.argsort(dim=-1, descending=True, stable=True)
    row_order = together(largest_first, groups.rows)
    Q, R = torch.linalg.qr(take_rows(take_columns(Y, column_order), row_order))
    back = column_order.argsort(dim=-1).gather(-1, order)
    Q = take_rows(take_columns(Q, back), row_order.argsort(dim=-1))
    R = take_rows(take_columns(R, back), back)
    rows = sizes.rows.gather(-1, row_order).gather(-1, back)
    largest = largest_of_group(sizes.rows, groups).gather(-1, order)
    columns = sizes.columns.gather(-1, order)
    return UpperFactor(Q, R, log_diagonal_of(R), order, rows, columns, largest)


def factor_calm(Y: Tensor, order: Tensor | None, sizes: Sizes, *, even: bool) -> UpperFactor:
    """Do the same in three quarters of the time, of use only if all deficits turn out small.

    Q = Y R^−1 satisfies Q R = Y to rounding, each row relative to its own size, as |R^−1| |R| does
    not change with the scale of R's rows. Q is as orthogonal as rounding times the condition of Y,
    its rows and columns scaled, allows: it need only be well conditioned, and is the next Y.
    """
    # Both routines want it column by column, and would copy it so themselves.
    columns = take_rows(Y.mT.contiguous(), order).mT
    R = torch.geqrf(columns if even else take_rows(columns, descending(sizes.rows)))[0].triu_()
    Q = torch.linalg.solve_triangular(R, columns, upper=True, left=False)
    return _upper_factor(Q, R, order, sizes)


def _upper_factor(Q: Tensor, R: Tensor, order: Tensor | None, sizes: Sizes) -> UpperFactor:
    rows, columns = sizes.sorted_rows, take(sizes.columns, order)
    return UpperFactor(Q, R, log_diagonal_of(R), order, rows, columns, rows[..., :1])


def log_diagonal_of(R: Tensor) -> Tensor:
    """Return log |r_ii|, float64."""
    return R.diagonal(dim1=-2, dim2=-1).abs().double().log()


def zeros_of(d: Tensor) -> Tensor | None:
    """Return where d is −inf, or None if it is nowhere."""
    zeros = d == -torch.inf
    return zeros if bool(zeros.any()) else None


def without_zeros(factors: UpperFactor, zeros: Tensor | None) -> UpperFactor:
    """Drop the columns where `zeros`, in the order before: they are times e^d, which is zero."""
    if zeros is None:
        return factors
    zeros = take(zeros, factors.order)
    kept = ~zeros if factors.kept is None else factors.kept & ~zeros
    return factors._replace(R=factors.R.masked_fill(zeros.unsqueeze(-2), 0.0), kept=kept)


def log_deficit(factors: UpperFactor) -> Tensor:
    """Return the logarithms of what Y's rows and columns lead to expect of |r_ii|, over |r_ii|.

    For a well-conditioned matrix with graded rows and columns |r_ii| is about r_i s_i / max r, with
    r the sorted sizes of the rows and s those of the columns. A large deficit: the column depends
    on those before it. An empty row or column: +inf.
    """
    expected = (factors.rows - factors.largest) + factors.columns
    return (expected - factors.log_diagonal).nan_to_num(nan=torch.inf, neginf=torch.inf)


def log_loss(factors: UpperFactor, steps: int = 1) -> Tensor:
    r"""Return by how much rounding in Y = J_k ⋯ J_1 U is enlarged, relative to each |r_ii|.

    Rounding errors of J U are relative to the rows of J, not to the columns of the product, so a
    column that J makes small keeps fewer digits: r_i / |r_ii|, with r the sorted sizes of the rows.
    Over k steps each costs the k-th root of r_i / s_i, with s the sizes of the columns, and all of
    them s_i / |r_ii| at the end.
    """
    if steps == 1:
        loss = factors.rows - factors.log_diagonal
    else:
        rows = factors.columns + (factors.rows - factors.columns) / steps
        loss = rows - factors.log_diagonal + 0.5 * math.log(steps)
    return loss if factors.kept is None else loss.masked_fill(~factors.kept, -torch.inf)


def graded_upper(R: Tensor, d: Tensor, new_d: Tensor) -> Tensor:
    """Return diag(e^−d') R diag(e^d); a row whose d' is −inf becomes a row of the identity.

    The diagonal is ±1 up to the rounding of d', which it makes up for.
    """
    dead = new_d == -torch.inf
    if bool(dead.any()):
        upper = _graded_upper(R, d, new_d.masked_fill(dead, 0.0))
        return torch.where(dead.unsqueeze(-1), identity_like(R), upper)
    return _graded_upper(R, d, new_d)


def _graded_upper(R: Tensor, d: Tensor, new_d: Tensor) -> Tensor:
    # R comes column by column from LAPACK: its transpose is what lies in memory in order.
    gap = d.unsqueeze(-1) - new_d.unsqueeze(-2)
    return exponential_(gap.tril_()).to(R.dtype).mul_(R.mT).mT


def exponential_(exponents: Tensor) -> Tensor:
    """Replace `exponents` by their exponentials; the exponential to base 2 underflows faster."""
    return exponents.mul_(1 / math.log(2)).exp2_()


def identity_like(matrix: Tensor) -> Tensor:
    """Return the identity of the size, dtype and device of the square `matrix`."""
    return torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)


def join(graded: Graded, step: UpperFactor) -> Graded:
    """Return the factors of (Q R Pᵀ) · diag(e^d) · V, where `graded` holds d and V."""
    d = take(graded.d, step.order)
    new_d = d + step.log_diagonal
    if step.kept is not None:
        new_d = new_d.masked_fill(~step.kept, -torch.inf)
    return Graded(step.Q, new_d, graded_upper(step.R, d, new_d) @ take_rows(graded.V, step.order))


def sorted_by_size(graded: Graded) -> Graded:
    """Return the same product with d descending."""
    order = descending(graded.d)
    return Graded(take_columns(graded.U, order), take(graded.d, order), take_rows(graded.V, order))


def refactored(graded: Graded) -> Graded:
    """Restore the condition of V: an LQ factorisation, then a graded QR of L' diag(e^d).

    V = L W gives diag(e^d) V = L' diag(e^d) W with L'_ij = L_ij e^(d_i − d_j), |L'| ≤ |L| when d
    descends.
    """
    sorted_ = sorted_by_size(graded)
    L, factors, W = rebalanced(sorted_)
    return join(Graded(L, sorted_.d, W), factors)._replace(U=sorted_.U @ factors.Q)


def rebalanced(graded: Graded, groups: Groups | None = None) -> tuple[Tensor, UpperFactor, Tensor]:
    """Return L', the factors of L' diag(e^d), and W, of a product with d descending.

    `groups`: of the columns of V, which stand for the rows of M's steps, and of its rows.
    """
    if groups is None:
        W, L = (part.mT for part in torch.linalg.qr(graded.V.mT))
    else:
        whole = factor(graded.V.mT, None, sizes_of(graded.V.mT), groups)
        W, L = whole.Q.mT, whole.R.mT
        groups = groups._replace(rows=groups.columns)
    L = graded_lower(L, graded.d)
    sizes = sizes_of(L)
    return L, factor(L, descending(sizes.columns + graded.d), sizes, groups), W


def graded_lower(L: Tensor, d: Tensor) -> Tensor:
    """Return diag(e^d) L diag(e^−d); rows whose d is −inf become rows of the identity."""
    alive = (d != -torch.inf).unsqueeze(-1)
    gap = (d.unsqueeze(-1) - d.unsqueeze(-2)).masked_fill(~alive, 0.0)
    lower = exponential_(gap.tril_()).to(L.dtype).mul_(L).tril_()
    return torch.where(alive, lower, identity_like(L))


def truncated(
    Y: Tensor,
    d: Tensor,
    sizes: Sizes,
    factors: UpperFactor,
    rank: Tensor | Groups,
    least: float = WEAK,
) -> UpperFactor:
    """Take all columns of Y diag(e^d) beyond `rank` for zero, and see that these are dependent.

    A column that depends on those before it shows as a weak diagonal entry of R. Weak columns
    among the first `rank` go to the end, and Y is factored anew.

    Parameters
    ----------
    Y, d, sizes
        The matrix, the logarithms, −inf for a column that is zero already, and the sizes of Y.
    factors
        What `factor` returned.
    rank
        At most how many columns are independent, (*batch_shape), int64, or of each group.
    least
        A relative diagonal entry of R below this counts as weak.
    """
    groups = None if isinstance(rank, torch.Tensor) else rank
    kept = _within_rank(d, factors.order, rank)
    dead = d == -torch.inf
    demoted = take(dead, factors.order)
    strength = -log_deficit(factors)
    weak = kept & ~demoted & (strength < math.log(least))
    while bool(weak.any()):
        demoted = demoted | weak
        last = take(dead, factors.order)
        strength = torch.where(demoted, strength, torch.inf).masked_fill(last, -torch.inf)
        position = strength.argsort(dim=-1, descending=True, stable=True)
        demoted = demoted.gather(-1, position)
        order = position if factors.order is None else factors.order.gather(-1, position)
        factors = factor(Y, order, sizes, groups)
        strength = -log_deficit(factors)
        kept = _within_rank(d, factors.order, rank)
        weak = kept & ~demoted & (strength < math.log(least))
    kept = kept & (factors.log_diagonal > -torch.inf)
    return factors._replace(kept=None if bool(kept.all()) else kept)


def _within_rank(d: Tensor, order: Tensor | None, rank: Tensor | Groups) -> Tensor:
    """Return which columns, in `order`, come first, up to the rank, of all or of their group."""
    entries = torch.arange(d.shape[-1], device=d.device).expand(d.shape)
    if isinstance(rank, torch.Tensor):
        return entries < rank.unsqueeze(-1)
    return within_rank(entries if order is None else order, rank)


def restriction(graded: Graded, rows: Tensor, rank: Tensor | Groups) -> tuple[UpperFactor, Tensor]:
    """Factor what is left of U when all rows but those where `rows`, (size), is true are zero.

    Rows of an orthogonal U may be nearly dependent, far above rounding: only a column at the level
    of rounding gives way to others, which may lie hundreds of nats below it.
    """
    Y = graded.U * rows.unsqueeze(-1)
    sizes = sizes_of(Y)
    groups = None if isinstance(rank, torch.Tensor) else rank
    factors = factor(Y, descending(sizes.columns + graded.d), sizes, groups)
    least = 8 * Y.shape[-1] * torch.finfo(Y.dtype).eps
    factors = truncated(Y, graded.d, sizes, factors, rank, least)
    return factors, log_loss(factors)


def transposed(graded: Graded) -> Graded:
    """Return the factors of the transposed product; its U is well conditioned, not orthogonal."""
    return graded._replace(U=graded.V.mT, V=graded.U.mT)
