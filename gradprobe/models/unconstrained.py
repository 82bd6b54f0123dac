"""Cells whose weights are free, in the layout of torch.nn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe.models.biases import Biases
from gradprobe.models.cell import Cell

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.initialiser import Initialiser


class UnconstrainedCell(Cell):
    """A cell that stores R, U and its bias vectors as they are; a subclass adds φ.

    Parameters
    ----------
    input_size, hidden_size
        D and N.
    initialiser
        Where the initial values come from: R ~ N(0, σ_w²/N), U ~ N(0, 1/D), biases 0.
    recurrent_scale
        σ_w.
    biases
        ``"one"`` vector, torch's ``"two"`` (added), or ``"none"``.

    Examples
    --------
    >>> from gradprobe.models.gru import Gru
    >>> issubclass(Gru, UnconstrainedCell)
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        initialiser: Initialiser,
        recurrent_scale: float,
        biases: str,
    ) -> None:
        super().__init__(input_size, hidden_size)
        rows = self.drive_terms * self.hidden_size
        self.recurrent_weight = initialiser.recurrent_weight(
            self.hidden_size, recurrent_scale, self.recurrent_terms
        )
        self.input_weight = initialiser.input_weight(rows, self.input_size)
        self.biases = Biases(rows, biases, initialiser)

    def recurrent_matrix(self) -> Tensor:
        """Return the recurrent weights, those of the gates one above the other."""
        return self.recurrent_weight

    def input_matrix(self) -> Tensor:
        """Return the input weights, those of the gates one above the other."""
        return self.input_weight

    def drive_bias(self) -> Tensor | None:
        """Return the sum of the bias vectors."""
        return self.biases.total()

    @property
    def degrees_of_freedom(self) -> int:
        """Two bias vectors that are only ever added count once."""
        return self.stored_parameters - self.biases.redundant
