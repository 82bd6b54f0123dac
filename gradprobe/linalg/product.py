"""The product of many step Jacobians, with all its singular values at any length."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gradprobe import checks
from gradprobe.errors import NonFiniteError
from gradprobe.linalg import graded
from gradprobe.linalg.delicate import delicate_factors, dense, has_even_columns
from gradprobe.linalg.errors_of_values import stated_errors
from gradprobe.linalg.history import History
from gradprobe.linalg.operators import check_dtype, check_step, chosen_mask
from gradprobe.linalg.passage import arrive, onwards, standstill, with_grading, without_copies
from gradprobe.linalg.perturbation import Perturbation
from gradprobe.linalg.reduction import log_singular_values
from gradprobe.linalg.rounding_within import RoundingWithin
from gradprobe.linalg.spectrum import Spectrum
from gradprobe.linalg.strays import Move, Strays
from gradprobe.linalg.stride import DELICATE, SEVERAL, Stride, spread
from gradprobe.linalg.stride import LONGEST as LONGEST_STRIDE
from gradprobe.linalg.structure import Structure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradprobe.linalg.operators import StepOperator

GROWTH = 2.0
"""Refactor once ‖V‖_F² / size exceeds this. As |det V| = 1, it is 1 at least: for orthogonal V."""

CALM = 1.3
"""Up to this ‖V‖_F² / size, V may be left alone for twice as long."""

LONGEST = 16
"""For how many factorisations V may be left alone."""

SINGULAR = math.log(1e4)
"""At a deficit beyond this, a single step is always factored alone before J U is."""

ORDINARY = {torch.float64: 2.0**100, torch.float32: 2.0**20}
"""Factor at once where the columns' largest entry leaves 1 / this … this: more may overflow."""

LOST = 25.0
"""The logarithm of a loss that leaves of a direction no more than rounding has put in its place."""


