"""MNIST read pixel by pixel, in a fixed random order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gradprobe import checks
from gradprobe.tasks.pixel_mnist import SIDE, PixelMnist

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradprobe.tasks.data.folders import Located

PIXELS = SIDE * SIDE


def _numpy_92916() -> NDArray[np.int64]:
    return np.random.RandomState(92916).permutation(PIXELS)


def _torch_12008() -> NDArray[np.int64]:
    import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

    order = torch.randperm(PIXELS, generator=torch.Generator().manual_seed(12008))
    return np.asarray(order.numpy(), dtype=np.int64)


def _bit_reversal() -> NDArray[np.int64]:
    bits = (PIXELS - 1).bit_length()
    reversed_numbers = [int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits)]
    return np.array([number for number in reversed_numbers if number < PIXELS])


PERMUTATIONS: dict[str, Callable[[], NDArray[np.int64]]] = {
    "numpy_92916": _numpy_92916,
    "torch_12008": _torch_12008,
    "bit_reversal": _bit_reversal,
}
"""Orders of the 784 pixels that published code uses, by name."""

IN_WORDS = {
    "numpy_92916": f"numpy.random.RandomState(92916).permutation({PIXELS})",
    "torch_12008": f"torch.randperm({PIXELS}) after torch.manual_seed(12008)",
    "bit_reversal": "reversed bits",
}


class PermutedMnist(PixelMnist):
    """MNIST read pixel by pixel in one order for all images: T = 784 steps of 1 pixel, 10 classes.

    Step t reads pixel ``order[t]``.  The order never depends on the seed of a training, and is told
    with every result.  Draws nothing.

    Parameters
    ----------
    permutation
        ``"numpy_92916"``: ``numpy.random.RandomState(92916).permutation(784)``, as in the code of
        Wisdom et al. (full-capacity uRNN), Helfrich et al. (scoRNN) and Lezcano-Casado (expRNN);
        ``"torch_12008"``: ``torch.randperm(784)`` after ``torch.manual_seed(12008)``, as in the
        code of Rusch and Mishra (coRNN) and of Erichson et al. (Lipschitz RNN);
        ``"bit_reversal"``: the numbers 0 … 1023 with their ten bits reversed, without those of 784
        and above, as in the code of Gu et al. (S4).

    Raises
    ------
    ArgumentError
        `permutation` is none of these.

    References
    ----------
    Le, Jaitly, Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units"
    (2015), "MNIST classification from a sequence of pixels"; Chang et al., "AntisymmetricRNN" (ICLR
    2019), section 5.1.

    Examples
    --------
    >>> PermutedMnist().order[:3].tolist()
    [319, 576, 323]
    >>> PermutedMnist(permutation="bit_reversal").order[:4].tolist()
    [0, 512, 256, 768]
    """

    name: ClassVar[str] = "permuted_mnist"

    def __init__(self, permutation: str = "numpy_92916") -> None:
        super().__init__()
        self.permutation = checks.one_of("permutation", permutation, PERMUTATIONS)

    @property
    def order(self) -> NDArray[np.int64]:
        """Which pixel each step is, shape (784,)."""
        return PERMUTATIONS[self.permutation]()

    @property
    def provenance(self) -> str:
        """MNIST's provenance, and the order."""
        return f"{super().provenance[:-1]}, in the order of {IN_WORDS[self.permutation]}."

    def _read(self, located: Located, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        images, labels = super()._read(located, part)
        return images[:, self.order], labels
