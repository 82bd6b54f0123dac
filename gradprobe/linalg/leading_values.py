"""The leading singular values of a product that is too wide to be formed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.linalg.errors_of_leading_values import (
    Turned,
    errors_of_leading_values,
    outwards,
    settled,
)
from gradprobe.linalg.norm_estimate import random_columns
from gradprobe.linalg.operators import check_dtype
from gradprobe.linalg.spectrum import Spectrum
from gradprobe.linalg.thin_product import ThinProduct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from gradprobe.linalg.operators import StepOperator


@dataclass(frozen=True)
class LinearMap:
    """A product of steps that can be run from either end.

    Parameters
    ----------
    forward
        Gives J_1, J_2, … J_T, anew at each call.
    backward
        Gives J_Tᵀ, … J_1ᵀ, anew at each call.
    size
        Rows and columns of each J.
    batch_shape
        Leading axes: one independent product for each index.
    dtype, device
        Of the columns that the steps are applied to.
    rows
        Which rows and columns of the product are meant; all by default.

    Examples
    --------
    >>> step = torch.eye(3, dtype=torch.float64) / 2
    >>> product = LinearMap(lambda: [step] * 5, lambda: [step.T] * 5, 3)
    >>> leading = leading_singular_values(product, 2, generator=torch.Generator())
    >>> leading.spectrum.log_singular_values.exp()
    tensor([0.0312, 0.0312], dtype=torch.float64)
    """

    forward: Callable[[], Iterable[Tensor | StepOperator]]
    backward: Callable[[], Iterable[Tensor | StepOperator]]
    size: int
    batch_shape: Sequence[int] = ()
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"
    rows: slice | None = None

    @property
    def rank(self) -> int:
        """The largest rank that the block can have: its number of rows."""
        return self.size if self.rows is None else len(range(self.size)[self.rows])


class Leading(NamedTuple):
    """The leading singular values of M, and the directions that they belong to.

    Attributes
    ----------
    spectrum
        The log singular values with their errors.
    directions
        U, orthonormal columns, (*batch_shape, size, p): the leading left singular vectors and some
        more directions.
    log_values
        The log singular values of UᵀM, (*batch_shape, p).

    Examples
    --------
    >>> step = torch.diag(torch.tensor([1.0, 0.5, 0.1], dtype=torch.float64))
    >>> product = LinearMap(lambda: [step], lambda: [step], 3)
    >>> leading_singular_values(product, 1, generator=torch.Generator()).directions.shape
    torch.Size([3, 3])
    """

    spectrum: Spectrum
    directions: Tensor
    log_values: Tensor


def leading_singular_values(
    product: LinearMap,
    count: int,
    *,
    generator: torch.Generator,
    oversampling: int = 8,
    sweeps: int = 6,
    tolerance: float = 1e-6,
) -> Leading:
    r"""Return the largest log singular values of M = J_T ⋯ J_1, by subspace iteration.

    Parameters
    ----------
    product
        M.
    count
        How many values.
    generator
        Draws the subspace to begin with, on the CPU.
    oversampling
        How many more directions are followed, so that those asked for settle.
    sweeps
        At most how many times M and Mᵀ are applied, one pair each.
    tolerance
        Sweeps end once all errors are as small; also what counts as resolved.

    Returns
    -------
    Leading
        With `count` values; each is at most the true one, but for rounding.

    Raises
    ------
    ArgumentError
        `count` exceeds the size.
    NonFiniteError
        A step holds NaN or an infinity, or overflows.

    Notes
    -----
    From a random subspace of p = count + oversampling directions, sweeps go back and forth; at each
    step the p columns are made orthonormal again and their triangular factors are gathered graded
    (`ThinProduct`), so that a value far below the largest keeps its digits.  The singular values of
    M Q never fall from one half-sweep to the next, and are bounded by those of M (Halko,
    Martinsson, Tropp 2011).  With δ what value i rose by in the last half-sweep, or
    the level of rounding if more (a direction that a step leaves far shorter than the longest may
    be rounding alone, and is not determined), the stated error is

    - where a leading subspace that holds direction i has settled from one sweep to the next: what
      a geometric series would still add, 4δ/(1 − q), with q the ratio to the rise before;
    - where it has not, as in a flat spectrum: ½ log(1 + 2r/√w) + 4δ, with r the tangent of the
      angle by which the direction leaves the subspace in a sweep (the residual of MᵀM, relative to
      σ²) and w the least weight that i given directions have in p random ones.  A direction
      that σ e^g belongs to, of which the subspace holds the weight w, makes r = √w (e^(2g) − 1);
      that they have less has a probability of 10⁻³ (the same, on pseudo-inverses of Gaussian
      matrices).

    Memory: a few times size · p numbers, and what the steps need.

    References
    ----------
    Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 53, 2011,
    algorithm 4.4.

    Examples
    --------
    >>> steps = [torch.diag(0.5 ** torch.arange(50.0, dtype=torch.float64))] * 30
    >>> product = LinearMap(lambda: steps, lambda: steps, 50)
    >>> leading = leading_singular_values(product, 3, generator=torch.Generator())
    >>> (leading.spectrum.log_singular_values / torch.tensor(2.0).log()).round().abs().tolist()
    [0.0, 30.0, 60.0]
    """
    followed = min(product.rank, checks.positive_integer("count", count) + oversampling)
    if count > product.rank:
        raise ArgumentError(f"count must be at most the size {product.rank}, got {count}")
    checks.positive_integer("sweeps", sweeps)
    history: list[Tensor] = []
    random = random_columns(
        product.size,
        followed,
        batch_shape=tuple(product.batch_shape),
        like=torch.empty((), dtype=check_dtype(product.dtype), device=product.device),
        generator=generator,
        rows=product.rows,
    )
    start = right = torch.linalg.qr(random).Q
    for sweep in itertools.count(1):
        left, values, _ = _half_sweep(product, product.forward(), right)
        history.append(values)
        new, values, lost = _half_sweep(product, product.backward(), left)
        history.append(values)
        turned = Turned(
            settled(start, right, new, product.rank), outwards(right, new, values), product.rank
        )
        error = errors_of_leading_values(history, turned, lost)[..., :count]
        right = new
        if sweep == sweeps or bool((error <= tolerance).all()):
            spectrum = Spectrum(history[-1][..., :count], error, error <= tolerance)
            return Leading(spectrum, left, history[-1])
    raise AssertionError  # the loop has no other end


def _half_sweep(
    product: LinearMap, steps: Iterable[Tensor | StepOperator], columns: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the directions that the columns are mapped to, the log values, what rounding did."""
    thin = ThinProduct(columns)
    for step in steps:
        thin.absorb(step)
    if product.rows is not None:
        thin.restrict(product.rows)
    return thin.directions(), thin.log_singular_values(), thin.rounding()
