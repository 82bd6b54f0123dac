"""CIFAR-10 row by row, then noise up to any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.seeds import stream_seed
from gradprobe.tasks.cifar10 import CHANNELS, SIDE, Cifar10Task

if TYPE_CHECKING:
    from torch import Generator, Tensor

NOISE_KINDS = ("fresh", "fixed")
NOISE_SEED = 20190102
"""Of the noise of the validation and test examples, and of the one suffix of ``"fixed"``."""


class NoisePaddedCifar10(Cifar10Task):
    r"""CIFAR-10 row by row, then noise: T ≥ 32 steps of 96 features, 10 classes.

    The first 32 steps are the image's rows, top first, each the 3 channels of its 32 pixels one
    pixel after the other; each of the T − 32 others is a vector of 96 independent
    :math:`\mathcal N(0, 1)` numbers, drawn in float32.  The class must so be remembered over T − 32
    steps.

    Parameters
    ----------
    length
        T, at least 32.
    noise
        ``"fresh"``: drawn from the generator passed to `batch` for every training example anew, as
        in the paper; every validation and test example has noise of its own, by a seed stored here
        (`NOISE_SEED`) and its position.  ``"fixed"``: one suffix for all examples of all splits, by
        that seed, as in later work (which measures less: it can be learnt by heart).

    Raises
    ------
    ArgumentError
        `length` is not an integer of at least 32, or `noise` is not one of the two.

    References
    ----------
    Chang et al., "AntisymmetricRNN" (ICLR 2019), section 5.3; one suffix for all: the code of Rusch
    and Mishra (coRNN, LEM), which draws one for training and keeps it for the test.

    Examples
    --------
    >>> task = NoisePaddedCifar10(length=400)
    >>> task.length, task.input_size
    (400, 96)
    """

    name: ClassVar[str] = "noise_padded_cifar10"

    def __init__(self, length: int = 1000, noise: str = "fresh") -> None:
        self.length = checks.positive_integer("length", length)
        if length < SIDE:
            raise ArgumentError(
                f"length must be at least {SIDE}, the rows of an image, got {length}"
            )
        self.noise = checks.one_of("noise", noise, NOISE_KINDS)
        self.input_size = SIDE * CHANNELS

    @property
    def provenance(self) -> str:
        """CIFAR-10's provenance, and what follows the images."""
        kind = (
            f"drawn anew for every training example (seed {NOISE_SEED} for the others)"
            if self.noise == "fresh"
            else f"the same for all examples (seed {NOISE_SEED})"
        )
        return (
            f"{super().provenance[:-1]}; each image's {SIDE} rows are followed by independent "
            f"N(0, 1) rows up to {self.length} steps, {kind}."
        )

    def _sequences(
        self, split: str, indices: list[int], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        images, labels = self._chosen(split, indices)
        inputs = torch.empty(self.length, len(indices), self.input_size)
        inputs[:SIDE] = images.flatten(2).transpose(0, 1)
        if self.noise == "fixed":
            inputs[SIDE:] = self._stored_noise("suffix")[:, None]
        elif split == "train":
            torch.randn(inputs[SIDE:].shape, generator=generator, out=inputs[SIDE:])
        else:
            for column, index in enumerate(indices):
                inputs[SIDE:, column] = self._stored_noise(f"{split}/{index}")
        return inputs, labels

    def _stored_noise(self, stream: str) -> Tensor:
        """Return noise of one example, shape (T − 32, 96), the same at every call."""
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        generator = torch.Generator().manual_seed(stream_seed(NOISE_SEED, stream))
        return torch.randn(self.length - SIDE, self.input_size, generator=generator)
