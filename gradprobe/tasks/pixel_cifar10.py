"""CIFAR-10 read pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.tasks.cifar10 import CHANNELS, SIDE, Cifar10Task

if TYPE_CHECKING:
    from torch import Generator, Tensor


class PixelCifar10(Cifar10Task):
    """CIFAR-10 read pixel by pixel: T = 1024 steps of one pixel's 3 channels, 10 classes.

    Pixels come row by row, each row from left to right.  Draws nothing.

    Parameters
    ----------
    last_rows
        How many of the image's 32 rows are read, the last ones; T = 32 · `last_rows`.

    Raises
    ------
    ArgumentError
        `last_rows` is not an integer from 1 to 32.

    References
    ----------
    Chang et al., "AntisymmetricRNN" (ICLR 2019), section 5.2, and its footnote on last rows.

    Examples
    --------
    >>> PixelCifar10().length, PixelCifar10(last_rows=2).length, PixelCifar10().input_size
    (1024, 64, 3)
    """

    name: ClassVar[str] = "pixel_cifar10"

    def __init__(self, last_rows: int = SIDE) -> None:
        if checks.positive_integer("last_rows", last_rows) > SIDE:
            raise ArgumentError(
                f"last_rows must be at most the {SIDE} of an image, got {last_rows}"
            )
        self.last_rows = last_rows
        self.length = last_rows * SIDE
        self.input_size = CHANNELS

    @property
    def provenance(self) -> str:
        """CIFAR-10's provenance, and which rows are read."""
        rows = "" if self.last_rows == SIDE else f", the last {self.last_rows} rows of each image"
        return f"{super().provenance[:-1]}{rows}."

    def _sequences(
        self, split: str, indices: list[int], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        images, labels = self._chosen(split, indices)
        pixels = images[:, SIDE - self.last_rows :].flatten(1, 2)
        return pixels.transpose(0, 1).contiguous(), labels
