"""What a model must offer to be probed, whatever it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from torch import Tensor, nn


class LinearStep(Protocol):
    """The Jacobian J_t = ∂s_t/∂s_{t-1} of one step, shape (B, S, S), as an operator."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, S, S)."""
        ...

    @property
    def T(self) -> LinearStep:  # noqa: N802 - as torch and numpy call it
        """The transposed operator."""
        ...

    def __matmul__(self, columns: Tensor, /) -> Tensor:
        """Return J Q for Q of shape (..., B, S, k)."""
        ...

    def dense(self) -> Tensor:
        """Return the matrix, shape (B, S, S)."""
        ...

    def minus_identity(self) -> Tensor:
        """Return J − I, shape (B, S, S), with as little cancellation as the model allows."""
        ...


class Dynamics(Protocol):
    """A discrete dynamical system s_t = Φ(s_{t-1}, x_t) with a flat state of S entries.

    Our own models (`RecurrentModel`) and adapted modules (`OpaqueModel`) are both of this kind;
    `Trajectory` and the probes know nothing else of them.
    """

    name: str

    @property
    def state_size(self) -> int:
        """S."""
        ...

    @property
    def hidden_size(self) -> int:
        """N, the number of units."""
        ...

    @property
    def output_size(self) -> int:
        """How many entries of the state are h."""
        ...

    @property
    def hidden_slice(self) -> slice:
        """Where h stands in the state: rows and columns of the hidden block."""
        ...

    @property
    def step_size(self) -> float | None:
        """ε of an Euler-type model, else None."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the states."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the states are."""
        ...

    @property
    def jacobian_method(self) -> str:
        """How step Jacobians are had; the column ``method`` of the table."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters with their names."""
        ...

    def working_copy(self, dtype: torch.dtype) -> Self:
        """Return a copy in another dtype, which shares nothing with this model."""
        ...

    def prepare(self, inputs: Tensor, state: object) -> tuple[Tensor, Tensor]:
        """Return the inputs time first and s_0, shape (B, S), in the model's dtype, or raise."""
        ...

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return s_t from x_t, shape (B, …), and s_{t-1}, shape (B, S), differentiably."""
        ...

    def unroll(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return s_1 … s_T, shape (T, B, S)."""
        ...

    def steps_per_chunk(self, batch: int) -> int:
        """Return how many steps to linearise at once."""
        ...

    def linearise(self, inputs: Tensor, states: Tensor, start: int) -> Sequence[LinearStep]:
        """Return the step Jacobians along s_start, s_{start+1}, …, shape (steps + 1, B, S)."""
        ...

    def owner(self, entry: int) -> str:
        """Return which cell an entry of the state belongs to, for messages."""
        ...
