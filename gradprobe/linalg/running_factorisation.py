"""The factorisation of a product that goes on with every step."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradprobe.errors import NonFiniteError
from gradprobe.linalg import graded
from gradprobe.linalg.cholesky_qr import cholesky_qr
from gradprobe.linalg.decomposition import Decomposition
from gradprobe.linalg.rounding import RoundingSketch
from gradprobe.linalg.stride import Stride
from gradprobe.linalg.structure import StructuralZeros

if TYPE_CHECKING:
    from gradprobe.linalg.operators import StepOperator
    from gradprobe.linalg.perturbation import Perturbation

SINGLE = math.log(1e4)
"""Up to this loss a single step may be factored quickly."""

BLOCK = math.log(1e2), math.log(3e5)
"""Within these limits lies the loss up to which those of several steps may, …"""

SHARE = 1e4
"""… which is what makes rounding this many times smaller than the tolerance."""

CAUTION = math.log(3.0)
"""By how much more a block of several steps may have lost than its sketch of few columns shows."""

STRAIGHT = 0.1
"""How far a basis may be from orthogonal, entry by entry."""

SLACK = 3.0
"""Columns that come out in another order by more nats are sorted, and factored again."""

DELICATE = math.log(1e3)
"""A deficit (`graded.log_deficit`) beyond this: J may have small columns, …"""

SINGULAR = math.log(1e4)
"""… and beyond this it is always factored alone before J U is."""

SPREAD = 30.0
"""Columns of J whose sizes differ by less than this factor need not be factored alone."""

ORDINARY = {torch.float64: 2.0**100, torch.float32: 2.0**20}
"""Factor at once where the rows' norms leave 1 / this … this: more may overflow."""


class Findings(NamedTuple):
    """What decides whether quick factors may pass.

    Attributes
    ----------
    inversion
        By how many nats a column lies above one that comes before it.
    log_loss
        The logarithm of the largest loss of a column.
    reach
        The largest |log r_ii|.
    departure
        Of the basis from orthogonality.
    """

    inversion: float
    log_loss: float
    reach: float
    departure: float


