"""Pure noise: inputs that are independent standard Gaussian numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradprobe.tasks.generated import GeneratedInputs

if TYPE_CHECKING:
    from torch import Generator, Tensor


class GaussianInputs(GeneratedInputs):
    """Independent standard Gaussian numbers: T steps of D features, drawn anew every time.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, whose appendix drives the networks of
    section 4 so.

    Examples
    --------
    >>> import torch
    >>> inputs, _ = GaussianInputs(length=500, features=2).draw(30, torch.Generator())
    >>> inputs.shape, round(float(inputs.std()), 2)
    (torch.Size([500, 30, 2]), 1.0)
    """

    name: ClassVar[str] = "gaussian_inputs"

    @property
    def provenance(self) -> str:
        """What the inputs are."""
        return (
            f"Independent N(0, 1) numbers, {self.length} steps of {self.input_size}, drawn anew "
            "for every example."
        )

    def _inputs(self, count: int, generator: Generator) -> Tensor:
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        shape = (self.length, count, self.input_size)
        return torch.randn(shape, generator=generator, dtype=torch.float64)
