"""Handwritten digits read row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradprobe.tasks.digits import SIDE, DigitsTask

if TYPE_CHECKING:
    from torch import Generator, Tensor


class DigitsRows(DigitsTask):
    """Handwritten digits read row by row: T = 8 steps of 8 pixels, 10 classes.

    The image's top row comes first; pixels are scaled from 0 … 16 to [0, 1].  Draws nothing.

    Examples
    --------
    >>> task = DigitsRows()
    >>> task.length, task.input_size
    (8, 8)
    """

    name: ClassVar[str] = "digits_rows"

    def __init__(self) -> None:
        self.length = SIDE
        self.input_size = SIDE

    def _sequences(
        self, split: str, indices: list[int], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        images, labels = self._images(split, indices)
        return images.transpose(0, 1).contiguous(), labels
