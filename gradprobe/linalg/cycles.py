"""How many eigenvalues the zeros of a product's factors allow to be other than zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from gradprobe.linalg.operators import StepOperator


def pattern_of_product(steps: Iterable[Tensor | StepOperator]) -> Tensor:
    r"""Return which entries of :math:`J_T \cdots J_1` may be other than zero.

    Parameters
    ----------
    steps
        J_1, J_2, …, at least one: tensors (\*batch_shape, size, size), or operators.

    Returns
    -------
    Tensor
        Shape (\*batch_shape, size, size), bool.

    Examples
    --------
    >>> import torch
    >>> shift = torch.diag(torch.ones(2), diagonal=1)
    >>> pattern_of_product([shift, shift]).nonzero().tolist()
    [[0, 2]]
    """
    pattern: Tensor | None = None
    for step in steps:
        matrix = step if isinstance(step, torch.Tensor) else step.dense()
        factor = (matrix != 0).float()
        # Sums of ones and zeros: no rounding can make a zero of them.
        pattern = factor if pattern is None else ((factor @ pattern) > 0).float()
    if pattern is None:
        raise ArgumentError("the pattern of a product needs at least one step, got none")
    return pattern > 0


def most_nonzero_eigenvalues(pattern: np.ndarray) -> int:
    """Return the size of the largest principal minor that the zeros of a matrix leave alive.

    All larger ones vanish, and with them the coefficients of the characteristic polynomial: at most
    so many eigenvalues are not zero, whatever the entries.  A minor is alive if its indices are
    covered by disjoint cycles along the matrix's entries, which is an assignment problem.

    Parameters
    ----------
    pattern
        Which entries may be other than zero, (size, size), bool.

    Examples
    --------
    >>> import numpy as np
    >>> most_nonzero_eigenvalues(np.triu(np.ones((4, 4), dtype=bool), 1))  # nilpotent
    0
    >>> most_nonzero_eigenvalues(np.eye(4, dtype=bool)[[1, 0, 3, 2]])  # two cycles of two
    4
    """
    allowed = pattern | np.eye(len(pattern), dtype=bool)  # an index may also be left out
    weights = np.where(allowed, pattern.astype(float), -float(len(pattern)))
    rows, columns = linear_sum_assignment(weights, maximize=True)
    return int(weights[rows, columns].sum())
