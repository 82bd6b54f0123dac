r"""A product kept as :math:`M = U \mathrm{diag}(e^d) V`, of which V follows only now and then."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch

from gradprobe.linalg import graded
from gradprobe.linalg.history import History
from gradprobe.linalg.passage import arrive, onwards, standstill, without_copies

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.perturbation import Perturbation

GROWTH = 4.0
"""Refactor once ‖V‖_F² / size exceeds this. As |det V| = 1, it is 1 at least: for orthogonal V."""

CALM = 2.0
"""Up to this ‖V‖_F² / size, V may be left alone for twice as long."""

LONGEST = 32
"""For how many factorisations V may be left alone."""

LOST = 25.0
"""The logarithm of a loss that leaves of a direction no more than rounding has put in its place."""


class Decomposition:
    """U, d, V and the way that they have come.

    Parameters
    ----------
    start
        The identity, (copies, *batch_shape, n, n): the first is the product, the others are copies
        of it, which are perturbed.

    Attributes
    ----------
    U
        A well-conditioned basis, whose columns may be in any order.
    d
        As it is now, float64; −inf where `dead`.
    dead
        Which columns are zero.
    history
        From which the errors of singular values follow.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.linalg.graded import factor, log_loss, sizes_of
    >>> decomposition = Decomposition(torch.eye(2, dtype=torch.float64)[None])
    >>> Y = torch.tensor([[[3.0, 0.0], [0.0, 2.0]]], dtype=torch.float64) @ decomposition.U
    >>> factors = factor(Y, None, sizes_of(Y))
    >>> decomposition.go_on_with_care(factors, log_loss(factors, sizes_of(Y)))
    >>> U, d, V = decomposition.arrive()
    >>> (U @ d.exp().diag_embed() @ V).round(decimals=6).tolist()
    [[[3.0, 0.0], [0.0, 2.0]]]
    """

    def __init__(self, start: Tensor) -> None:
        zeros = torch.zeros(start.shape[:-1], dtype=torch.float64, device=start.device)
        self.U, self.d = start, zeros
        self.dead = self._none = zeros != 0
        self.history = History()
        self._at, self._passage = graded.Graded(start, zeros, start), standstill(start)
        self._since, self._span, self._reach = 0, 1, 0.0

    @property
    def is_full(self) -> bool:
        """Whether no column is zero."""
        return self.dead is self._none

    def copied(self) -> Decomposition:
        """Return one that can go on apart from this one."""
        twin = copy.copy(self)
        twin.history = self.history.copied()
        return twin

    def go_on(self, factors: graded.UpperFactor, log_loss: Tensor, reach: float = math.inf) -> None:
        """Take the factors of J U; let V absorb them once there are enough.

        Parameters
        ----------
        factors
            With the new U in place of Q.
        log_loss
            By how much rounding of each column was enlarged.
        reach
            The largest |log r_ii|, if it is known.
        """
        self._reach += reach
        self._passage = onwards(self._passage, factors, log_loss, self._reach)
        self.U, self.d = factors.Q, graded.take(self.d, factors.order) + factors.log_diagonal
        self._take_note()

    def go_on_with_care(self, factors: graded.UpperFactor, log_loss: Tensor) -> None:
        """Do the same where columns may be zero or lost."""
        factors = graded.without_zeros(factors, self.dead)
        # A column of which nothing is left is one of rounding errors: it cannot be worse.
        log_loss = log_loss.clamp(max=-math.log(torch.finfo(self.U.dtype).eps))
        self._reach = math.inf
        self._passage = onwards(self._passage, factors, log_loss)
        before = int(self.dead.sum())
        self.dead = self._none if factors.kept is None else ~factors.kept
        self.U, self.d = factors.Q, self._logarithms()
        has_lost = bool((log_loss > LOST).any()) or int(self.dead.sum()) != before
        self._take_note(anew=has_lost)

    def _take_note(self, *, anew: bool = False) -> None:
        self.history.note(self.d[0], anew=anew)
        self._since += 1
        if self._since >= self._span:
            self.arrive()

    def arrive(self) -> graded.Graded:
        """Let V absorb what has been passed; restore its condition where that has grown."""
        if self._since:
            d, V = arrive(self._at.d, self._at.V, self._passage, self.dead)
            self._at = graded.Graded(self.U, d, V)
            self.d = d
            self.history.append(without_copies(self._passage), d[0])
            self._passage, self._since, self._reach = standstill(V), 0, 0.0
            growth = float(torch.linalg.matrix_norm(V).amax() ** 2) / V.shape[-1]
            if growth > GROWTH:
                self.refactor()
                self._span = max(1, self._span // 2)
            elif growth < CALM:
                self._span = min(2 * self._span, LONGEST)
        return self._at

    def refactor(self) -> None:
        """Restore the condition of V, and take note of the new basis as of another step."""
        order = graded.descending(self._at.d)
        U, d, V = graded.sorted_by_size(self._at)
        L, factors, W = graded.rebalanced(graded.Graded(U, d, V))
        factors = graded.without_zeros(factors, d == -torch.inf)
        at = graded.join(graded.Graded(L, d, W), factors)
        way = standstill(V, order)
        inverse = torch.linalg.solve_triangular(L, way.A, upper=False)
        way = onwards(way._replace(A=inverse), factors, torch.full_like(d, -torch.inf))
        self._move(at._replace(U=U @ factors.Q))
        self.history.append(without_copies(way), self.d[0])

    def restrict(self, rows: Tensor, rank: Tensor, perturbation: Perturbation) -> None:
        """Set all rows of the product but those where `rows`, (n), is true to zero."""
        self._at = perturbation.of_factors(self._at)
        factors, loss = graded.restriction(self._at, rows, rank)
        way = onwards(standstill(self._at.V), factors, loss)
        self._move(graded.join(self._at, factors))
        self.history.append(without_copies(way), self.d[0])

    def _move(self, at: graded.Graded) -> None:
        self._at, self.U, self.d = at, at.U, at.d
        self.dead = at.d == -torch.inf
        if not bool(self.dead.any()):
            self.dead = self._none

    def _logarithms(self) -> Tensor:
        """Return d as it is now, V being left behind."""
        d = self._at.d.gather(-1, self._passage.order) + self._passage.growth
        return d.masked_fill(self.dead, -torch.inf)
