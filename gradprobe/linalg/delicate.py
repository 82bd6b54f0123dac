"""How to factor J U where J is ill-conditioned or singular."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gradprobe.linalg import graded

if TYPE_CHECKING:
    from gradprobe.linalg.operators import StepOperator
    from gradprobe.linalg.perturbation import Perturbation
    from gradprobe.linalg.structure import Structure

SPREAD = 30.0
"""Columns of J whose sizes differ by less than this factor need not be factored alone."""


def delicate_factors(
    step: Tensor, U: Tensor, d: Tensor, perturbation: Perturbation, structure: Structure
) -> tuple[graded.UpperFactor, Tensor]:
    """Factor J U diag(e^d), J being a single step; return the logarithm of the loss, too.

    J is factored alone first, J = Q_J R_J, because small columns of J would drown in J U. Then
    R_J U has graded rows only, which row-sorted QR does not mix. Columns beyond the rank that the
    zeros of the steps allow get d = −inf.
    """
    groups = structure.groups() if structure.grouped else None
    J, sizes = perturbation.of_product(step.expand(U.shape).clone())
    own_groups = None if groups is None else groups._replace(columns=groups.rows)
    inner = graded.factor(J, graded.descending(sizes.columns), sizes, own_groups)
    rows_of_step, own = inner.rows, graded.log_deficit(inner)
    Y, sizes = perturbation.of_product(inner.R @ graded.take_rows(U, inner.order))
    if groups is not None:
        groups = structure.groups(inner.order)
    factors = graded.factor(Y, graded.descending(sizes.columns + d), sizes, groups)
    rank = structure.ranks.sum(-1) if groups is None else groups
    factors = graded.truncated(Y, d, sizes, factors, rank)
    # Rounding errors in R_J are relative to the rows of J, and to its columns.
    of_step = (rows_of_step - factors.log_diagonal).nan_to_num(nan=-torch.inf, posinf=torch.inf)
    loss = torch.logaddexp(graded.log_loss(factors), of_step.minimum(own))
    if factors.kept is not None:
        loss = loss.masked_fill(~factors.kept, -torch.inf)
    return factors._replace(Q=inner.Q @ factors.Q), loss


def dense(step: Tensor | StepOperator) -> Tensor:
    """Return J as a matrix.

    Examples
    --------
    >>> dense(torch.eye(2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return step if isinstance(step, Tensor) else step.dense()


def has_even_columns(step: Tensor | StepOperator) -> bool:
    """Return whether no column of J is so small that it would drown in J U.

    Examples
    --------
    >>> has_even_columns(torch.diag(torch.tensor([1.0, 1e-3])))
    False
    """
    columns = dense(step).abs().amax(-2)
    return bool((columns.amax(-1) < SPREAD * columns.amin(-1)).all())
