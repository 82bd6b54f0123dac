"""A model left to itself: inputs that are zero throughout."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradprobe.tasks.generated import GeneratedInputs

if TYPE_CHECKING:
    from torch import Generator, Tensor


class NoInput(GeneratedInputs):
    """Zeros: T steps of D features, which leave a model to its own dynamics.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, section 4.

    Examples
    --------
    >>> import torch
    >>> inputs, _ = NoInput(length=50, features=2).draw(3, torch.Generator())
    >>> inputs.shape, float(inputs.abs().max())
    (torch.Size([50, 3, 2]), 0.0)
    """

    name: ClassVar[str] = "no_input"

    @property
    def provenance(self) -> str:
        """What the inputs are."""
        return f"No input: {self.length} steps of {self.input_size} zeros."

    def _inputs(self, count: int, generator: Generator) -> Tensor:
        import torch  # noqa: PLC0415 - a task is described without torch, drawn with it

        return torch.zeros(self.length, count, self.input_size, dtype=torch.float64)