class GradedProduct:
    r"""The product :math:`M_t = J_t \cdots J_1`, kept as :math:`U \mathrm{diag}(e^d) V`.

    Parameters
    ----------
    size
        Rows and columns of each J.
    batch_shape
        Leading axes: one independent product for each index.
    dtype
        ``torch.float64`` (default) or ``torch.float32``: of the factors.
    device
        Where the product is kept. Final reductions run on the CPU.
    repetitions
        How many perturbed copies run beside the product, for `factors`; none by default. What
        `Spectrum` states as errors does not need them.
    generator
        Draws the perturbations, on the CPU. None: a new one with seed 0.
    tolerance
        Largest error of a value that counts as resolved.

    Raises
    ------
    ArgumentError
        A size, shape, dtype or tolerance is wrong.
    NonFiniteError
        An absorbed step holds NaN or an infinity, or overflows.

    Notes
    -----
    To absorb a step: QR of the columns of J U, sorted by norm times e^d, gives the new U; the
    diagonal of R moves into d, its signs stay in the graded triangular factor, which V absorbs
    every few steps. Stated errors follow from how rounding at each step is enlarged on the rest of
    the way (`gradprobe.linalg.history.History`). See Stewart, "On graded QR decompositions of
    products of matrices", Electronic Transactions on Numerical Analysis, and Bauer, "Fast and
    stable determinant quantum Monte Carlo", SciPost Phys. Core 2, 011, 2020.

    Examples
    --------
    >>> import torch
    >>> product = GradedProduct(2, generator=torch.Generator().manual_seed(0))
    >>> for _ in range(1000):
    ...     product.absorb(torch.tensor([[0.5, 0.0], [0.0, 0.25]], dtype=torch.float64))
    >>> (product.log_singular_values().log_singular_values / torch.tensor(0.5).log()).round()
    tensor([1000., 2000.], dtype=torch.float64)
    """

    def __init__(
        self,
        size: int,
        *,
        batch_shape: Sequence[int] = (),
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
        repetitions: int = 0,
        generator: torch.Generator | None = None,
        tolerance: float = 1e-6,
    ) -> None:
        self.size = checks.positive_integer("size", size)
        self.batch_shape = tuple(
            checks.positive_integer("each of batch_shape", n) for n in batch_shape
        )
        self.dtype = check_dtype(dtype)
        self.repetitions = checks.non_negative_integer("repetitions", repetitions)
        self.tolerance = checks.positive_number("tolerance", tolerance)
        self.steps = 0
        identity = torch.eye(self.size, dtype=dtype, device=device)
        copies = (1 + self.repetitions, *self.batch_shape)
        start = identity.expand(*copies, self.size, self.size)
        zeros = torch.zeros(*copies, self.size, dtype=torch.float64, device=device)
        self._at = graded.Graded(start, zeros, start)
        self._passage = self._standstill = standstill(start)._replace(graded=False)
        self._d = zeros
        self._dead: Tensor | None = None
        self._has_lost = False
        self._history = History()
        self._since, self._span = 0, 1
        # Perturbed copies keep no zeros, so that nothing keeps the groups of their entries apart.
        grouped = self.repetitions == 0
        self._structure = Structure(self.batch_shape, self.size, zeros.device, grouped=grouped)
        self._strays = Strays(zeros[0], 1 / torch.finfo(dtype).eps)
        source = torch.Generator().manual_seed(0) if generator is None else generator
        self._perturbation = Perturbation(copies, self.size, identity, source)
        self._U = self._columns = start
        self._pending: list[Tensor | StepOperator] = []
        self._stride = Stride()
        self._rounding = RoundingWithin(identity, LONGEST_STRIDE)

    def absorb(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M.

        Parameters
        ----------
        step
            J: a tensor (*batch_shape, size, size), or a `StepOperator`, which is kept for a few
            steps and must not change.
        """
        check_step(step, self.steps + 1, (*self.batch_shape, self.size, self.size), self.dtype)
        if self._structure.grouped:
            self._structure.join(dense(step))
        self._multiply(step.clone() if isinstance(step, Tensor) else step, self.steps + 1)
        self.steps += 1

    def log_singular_values(self) -> Spectrum:
        """Return the log singular values of M, with their errors; M stays as it is."""
        product = self._factored()
        return product._spectrum(product._at, self.size, product._structure.ranks)

    def factors(self, chosen: slice | Tensor | None = None) -> graded.Graded:
        r"""Return U, d, V of :math:`M = U \mathrm{diag}(e^d) V`; M stays as it is.

        Parameters
        ----------
        chosen
            Set all rows and columns of M to zero but these: a slice, or a tensor of indices or of
            truth values. All are kept by default.

        Returns
        -------
        Graded
            The factors with axes (1 + repetitions, *batch_shape, …): those of M first, then those
            of the perturbed copies. U and V are well conditioned; d = −inf beyond the rank that
            the zeros of the steps allow.

        Examples
        --------
        >>> import torch
        >>> product = GradedProduct(2)
        >>> product.absorb(torch.diag(torch.tensor([2.0, 0.0], dtype=torch.float64)))
        >>> U, d, V = product.factors()
        >>> (U[0] @ d[0].exp().diag() @ V[0]).round(decimals=6).tolist()
        [[2.0, 0.0], [0.0, 0.0]]
        """
        product = self._factored()
        if chosen is None:
            return product._at
        mask = chosen_mask("chosen", chosen, self.size, self._at.d.device)
        return graded.transposed(product._block(mask, mask)[0])

    def block(self, rows: slice | Tensor, columns: slice | Tensor) -> Spectrum:
        """Return the spectrum of M[rows, columns]; M stays as it is.

        Parameters
        ----------
        rows, columns
            Slices, or tensors of indices (int64) or of truth values (bool): which rows and columns
            of M, without repetition.

        Returns
        -------
        Spectrum
            Of as many values as the block has rows or columns, whichever are fewer.

        Examples
        --------
        >>> import torch
        >>> product = GradedProduct(3, generator=torch.Generator().manual_seed(0))
        >>> product.absorb(torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)))
        >>> spectrum = product.block(slice(0, 2), slice(0, 2)).log_singular_values
        >>> spectrum.exp().round(decimals=6).tolist()
        [2.0, 1.0]
        """
        device = self._at.d.device
        row_mask = chosen_mask("rows", rows, self.size, device)
        column_mask = chosen_mask("columns", columns, self.size, device)
        product = self._factored()
        count = min(int(row_mask.sum()), int(column_mask.sum()))
        block, ranks = product._block(row_mask, column_mask)
        return product._spectrum(block, count, ranks, column_mask)

    def _block(self, rows: Tensor, columns: Tensor) -> tuple[graded.Graded, Tensor]:
        """Set all else to zero in this product; return what is left, transposed, and its ranks."""
        structure = self._structure
        ranks_of_rows = structure.ranks_in(rows)
        ranks = structure.ranks_between(ranks_of_rows, columns)
        self._refactor()
        self._at = self._perturbation.of_factors(self._at)
        factors, loss = graded.restriction(self._at, rows, structure.limits(ranks_of_rows))
        loss = self._with_strays(factors, self._at.d, loss)
        way = onwards(standstill(self._at.V), factors, loss)
        self._at = graded.join(self._at, factors)
        self._history.append(without_copies(way), self._at.d[0])
        turned = graded.transposed(self._at)
        limits = structure.limits(ranks)
        return graded.join(turned, graded.restriction(turned, columns, limits)[0]), ranks

    def _spectrum(
        self, values_of: graded.Graded, count: int, ranks: Tensor, columns: Tensor | None = None
    ) -> Spectrum:
        """Return the spectrum of `values_of`: this product, or what is left of it in `columns`."""
        own, rank = graded.Graded(*(part[:1] for part in values_of)), ranks.sum(-1)
        values = log_singular_values(own)[0, ..., :count]
        order = graded.descending(self._at.d[0])
        V = graded.take_rows(self._at.V[0].double(), order)
        sensitivity = self._history.sensitivity(V if columns is None else V * columns, order, rank)
        sensitivity = sensitivity._replace(strayed=graded.take(self._strays.farthest, order))
        error = stated_errors(values, sensitivity, rank.cpu(), self.steps, self.dtype)
        return Spectrum(values, error, error <= self.tolerance)

    def _multiply(self, step: Tensor | StepOperator, number: int) -> None:
        """Multiply the columns by J, and factor them once there are enough steps."""
        columns = step @ self._perturbation.of_columns(self._columns)
        self._rounding.go_on(step)
        self._absolute = columns.abs()
        self._rows = self._absolute.amax(-1)
        smallest, largest = torch.stack(self._rows.aminmax(dim=-1)).flatten(1).tolist()
        if not all(map(math.isfinite, largest)):
            raise NonFiniteError(f"step {number} holds NaN or an infinity, or overflows")
        self._columns = columns
        self._pending.append(step)
        ordinary = 1 / ORDINARY[self.dtype] < min(largest) <= max(largest) < ORDINARY[self.dtype]
        self._spread = spread(smallest, largest)
        if not self._stride.multiplied(self._spread) or not ordinary:
            self._factor()
        else:
            self._rounding.arise(self._rows)

    def _factor(self) -> None:
        """Factor the columns; where too many steps were multiplied, do them again in halves."""
        steps, self._pending = self._pending, []
        d = self._d
        Y, sizes = self._perturbation.of_product(self._columns, self._absolute, self._rows)
        order = graded.descending(sizes.columns + d)
        groups = self._structure.groups() if self._structure.grouped else None
        # A column that is zero would be divided by what rounding has left of it.
        if self._dead is None and groups is None:
            factors = graded.factor_calm(Y, order, sizes, even=self._spread < graded.EVEN)
        else:
            factors = graded.factor(Y, order, sizes, groups)
        deficit = self._largest_deficit(factors)
        loss, turns = self._rounding.log_loss(factors, len(steps))
        self._rounding.begin()
        limit = SEVERAL if len(steps) > 1 else DELICATE
        calm = deficit < limit and self._structure.full and not turns
        self._stride.factored(deficit, passed=calm)
        if not calm and len(steps) > 1:
            self._repeat(steps)
        elif calm or (deficit < SINGULAR and self._structure.full and has_even_columns(steps[0])):
            self._go_on(factors, d, loss)
        else:
            step = dense(steps[0])
            self._structure.follow(step, first=self.steps == 0)
            factors, loss = delicate_factors(step, self._U, d, self._perturbation, self._structure)
            self._go_on(factors, d, loss)
            if self._since:
                self._arrive()

    def _go_on(self, factors: graded.UpperFactor, d: Tensor, log_loss: Tensor) -> None:
        """Take the factors of J U; let V absorb them once there are enough."""
        log_loss = self._with_strays(factors, d, log_loss)
        factors = graded.without_zeros(factors, self._dead)
        self._passage = onwards(self._passage, factors, log_loss)
        self._dead = None if factors.kept is None else ~factors.kept
        self._U = self._columns = factors.Q
        self._d = self._logarithms()
        zeros = 0 if self._dead is None else int(self._dead[0].sum())
        self._history.note(self._d[0], zeros, anew=self._has_lost)
        self._since += 1
        if self._since >= self._span:
            self._arrive()

    def _with_strays(self, factors: graded.UpperFactor, d: Tensor, log_loss: Tensor) -> Tensor:
        """Go on to the basis of these factors; return the loss, what has strayed included."""
        self._structure.reordered(factors.order)
        followed = self._dead is not None or factors.kept is not None
        self._has_lost = followed or not float(log_loss.max()) <= LOST
        if not self._has_lost:
            return log_loss
        # A column of which nothing is left is one of rounding errors: it cannot be worse.
        log_loss = log_loss.clamp(max=-math.log(torch.finfo(self.dtype).eps))
        if followed:
            strayed = self._strays.step(self._move(factors, d, log_loss))
            log_loss = torch.logaddexp(2 * log_loss, strayed.log()) / 2
        self._has_lost = bool((log_loss > LOST).any())
        return log_loss

    def _move(self, factors: graded.UpperFactor, d: Tensor, log_loss: Tensor) -> Move:
        return Move(factors, d, log_loss, self._structure.within_reach()).without_copies()

    def _arrive(self) -> None:
        """Let V absorb what has been passed; restore its condition where that has grown."""
        passage = with_grading(self._passage)
        d, V = arrive(self._at.d, self._at.V, passage, self._dead)
        self._at = graded.Graded(self._U, d, V)
        self._history.append(without_copies(passage), d[0])
        self._passage, self._since = self._standstill, 0
        growth = float(torch.linalg.matrix_norm(V).amax() ** 2) / self.size
        if growth > GROWTH:
            self._refactor()
            self._span = max(1, self._span // 2)
        elif growth < CALM:
            self._span = min(2 * self._span, LONGEST)

    def _refactor(self) -> None:
        """Restore the condition of V, and take note of the new basis as of another step."""
        order = graded.descending(self._at.d)
        U, d, V = graded.sorted_by_size(self._at)
        self._structure.reordered(order)
        groups = self._structure.groups() if self._structure.grouped else None
        L, factors, W = graded.rebalanced(graded.Graded(U, d, V), groups)
        self._structure.reordered(factors.order)
        if self._dead is not None:
            self._strays.turn(
                None if order is None else order[0], self._move(factors, d, torch.zeros_like(d))
            )
        factors = graded.without_zeros(factors, graded.zeros_of(d))
        self._at = graded.join(graded.Graded(L, d, W), factors)
        self._at = self._at._replace(U=U @ factors.Q)
        way = standstill(V, order)
        inverse = torch.linalg.solve_triangular(L, way.A, upper=False)
        way = onwards(way._replace(A=inverse), factors, torch.full_like(d, -torch.inf))
        self._history.append(without_copies(way), self._at.d[0])
        self._U = self._columns = self._at.U
        self._d, self._dead = self._at.d, graded.zeros_of(self._at.d)

    def _logarithms(self) -> Tensor:
        """Return d as it is now, V being left behind."""
        d = self._at.d.gather(-1, self._passage.order) + self._passage.growth
        return d if self._dead is None else d.masked_fill(self._dead, -torch.inf)

    def _repeat(self, steps: list[Tensor | StepOperator]) -> None:
        """Take the steps since the last factorisation again, fewer at a time."""
        self._columns = self._U
        for number, step in enumerate(steps, self.steps + 2 - len(steps)):
            self._multiply(step, number)

    def _factored(self) -> GradedProduct:
        """Return a copy that has no step left to factor; this product stays as it is."""
        twin = copy.copy(self)
        twin._perturbation, twin._stride = self._perturbation.copied(), copy.copy(self._stride)
        twin._rounding = copy.copy(self._rounding)
        twin._history, twin._pending = self._history.copied(), list(self._pending)
        twin._structure, twin._strays = copy.copy(self._structure), self._strays.copied()
        while twin._pending:
            twin._factor()
        if twin._since:
            twin._arrive()
        return twin

    def _largest_deficit(self, factors: graded.UpperFactor) -> float:
        """Return the largest deficit of a column that is not zero already."""
        deficit = graded.log_deficit(factors)
        if self._dead is not None:
            deficit = deficit.masked_fill(graded.take(self._dead, factors.order), -torch.inf)
        return float(deficit.max())
