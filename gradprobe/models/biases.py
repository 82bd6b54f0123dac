"""One bias vector, or torch's two, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from gradprobe import checks

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.initialiser import Initialiser

COUNTS = {"none": 0, "one": 1, "two": 2}


class Biases(nn.Module):
    """The bias vectors of a cell.

    torch.nn keeps a bias for the input and another for the recurrent product; where both are merely
    added, one carries the same functions.

    Parameters
    ----------
    size
        Length of each vector.
    number
        ``"none"``, ``"one"`` (the input's) or ``"two"``.
    initialiser
        Gives the zeros that they start from.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> initialiser = Initialiser(torch.Generator().manual_seed(0))
    >>> Biases(3, "two", initialiser).total().tolist()
    [0.0, 0.0, 0.0]
    >>> Biases(3, "none", initialiser).total() is None
    True
    """

    def __init__(self, size: int, number: str, initialiser: Initialiser) -> None:
        super().__init__()
        count = COUNTS[checks.one_of("biases", number, COUNTS)]
        self.size = size
        self.input = initialiser.constant(size) if count > 0 else None
        self.recurrent = initialiser.constant(size) if count > 1 else None

    def total(self) -> Tensor | None:
        """Return the sum of the vectors, or None if there are none."""
        if self.input is None or self.recurrent is None:
            return self.input
        return self.input + self.recurrent

    @property
    def redundant(self) -> int:
        """The number of entries that could be left out if both vectors are only added."""
        return 0 if self.recurrent is None else self.size
