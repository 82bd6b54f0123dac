"""Vectors pulled back through many steps: scaled, with directions entering on the way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe import checks
from gradprobe.errors import NonFiniteError
from gradprobe.linalg.scaled import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.linalg.operators import StepOperator

AMPLITUDE = 8.0
"""The sketch carries errors this many times larger than rounding is expected to make."""

SAFETY = 4.0
"""By how much a sketch in a few directions may fall short."""

LARGEST_ERROR = 0.1
"""Beyond this relative error a norm is not determined."""


class Size(NamedTuple):
    """Logarithms of a norm and of the rounding errors in what it is the norm of.

    Attributes
    ----------
    log_norm
        Natural logarithm, float64; −inf for zero.
    log_spread
        Natural logarithm of the estimated norm of all rounding errors; −inf where there are none.

    Examples
    --------
    >>> import torch
    >>> size = Size(torch.tensor(0.0), torch.tensor(-34.0))
    >>> size.judged(torch.float64, 1e-6).resolved.item()
    True
    """

    log_norm: Tensor
    log_spread: Tensor

    def judged(self, dtype: torch.dtype, tolerance: float) -> Norm:
        """Return the norm with its error, to first order, and whether that is within `tolerance`.

        Parameters
        ----------
        dtype
            Of the arithmetic.
        tolerance
            Largest error that counts as resolved.
        """
        relative = (self.log_spread - self.log_norm).exp() + 4 * torch.finfo(dtype).eps
        rounding = torch.finfo(torch.float64).eps * self.log_norm.abs()
        error = relative / (1 - relative) + rounding
        error = torch.where(relative < LARGEST_ERROR, error, torch.inf)
        exact_zero = (self.log_norm == -torch.inf) & (self.log_spread == -torch.inf)
        error = error.masked_fill(exact_zero, 0.0)
        return Norm(self.log_norm, error, error <= tolerance)


class Cotangents:
    r"""Columns :math:`P ← Jᵀ P` going back through steps, as a matrix times a power of two.

    Back-propagation through time carries ∂L/∂s_t, or the rows of ∂h_T/∂s_t, from the last step to
    the first.  They may shrink or grow past the range of the arithmetic, so each batch element
    keeps its own power of two; a gradient that enters at an earlier step is added at the scale of
    whichever is larger.

    Beside the columns run a sketch of their rounding errors, and marks of the rows that are not
    exactly zero, as in `gradprobe.linalg.ScaledProduct`: with P the computed columns, δP their
    error and Ω standard normal, the sketch is E = δP Ω, and

    .. math:: E ← Jᵀ (E + c u\, p ∘ N),

    u the unit of rounding, p_i the norm of row i of P, N fresh standard normal.  Then
    ‖E‖²/(columns of E) estimates ‖δP‖².

    Parameters
    ----------
    columns
        The P to start from, shape (*batch_shape, size, k).
    generator
        Draws the sketch, on the CPU.
    sketches
        Columns of E.

    Raises
    ------
    NonFiniteError
        A step makes a cotangent NaN or infinite.

    Examples
    --------
    >>> halved = torch.eye(1, dtype=torch.float64) / 2
    >>> cotangents = Cotangents(torch.ones(1, 1).double(), generator=torch.Generator())
    >>> for _ in range(3000):
    ...     cotangents.pull_back(halved)
    >>> round(cotangents.norm(tolerance=1e-6).log_norm.item() / math.log(0.5), 9)
    3000.0
    """

    def __init__(self, columns: Tensor, *, generator: torch.Generator, sketches: int = 4) -> None:
        self.columns = columns.shape[-1]
        self.sketches = checks.positive_integer("sketches", sketches)
        self.steps = 0
        self._generator = generator
        self._exponent = torch.zeros(columns.shape[:-2], dtype=torch.int64, device=columns.device)
        # Not below one in size, so that no product with an entry of a step underflows.
        self._marks = 1 + self._normal(columns.shape[-2]).to(columns).abs()
        start = torch.nn.functional.pad(columns, (0, self.sketches + 1))
        self._settle(start, (columns != 0).any(-1))

    @property
    def joint(self) -> Tensor:
        """P, E and the marks side by side, (*batch_shape, size, k + sketches + 1).

        Whatever linear map is applied to all of its columns, `size_of` measures the result.
        """
        return self._joint

    @property
    def exponent(self) -> Tensor:
        """The power of two that multiplies `joint`, (*batch_shape), int64."""
        return self._exponent

    def pull_back(self, transposed_step: Tensor | StepOperator) -> None:
        """Replace P by Jᵀ P.

        Parameters
        ----------
        transposed_step
            Jᵀ: a tensor (*batch_shape, size, size), or a `StepOperator`.
        """
        joint = transposed_step @ self._joint
        self.steps += 1
        self._settle(joint, _live_rows(joint, self.columns))

    def add(self, columns: Tensor, rows: slice) -> None:
        """Add `columns`, shape (*batch_shape, number of rows, k), to the chosen rows of P."""
        entering = torch.zeros_like(self._joint)
        entering[..., rows, : self.columns] = columns
        largest = entering.abs().amax((-2, -1))
        own = _exponent_of(largest)
        # A matrix of zeros has no scale of its own: it takes that of the other.
        gone = (self._joint == 0).flatten(-2).all(-1)
        common = torch.where(gone, own, self._exponent.maximum(own))
        common = torch.where(largest == 0, self._exponent, common)
        # In two halves, of which neither overflows; what enters may be as small as a number can be.
        half = torch.where(largest == 0, 0, -common).div(2, rounding_mode="floor")
        scaled = _scaled(_scaled(entering, half), torch.where(largest == 0, 0, -common - half))
        joint = _scaled(self._joint, torch.where(gone, 0, self._exponent - common)) + scaled
        self._exponent = common
        self._settle(joint, _live_rows(self._joint, self.columns) | (entering != 0).any(-1))

    def norm(self, rows: slice | None = None, *, tolerance: float) -> Norm:
        """Return the logarithm of the Frobenius norm of P, or of some of its rows, judged."""
        return self.size(rows).judged(self._joint.dtype, tolerance)

    def size(self, rows: slice | None = None) -> Size:
        """Return the logarithm of the Frobenius norm of P, or of some of its rows."""
        chosen = slice(None) if rows is None else rows
        return self.size_of(self._joint[..., chosen, :], self._exponent)

    def size_of(self, joint: Tensor, exponent: Tensor) -> Size:
        """Return the Frobenius norm of a linear image of `joint`, and of its rounding errors.

        Parameters
        ----------
        joint
            Shape (..., rows, k + sketches + 1).
        exponent
            The power of two that multiplies it, shape (...).
        """
        norm = stable_norm(joint[..., : self.columns].flatten(-2))
        sketch = stable_norm(joint[..., self.columns : -1].flatten(-2))
        live = (joint[..., -1] != 0).sum(-1).double()
        spread = SAFETY * sketch / math.sqrt(self.sketches) + live * torch.finfo(joint.dtype).tiny
        shift = exponent.double() * math.log(2)
        return Size(norm.log() + shift, spread.log() + shift)

    def _settle(self, joint: Tensor, live: Tensor) -> None:
        """Bring the columns back to about one, add fresh errors to the sketch, set the marks."""
        largest = joint[..., : self.columns].abs().amax((-2, -1))
        if not bool(torch.isfinite(largest).all()):
            raise NonFiniteError(
                f"the gradient is NaN or infinite after {self.steps} steps back in time"
            )
        # A scale far below one takes several steps, so that the factor does not overflow.
        lowest = math.frexp(torch.finfo(joint.dtype).tiny)[1]
        exponent = _exponent_of(largest).clamp(min=lowest)
        joint = _scaled(joint, -exponent)
        level = AMPLITUDE * torch.finfo(joint.dtype).eps / 2
        row_norms = stable_norm(joint[..., : self.columns])
        noise = self._normal(*row_norms.shape, self.sketches).to(joint)
        joint[..., self.columns : -1] += level * row_norms.unsqueeze(-1) * noise
        joint[..., -1] = self._marks * live
        self._joint, self._exponent = joint, self._exponent + exponent

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, dtype=torch.float64)


def stable_norm(vectors: Tensor) -> Tensor:
    """Return the 2-norms along the last axis in float64, where squares may over- or underflow.

    Examples
    --------
    >>> import torch
    >>> stable_norm(torch.tensor([3e-300, 4e-300], dtype=torch.float64)).item()
    5e-300
    """
    vectors = vectors.double()
    largest = vectors.abs().amax(-1, keepdim=True)
    scale = largest.masked_fill((largest == 0) | ~largest.isfinite(), 1.0)
    norms: Tensor = torch.linalg.vector_norm(vectors / scale, dim=-1) * scale.squeeze(-1)
    return norms


def _live_rows(joint: Tensor, columns: int) -> Tensor:
    """Return which rows are not zero by the zeros of the steps, shape (*batch_shape, size)."""
    return (joint[..., :columns] != 0).any(-1) | (joint[..., -1] != 0)


def _exponent_of(size: Tensor) -> Tensor:
    """Return e with 2^(e−1) ≤ size < 2^e, int64; 0 for zero."""
    return torch.frexp(size.double()).exponent.to(torch.int64)


def _scaled(joint: Tensor, exponent: Tensor) -> Tensor:
    """Return joint · 2^exponent, one exponent for each matrix."""
    factor = torch.exp2(exponent.double())[..., None, None]
    return (joint.double() * factor).to(joint.dtype)
