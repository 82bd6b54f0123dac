"""What reads a hidden state: a linear map to classes or numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

from gradprobe import checks

if TYPE_CHECKING:
    from torch import Tensor

    from gradprobe.models.initialiser import Initialiser


class Readout(nn.Module):
    """W h + b, with W ~ N(0, 1/M) for hidden states of M entries, and b = 0.

    Parameters
    ----------
    hidden_size
        M, the entries of h; a model's `output_size`.
    output_size
        How many numbers come out; a task's `output_size`.
    initialiser
        Where W comes from.

    Raises
    ------
    ArgumentError
        A size is not a positive integer.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, section 5 (a fully connected layer on
    the last hidden state); initial weights as Appendix C has them for inputs.

    Examples
    --------
    >>> import torch
    >>> from gradprobe.models import Initialiser
    >>> readout = Readout(128, 10, Initialiser(torch.Generator().manual_seed(0)))
    >>> readout(torch.zeros(5, 128)).shape, sum(p.numel() for p in readout.parameters())
    (torch.Size([5, 10]), 1290)
    """

    def __init__(self, hidden_size: int, output_size: int, initialiser: Initialiser) -> None:
        super().__init__()
        checks.positive_integer("hidden_size", hidden_size)
        checks.positive_integer("output_size", output_size)
        self.weight = initialiser.input_weight(output_size, hidden_size)
        self.bias = initialiser.constant(output_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return W h + b, shape (…, output_size), for h of shape (…, hidden_size)."""
        return functional.linear(hidden, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes, for `repr`."""
        output_size, hidden_size = self.weight.shape
        return f"hidden_size={hidden_size}, output_size={output_size}"
