"""Handwritten digits row by row, then noise up to any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.tasks.digits import SIDE, DigitsTask

if TYPE_CHECKING:
    from torch import Generator, Tensor


class NoisePaddedDigits(DigitsTask):
    r"""Handwritten digits row by row, then noise: T ≥ 8 steps of 8 features, 10 classes.

    The first 8 steps are the image's rows, top first, pixels scaled to [0, 1]; each of the
    T − 8 others is a vector of 8 independent :math:`\mathcal N(0, 1)` numbers, drawn from the
    generator passed to `batch` for every example anew.  The class must so be remembered over T − 8
    steps.  This is the noise-padded CIFAR-10 of Chang, Chen, Haber and Chi, "AntisymmetricRNN"
    (ICLR 2019), section 5.3, with digits.

    Parameters
    ----------
    length
        T, at least 8.

    Raises
    ------
    ArgumentError
        `length` is not an integer, or below 8.

    Examples
    --------
    >>> NoisePaddedDigits(length=50).length
    50
    >>> NoisePaddedDigits(length=5)
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: length must be at least 8, the rows of an image, got 5
    """

    name: ClassVar[str] = "noise_padded_digits"

    def __init__(self, length: int = 1000) -> None:
        self.length = checks.positive_integer("length", length)
        if length < SIDE:
            raise ArgumentError(
                f"length must be at least {SIDE}, the rows of an image, got {length}"
            )
        self.input_size = SIDE

    @property
    def provenance(self) -> str:
        """The digits' provenance, and what follows them."""
        return (
            f"{super().provenance[:-1]}; each image's {SIDE} rows are followed by independent "
            f"N(0, 1) rows up to {self.length} steps, drawn anew for every example."
        )

    def _sequences(
        self, split: str, indices: list[int], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        images, labels = self._images(split, indices)
        noise = torch.randn(
            self.length - SIDE, len(indices), SIDE, generator=generator, dtype=torch.float64
        )
        return torch.cat([images.transpose(0, 1), noise]), labels
