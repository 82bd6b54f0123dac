"""Singular values of products in arbitrary precision, by python-flint (the extra ``exact``)."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, NamedTuple

import flint
import numpy as np

from gradprobe import checks
from gradprobe.errors import ArgumentError, NonFiniteError

if TYPE_CHECKING:
    from collections.abc import Iterable

MANTISSA_BITS = 53  # of a float64
BITS_OF_LOGARITHMS = 100
PRIME = 2**61 - 1

FIRST_BITS = 1000
"""The precision of the first attempt at the eigenvalues, which is doubled as long as needed."""

GUARD_BITS = 100
"""An eigenvalue counts if it is that far above the rounding errors of the largest one."""

BITS_PER_STEP = 70
"""About as many bits as a step of ordinary entries adds to the integers of a product."""

SECONDS_PER_PRODUCT = 6e-12
"""Times size³ · bits^1.5: what a product of integers takes on one core, measured."""

SECONDS_PER_SPECTRUM = 6e-11
"""Times size³ · bits^1.5: what the eigenvalues take on one core, measured."""


class ExactSpectrum(NamedTuple):
    """Logarithms of singular values and their errors.

    Attributes
    ----------
    log_singular_values
        Natural logarithms, float64, descending; −inf for a true zero, and for a value that is not
        determined.
    error
        Absolute errors: of the rounding to float64, 0 for a true zero, +inf where the precision
        did not suffice.

    Examples
    --------
    >>> ExactSpectrum(np.array([0.0]), np.array([1e-30])).error.tolist()
    [1e-30]
    """

    log_singular_values: np.ndarray
    error: np.ndarray


class ExactProduct:
    r"""The product :math:`M_t = J_t \cdots J_1` of float64 matrices, without any rounding.

    Every float64 is an integer times a power of two, and so is every entry of their product.

    Parameters
    ----------
    size
        Rows and columns of each J.

    Notes
    -----
    The integers grow by about 70 bits a step, and are multiplied in a balanced tree, so that most
    factors are short. The rank of M is exact; its singular values are the roots of the eigenvalues
    of M Mᵀ, found by the QR algorithm at a precision that is doubled until it exceeds the square of
    their ratio by 100 bits. That ends: the eigenvalues of a matrix of integers that are not zero
    multiply to an integer.

    Examples
    --------
    >>> product = ExactProduct(2)
    >>> for _ in range(4):
    ...     product.absorb(np.diag([1.0, 2.0**-300]))
    >>> (product.log_singular_values().log_singular_values / np.log(2)).tolist()
    [0.0, -1200.0]
    """

    def __init__(self, size: int) -> None:
        self.size = checks.positive_integer("size", size)
        self.steps = 0
        # The digits of `steps` in base two: one partial product for each one, the longest first.
        self._parts: list[flint.fmpz_mat] = []
        self._exponent = 0

    def absorb(self, step: np.ndarray) -> None:
        """Replace M by J M.

        Parameters
        ----------
        step
            J, (size, size), float64 or float32.

        Raises
        ------
        ArgumentError
            J has another shape.
        NonFiniteError
            J holds NaN or an infinity.
        """
        if step.shape != (self.size, self.size):
            raise ArgumentError(
                f"a step must have shape ({self.size}, {self.size}), got {step.shape}"
            )
        if not np.isfinite(step).all():
            raise NonFiniteError(f"step {self.steps + 1} holds NaN or an infinity")
        integers, exponent = integer_matrix(step)
        self.steps += 1
        self._exponent += exponent
        self._parts.append(integers)
        trailing_zeros = (self.steps & -self.steps).bit_length() - 1
        for _ in range(trailing_zeros):
            later, earlier = self._parts.pop(), self._parts.pop()
            self._parts.append(later * earlier)

    def log_singular_values(
        self,
        rows: slice = slice(None),
        columns: slice = slice(None),
        *,
        seconds: float = math.inf,
    ) -> ExactSpectrum:
        """Return the log singular values of M[rows, columns].

        Parameters
        ----------
        rows, columns
            Which rows and columns of M.
        seconds
            Do not begin what is estimated to take longer, on one core of a usual processor: values
            that need a higher precision stay undetermined.

        Examples
        --------
        >>> product = ExactProduct(2)
        >>> product.absorb(np.array([[1.0, 1.0], [1.0, 1.0 + 2.0**-52]]))
        >>> product.log_singular_values().log_singular_values.round(6).tolist()
        [0.693147, -36.736801]
        """
        matrix = self._integers(rows, columns)
        count = min(matrix.nrows(), matrix.ncols())
        rank, bits = rank_of(matrix), FIRST_BITS
        spectrum = spectrum_at(matrix, self._exponent, bits, rank)
        while np.isinf(spectrum.error).any() and spectrum_seconds(count, 2 * bits) <= seconds:
            bits *= 2
            spectrum = spectrum_at(matrix, self._exponent, bits, rank)
        return spectrum

    def _integers(self, rows: slice, columns: slice) -> flint.fmpz_mat:
        identity = flint.fmpz_mat(np.eye(self.size, dtype=int).tolist())
        whole = functools.reduce(lambda later, part: later * part, self._parts[::-1], identity)
        return flint.fmpz_mat([row[columns] for row in whole.tolist()[rows]])


def integer_matrix(step: np.ndarray) -> tuple[flint.fmpz_mat, int]:
    """Return integers and an exponent e with `step` = integers · 2^e.

    Examples
    --------
    >>> integers, exponent = integer_matrix(np.array([[0.75, -2.0]]))
    >>> [int(entry) * 2.0**exponent for entry in integers.entries()]
    [0.75, -2.0]
    """
    fractions, exponents = np.frexp(step.astype(np.float64))
    mantissas = np.ldexp(fractions, MANTISSA_BITS).astype(np.int64)
    lowest = int(exponents.min(where=mantissas != 0, initial=np.iinfo(np.int32).max))
    shifts = np.where(mantissas != 0, exponents - lowest, 0)
    pairs = zip(mantissas.tolist(), shifts.tolist(), strict=True)
    integers = [[m << s for m, s in zip(*pair, strict=True)] for pair in pairs]
    return flint.fmpz_mat(integers), lowest - MANTISSA_BITS if mantissas.any() else 0


def rank_of(matrix: flint.fmpz_mat) -> int:
    """Return the rank of a matrix of integers.

    Examples
    --------
    >>> rank_of(flint.fmpz_mat([[1, 2], [3, 6]]))
    1
    """
    full = min(matrix.nrows(), matrix.ncols())
    # Modulo a prime the rank can only be lower, so that full rank shows there: much faster.
    return full if flint.nmod_mat(matrix, PRIME).rank() == full else int(matrix.rank())


def spectrum_at(matrix: flint.fmpz_mat, exponent: int, bits: int, rank: int) -> ExactSpectrum:
    """Return the spectrum of matrix · 2^exponent, of a known rank, at a precision of `bits`."""
    if matrix.nrows() > matrix.ncols():
        matrix = matrix.transpose()
    with flint.ctx.workprec(bits):
        rounded = (flint.arb_mat(matrix) * flint.arb(2) ** exponent).mid()
        squares = eigenvalues_of_gram_matrix(rounded)
        least = squares[0] * flint.arb(2) ** (GUARD_BITS - bits)
    known = sum(bool(square > least) for square in squares[:rank])
    logs, error = np.full(len(squares), -math.inf), np.zeros(len(squares))
    logs[:known] = [half_log(square) for square in squares[:known]]
    error[:known] = np.spacing(np.abs(logs[:known])) + 2.0 ** (10 - GUARD_BITS)
    error[known:rank] = math.inf
    return ExactSpectrum(logs, error)


def eigenvalues_of_gram_matrix(matrix: flint.arb_mat) -> list[flint.arb]:
    """Return the eigenvalues of A Aᵀ, descending, at the current precision."""
    gram = (matrix * matrix.transpose()).mid()
    values = flint.acb_mat(gram).eig(algorithm="approx")
    return sorted((value.real.mid() for value in values), reverse=True)


def log_singular_values(matrix: flint.arb_mat, bits: int) -> np.ndarray:
    """Log singular values of `matrix`, descending, from the eigenvalues of its Gram matrix.

    The precision must hold the square of the ratio of the largest to the smallest value; zeros
    come out at about the precision's floor.

    Examples
    --------
    >>> matrix = product([np.diag([1.0, 2.0**-300])] * 4, 2600)
    >>> (log_singular_values(matrix, 2600) / np.log(2)).round(6).tolist()
    [0.0, -1200.0]
    """
    with flint.ctx.workprec(bits):
        return np.array([half_log(value) for value in eigenvalues_of_gram_matrix(matrix)])


def product(steps: Iterable[np.ndarray], bits: int) -> flint.arb_mat:
    """Multiply float64 matrices, the first one rightmost, at a precision of `bits`.

    Examples
    --------
    >>> product([np.diag([1.0, 2.0**-300])] * 4, 2600)[1, 1] == flint.arb(2) ** -1200
    True
    """
    factors = (flint.arb_mat(step.tolist()) for step in steps)
    with flint.ctx.workprec(bits):
        return functools.reduce(lambda result, factor: (factor * result).mid(), factors)


def half_log(value: flint.arb) -> float:
    """Return log(value) / 2, correctly rounded as a rule; −inf if `value` is not positive.

    Examples
    --------
    >>> half_log(flint.arb(4)) == math.log(2)
    True
    """
    with flint.ctx.workprec(BITS_OF_LOGARITHMS):
        return float((value.mid().log() / 2).mid()) if value.mid() > 0 else -math.inf


def product_seconds(size: int, steps: int) -> float:
    """Estimate how long one core multiplies `steps` matrices of ordinary entries.

    Examples
    --------
    >>> round(product_seconds(64, 1000))
    29
    """
    return SECONDS_PER_PRODUCT * size**3 * math.pow(BITS_PER_STEP * steps, 1.5)


def spectrum_seconds(size: int, bits: int) -> float:
    """Estimate how long one core takes for the singular values at a precision of `bits`.

    Examples
    --------
    >>> round(spectrum_seconds(64, 8000))
    11
    """
    return SECONDS_PER_SPECTRUM * size**3 * math.pow(bits, 1.5)
