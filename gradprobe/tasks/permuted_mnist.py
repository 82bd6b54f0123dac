"""MNIST read pixel by pixel, in a fixed random order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gradprobe import checks
from gradprobe.tasks.pixel_mnist import SIDE, PixelMnist

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradprobe.tasks.data.folders import Located


class PermutedMnist(PixelMnist):
    """MNIST read pixel by pixel in one order for all images: T = 784 steps of 1 pixel, 10 classes.

    The order is ``numpy.random.RandomState(92916).permutation(784)``, as in the published code of
    Le, Jaitly and Hinton's successors; step t is pixel ``order[t]``.  It never depends on the seed
    of a training.  Draws nothing.

    Parameters
    ----------
    permutation_seed
        Another seed of the order, for those who used one.

    Raises
    ------
    ArgumentError
        `permutation_seed` is not a non-negative integer.

    References
    ----------
    Le, Jaitly, Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units"
    (2015), section 4.2; Chang et al., "AntisymmetricRNN" (ICLR 2019), section 4.2.

    Examples
    --------
    >>> PermutedMnist().order[:3].tolist()
    [319, 576, 323]
    """

    name: ClassVar[str] = "permuted_mnist"

    def __init__(self, permutation_seed: int = 92916) -> None:
        super().__init__()
        self.permutation_seed = checks.non_negative_integer("permutation_seed", permutation_seed)

    @property
    def order(self) -> NDArray[np.int64]:
        """Which pixel each step is, shape (784,)."""
        return np.random.RandomState(self.permutation_seed).permutation(SIDE * SIDE)

    @property
    def provenance(self) -> str:
        """MNIST's provenance, and the order."""
        return (
            f"{super().provenance[:-1]}, in the order of "
            f"numpy.random.RandomState({self.permutation_seed}).permutation({SIDE * SIDE})."
        )

    def _read(self, located: Located, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        images, labels = super()._read(located, part)
        return images[:, self.order], labels
