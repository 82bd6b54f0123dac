"""Initial values of parameters, drawn from a generator that is passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from gradprobe import checks
from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Initialiser:
    """Draws parameters; the same numbers for every device and every floating-point dtype.

    Numbers are drawn in float64 on the generator's device, then rounded and moved, so that a seed
    gives one model wherever it runs.

    Parameters
    ----------
    generator
        Source of the randomness.
    dtype
        Floating-point dtype of the parameters; torch's default dtype if not given.
    device
        Device of the parameters.

    Examples
    --------
    >>> import torch
    >>> initialise = Initialiser(torch.Generator().manual_seed(0))
    >>> initialise.normal(2, 3, standard_deviation=0.5).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        generator: torch.Generator,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if not isinstance(generator, torch.Generator):
            raise ArgumentError(f"generator must be a torch.Generator, got {generator!r}")
        self.generator = generator
        self.dtype = torch.get_default_dtype() if dtype is None else dtype
        self.device = torch.device("cpu" if device is None else device)
        if not self.dtype.is_floating_point:
            raise ArgumentError(f"dtype must be a floating-point dtype, got {self.dtype}")

    def normal(self, *shape: int, standard_deviation: float) -> nn.Parameter:
        """Return a parameter with independent N(0, standard_deviation²) entries."""
        return self._parameter(self._draw(*shape) * standard_deviation)

    def uniform(self, *shape: int, low: float, high: float) -> nn.Parameter:
        """Return a parameter with independent entries, uniform between `low` and `high`.

        Examples
        --------
        >>> import torch
        >>> initialise = Initialiser(torch.Generator().manual_seed(0))
        >>> bool((initialise.uniform(50, low=-0.1, high=0.1).abs() <= 0.1).all())
        True
        """
        device = self.generator.device
        unit = torch.rand(shape, generator=self.generator, dtype=torch.float64, device=device)
        return self._parameter(low + (high - low) * unit)

    def recurrent_weight(self, size: int, scale: float, terms: int = 1) -> nn.Parameter:
        """Return recurrent weights with entries N(0, σ_w²/n), shape (terms·n, n).

        Parameters
        ----------
        size
            n, the number of units.
        scale
            σ_w.
        terms
            How many matrices are stacked, one for each gate.

        References
        ----------
        Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, Appendix C.
        """
        deviation = checks.non_negative_number("recurrent_scale", scale) / size**0.5
        return self.normal(terms * size, size, standard_deviation=deviation)

    def input_weight(self, rows: int, input_size: int) -> nn.Parameter:
        """Return input weights with entries N(0, 1/D), shape (rows, D); source as above."""
        return self.normal(rows, input_size, standard_deviation=input_size**-0.5)

    def orthogonal(self, size: int) -> Tensor:
        """Return an orthogonal matrix, uniform over the orthogonal group (Haar measure).

        The QR factorisation of a Gaussian matrix, with the signs of diag(R) moved into Q
        (Mezzadri 2007, "How to generate random matrices from the classical compact groups").
        """
        q, r = torch.linalg.qr(self._draw(size, size))
        matrix: Tensor = q * r.diagonal().sign()
        return matrix.to(dtype=self.dtype, device=self.device)

    def unitary(self, size: int) -> nn.Parameter:
        """Return the real and imaginary part of a unitary matrix, shape (2, n, n).

        It is uniform over the unitary group (Haar measure): the QR factorisation of a complex
        Gaussian matrix, with the phases of diag(R) moved into Q (source as above).

        Examples
        --------
        >>> import torch
        >>> initialise = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> matrix = torch.complex(*initialise.unitary(3).detach())
        >>> torch.allclose(matrix.mH @ matrix, torch.eye(3, dtype=matrix.dtype))
        True
        """
        q, r = torch.linalg.qr(torch.complex(*self._draw(2, size, size)))
        return self._parameter(torch.view_as_real(q * r.diagonal().sgn()).movedim(-1, 0))

    def constant(self, *shape: int, value: float = 0.0) -> nn.Parameter:
        """Return a parameter whose entries all equal `value`."""
        return self._parameter(torch.full(shape, value, dtype=torch.float64))

    def given(
        self, name: str, values: Sequence[Sequence[float]], shape: tuple[int, int]
    ) -> nn.Parameter:
        """Return a parameter with the entries of a matrix that is given row by row.

        Parameters
        ----------
        name
            What messages call the matrix.
        values
            The rows.
        shape
            What it must have.

        Raises
        ------
        ArgumentError
            It is no matrix of finite numbers of that shape.

        Examples
        --------
        >>> import torch
        >>> initialise = Initialiser(torch.Generator().manual_seed(0))
        >>> initialise.given("recurrent_matrix", [[0.0, -2.0], [2.0, 0.0]], (2, 2)).tolist()
        [[0.0, -2.0], [2.0, 0.0]]
        """
        try:
            matrix = torch.as_tensor(values, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArgumentError(
                f"{name} must be a matrix given row by row, such as [[0.0, 1.0], [1.0, 0.0]], "
                f"got {values!r}"
            ) from error
        checks.shape(name, matrix, shape)
        return self._parameter(checks.finite(name, matrix))

    def _draw(self, *shape: int) -> Tensor:
        device = self.generator.device
        return torch.randn(shape, generator=self.generator, dtype=torch.float64, device=device)

    def _parameter(self, values: Tensor) -> nn.Parameter:
        return nn.Parameter(values.to(dtype=self.dtype, device=self.device))