class RunningFactorisation:
    r"""Steps go in, factors :math:`U \mathrm{diag}(e^d) V` come out.

    As a rule, the columns of J U, or of the product of a few steps, are factored by Cholesky QR
    (`gradprobe.linalg.cholesky_qr`), beside a sketch of their rounding errors: where these have
    grown too large, fewer steps are tried, and a single step is taken with care, by one or two QR
    factorisations with sorted rows and columns.

    Parameters
    ----------
    start
        The identity, (copies, *batch_shape, n, n).
    perturbation
        Of the copies.
    tolerance
        Of the errors of singular values, which decides how many digits a block of steps may cost.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.linalg.perturbation import Perturbation
    >>> identity = torch.eye(2, dtype=torch.float64)
    >>> perturbation = Perturbation((1,), 2, identity, torch.Generator())
    >>> running = RunningFactorisation(identity[None], perturbation, tolerance=1e-6)
    >>> running.multiply(torch.diag(torch.tensor([3.0, 2.0], dtype=torch.float64)))
    >>> running.finished().decomposition.arrive().d.exp().round(decimals=6).tolist()
    [[3.0, 2.0]]
    """

    def __init__(self, start: Tensor, perturbation: Perturbation, tolerance: float) -> None:
        self.decomposition = Decomposition(start)
        self.zeros = StructuralZeros(start.shape[1:-1], start.device)
        self._perturbation, self._sketch = perturbation, RoundingSketch(start)
        unit = torch.finfo(start.dtype).eps / 2
        least, most = BLOCK
        self.stride = Stride(min(max(math.log(tolerance / unit / SHARE), least), most))
        self._is_oblique = False
        self._steps = 0
        self._begin()

    def multiply(self, step: Tensor | StepOperator) -> None:
        """Replace M by J M; the step is kept until there are enough to be factored."""
        self._apply(step)
        if len(self._pending) >= self.stride.length:
            self._factor()

    def finished(self) -> RunningFactorisation:
        """Return a copy that has no step left to factor, with an orthogonal U."""
        twin = copy.copy(self)
        twin.decomposition, twin.stride = self.decomposition.copied(), copy.copy(self.stride)
        twin._perturbation, twin._sketch = self._perturbation.copied(), copy.copy(self._sketch)
        twin.zeros, twin._pending = copy.copy(self.zeros), list(self._pending)
        if twin._pending:
            twin._factor()
        twin._orthogonalise()
        twin.decomposition.arrive()
        return twin

    def restricted(self, rows: Tensor, columns: Tensor) -> tuple[graded.Graded, Tensor]:
        """Set all else to zero in this product; return what is left, transposed, and its rank."""
        rank_of_rows = self.zeros.rank_of_rows(rows)
        rank = rank_of_rows.minimum((self.zeros.started & columns).sum(-1))
        self.decomposition.refactor()
        self.decomposition.restrict(rows, rank_of_rows, self._perturbation)
        at = self.decomposition.arrive()
        turned = graded.transposed(at)
        return graded.join(turned, graded.restriction(turned, columns, rank)[0]), rank

    def _begin(self) -> None:
        """Go on from U, with no step to be factored."""
        self._pending: list[Tensor | StepOperator] = []
        self._joint, norms = self._sketch.with_errors(self.decomposition.U)
        self._norms = [norms]

    def _apply(self, step: Tensor | StepOperator) -> None:
        """Multiply the columns and their errors by J."""
        joint = step @ self._perturbation.of_columns(self._joint)
        norms = self._sketch.add_errors(joint)
        # The norm of large rows may overflow, which is no reason to refuse them.
        if not math.isfinite(norms.amax()) and not self._sketch.parted(joint)[0].isfinite().all():
            number = self._steps + len(self._pending) + 1
            raise NonFiniteError(f"step {number} holds NaN or an infinity, or overflows")
        self._joint = joint
        self._norms.append(norms)
        self._pending.append(step)

    def _factor(self) -> None:
        """Factor the steps; where they were too many, take them again, half of them at a time."""
        steps = self._pending
        if self._factor_quickly():
            self._steps += len(steps)
            self._begin()
        elif len(steps) == 1:
            self._begin()
            self._factor_carefully(steps[0])
            self._steps += 1
            self._begin()
        else:
            if len(steps) == self.stride.length:
                self.stride.failed()
            self._begin()
            half = len(steps) // 2
            for part in (steps[:half], steps[half:]):
                for step in part:
                    self._apply(step)
                self._factor()

    def _factor_quickly(self) -> bool:
        """Factor the columns by Cholesky QR, if that leaves them digits enough."""
        if not (self.zeros.is_none and self.decomposition.is_full):
            return False
        Y, errors = self._sketch.parted(self._joint)
        smallest, largest = torch.stack(torch.stack(self._norms).aminmax()).tolist()
        if not (1 / ORDINARY[Y.dtype] < smallest and largest < ORDINARY[Y.dtype]):
            return False
        Y = self._perturbation.of_product(Y)
        factors, log_loss, found = self._quick_factors(Y, errors, None)
        if found.inversion > SLACK:
            sizes = Y.abs().amax(-2).double().log()
            order = graded.descending(sizes + self.decomposition.d)
            factors, log_loss, found = self._quick_factors(Y, errors, order)
        several = len(self._pending) > 1
        allowed = self.stride.allowed if several else SINGLE
        if not (found.departure < STRAIGHT and found.log_loss < allowed):
            return False
        if len(self._pending) == self.stride.length:
            self.stride.passed(found.log_loss)
        # The stated errors allow for rows as long as all their columns together.
        share = (CAUTION if several else 0.0) - 0.5 * math.log(Y.shape[-1])
        self.decomposition.go_on(factors, log_loss + share, found.reach)
        self._is_oblique = True
        return True

    def _quick_factors(
        self, Y: Tensor, errors: Tensor, order: Tensor | None
    ) -> tuple[graded.UpperFactor, Tensor, Findings]:
        """Return the factors, the logarithms of the loss of each column, and what decides."""
        factors, sizes, departure = cholesky_qr(Y, errors, self._sketch.probes, order)
        # Vectors: numpy takes a third of the time, and all that decides must come to the CPU.
        growth, rows = factors.log_diagonal.cpu().numpy(), sizes.cpu().numpy()
        d = graded.take(self.decomposition.d, order).cpu().numpy() + growth
        with np.errstate(all="ignore"):
            rows = np.log(rows)
            # An error in a row acts on the columns before it, and on those after it that have grown
            # as large as it by now.
            before = np.maximum.accumulate(rows[..., ::-1], axis=-1)[..., ::-1]
            after = np.maximum.accumulate(rows - d, axis=-1) + d
            log_loss = np.maximum(before, after) - growth
            inversion = (d - np.minimum.accumulate(d, axis=-1)).max()
        found = Findings(inversion, log_loss.max(), abs(growth).max(), float(departure))
        return factors, torch.from_numpy(log_loss).to(Y.device), found

    def _factor_carefully(self, operator: Tensor | StepOperator) -> None:
        """Factor J U by Householder QR with sorted rows and columns."""
        self._orthogonalise()
        Y = operator @ self._perturbation.of_columns(self.decomposition.U)
        Y, sizes = self._perturbation.of_product(Y), graded.sizes_of(Y)
        factors = graded.factor(Y, graded.descending(sizes.columns + self.decomposition.d), sizes)
        deficit = self._largest_deficit(factors, sizes)
        calm = deficit < DELICATE and self.zeros.is_none
        if calm or (deficit < SINGULAR and self.zeros.is_none and _has_even_columns(operator)):
            self.decomposition.go_on_with_care(factors, graded.log_loss(factors, sizes))
        else:
            step = operator if isinstance(operator, Tensor) else operator.dense()
            self.decomposition.go_on_with_care(*self._delicate_factors(step))
            self.decomposition.arrive()
        self._is_oblique = False

    def _orthogonalise(self) -> None:
        """Let U be orthogonal, as if by another step, the identity."""
        if self._is_oblique:
            U = self.decomposition.U
            sizes = graded.sizes_of(U)
            factors = graded.factor(
                U, graded.descending(sizes.columns + self.decomposition.d), sizes
            )
            self.decomposition.go_on_with_care(factors, graded.log_loss(factors, sizes))
            self._is_oblique = False

    def _largest_deficit(self, factors: graded.UpperFactor, sizes: graded.Sizes) -> float:
        """Return the largest deficit of a column that is not zero already."""
        dead = graded.take(self.decomposition.dead, factors.order)
        return float(graded.log_deficit(factors, sizes).masked_fill(dead, -torch.inf).max())

    def _delicate_factors(self, step: Tensor) -> tuple[graded.UpperFactor, Tensor]:
        """Factor J U diag(e^d) when J is ill-conditioned or singular; return the log loss, too.

        J is factored alone first, J = Q_J R_J, because small columns of J would drown in J U. Then
        R_J U has graded rows only, which row-sorted QR does not mix. Columns beyond the rank that
        the zeros of the steps allow get d = −inf.
        """
        self.zeros.follow(step, is_first=self._steps == 0)
        U, d = self.decomposition.U, self.decomposition.d
        J = self._perturbation.of_product(step.expand(U.shape).clone())
        sizes = graded.sizes_of(J)
        inner = graded.factor(J, graded.descending(sizes.columns), sizes)
        rows_of_step, own = sizes.sorted_rows, graded.log_deficit(inner, sizes)
        Y = self._perturbation.of_product(inner.R @ graded.take_rows(U, inner.order))
        sizes = graded.sizes_of(Y)
        factors = graded.factor(Y, graded.descending(sizes.columns + d), sizes)
        factors = graded.truncated(Y, d, sizes, factors, self.zeros.rank)
        # Rounding errors in R_J are relative to the rows of J, and to its columns.
        of_step = (rows_of_step - factors.log_diagonal).nan_to_num(nan=-torch.inf, posinf=torch.inf)
        loss = torch.logaddexp(graded.log_loss(factors, sizes), of_step.minimum(own))
        if factors.kept is not None:
            loss = loss.masked_fill(~factors.kept, -torch.inf)
        return factors._replace(Q=inner.Q @ factors.Q), loss


def _has_even_columns(step: Tensor | StepOperator) -> bool:
    """Return whether no column of J is so small that it would drown in J U."""
    columns = (step if isinstance(step, Tensor) else step.dense()).abs().amax(-2)
    return bool((columns.amax(-1) < SPREAD * columns.amin(-1)).all())
