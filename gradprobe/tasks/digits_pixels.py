"""Handwritten digits read pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradprobe.tasks.digits import SIDE, DigitsTask

if TYPE_CHECKING:
    from torch import Generator, Tensor


class DigitsPixels(DigitsTask):
    """Handwritten digits read pixel by pixel: T = 64 steps of 1 pixel, 10 classes.

    Pixels come row by row, each row from left to right, scaled from 0 … 16 to [0, 1].  Draws
    nothing.

    Examples
    --------
    >>> task = DigitsPixels()
    >>> task.length, task.input_size
    (64, 1)
    """

    name: ClassVar[str] = "digits_pixels"

    def __init__(self) -> None:
        self.length = SIDE * SIDE
        self.input_size = 1

    def _sequences(
        self, split: str, indices: list[int], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        images, labels = self._images(split, indices)
        return images.flatten(start_dim=1).T.unsqueeze(-1).contiguous(), labels
