"""The cell that is checked, with inputs and a state to check it at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gradprobe.errors import ArgumentError
from gradprobe.models import Cell, OpaqueModel, RecurrentModel, adapt
from gradprobe.models.adapters import unwrapped
from gradprobe.models.joint_state import joint_state
from gradprobe.models.working_copy import require_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from gradprobe.models import LinearStep

LENGTH, BATCH = 5, 3
"""So many steps of so many sequences are looked at."""

SCALE_OF_THE_STATE = 0.3
"""Standard deviation of the state that is drawn: neither at zero, where derivatives may vanish by
chance, nor where everything saturates."""


@dataclass(frozen=True)
class Subject:
    """A cell, and where it is looked at.

    Parameters
    ----------
    cell
        What the caller gave.
    options
        The options of `adapt` that go with it.
    model
        The cell as a model, which shares its parameters.
    inputs
        Shape (T, B, …), or (B, T, …) if the model is ``batch_first``.
    state
        s_0, shape (B, S).
    seed
        Of everything that a check draws, so that no check depends on another.

    Examples
    --------
    >>> subject = subject_of(torch.nn.GRUCell(2, 3), None, None, torch.Generator(), {})
    >>> subject.inputs.shape, subject.state.shape
    (torch.Size([5, 3, 2]), torch.Size([3, 3]))
    """

    cell: Callable[..., object] | Cell
    options: Mapping[str, Any]
    model: RecurrentModel | OpaqueModel
    inputs: Tensor
    state: Tensor
    seed: int

    @cached_property
    def working(self) -> RecurrentModel | OpaqueModel:
        """A copy in float64, or in the module's own dtype if that is written into its step."""
        twin = self.model.working_copy(torch.float64)
        if isinstance(self.model, OpaqueModel) and not _steps_in_its_dtype(twin, self):
            twin = self.model.working_copy(self.model.dtype)
        return twin

    @cached_property
    def steps(self) -> Tensor:
        """x_1 … x_T, time first, in the dtype of `working`."""
        inputs = self.inputs.transpose(0, 1) if self.model.batch_first else self.inputs
        return inputs.to(self.working.dtype) if inputs.is_floating_point() else inputs

    @cached_property
    def states(self) -> Tensor:
        """s_0 … s_T by a loop over `step`, shape (T + 1, B, S), in the dtype of `working`."""
        states = [self.state.to(self.working.dtype)]
        with torch.no_grad():
            for now in self.steps:
                states.append(self.working.step(now, states[-1]))
        return torch.stack(states)

    @cached_property
    def jacobians(self) -> Sequence[LinearStep]:
        """J_1 … J_T, as the probes have them."""
        return self.working.linearise(self.steps, self.states, 0)

    @cached_property
    def references(self) -> list[Tensor]:
        """J_1 … J_T by reverse-mode automatic differentiation of `step`, each (B, S, S)."""
        return [
            jacobian_by_autograd(self.working, now, state)
            for now, state in zip(self.steps, self.states[:-1], strict=True)
        ]

    @property
    def rounding(self) -> float:
        """Relative difference that another order of the same operations may make."""
        return 1e4 * torch.finfo(self.working.dtype).eps

    def draw(self, *shape: int) -> Tensor:
        """Return normal numbers in the dtype of `working`, the same at every call."""
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return drawn.to(self.state.device, self.working.dtype)


def jacobian_by_autograd(model: RecurrentModel | OpaqueModel, now: Tensor, state: Tensor) -> Tensor:
    """Return ∂(step)/∂(state) row by row, shape (B, S, S).

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4)
    >>> jacobian_by_autograd(model, torch.zeros(3, 1), torch.zeros(3, 4)).shape
    torch.Size([3, 4, 4])
    """
    with torch.enable_grad():
        state = state.detach().requires_grad_()
        rows = [
            torch.autograd.grad(row.sum(), state, retain_graph=True, materialize_grads=True)[0]
            for row in model.step(now, state).unbind(-1)
        ]
    return torch.stack(rows, dim=1)


def difference(got: Tensor, expected: Tensor) -> float:
    """Return the largest |got − expected| as a part of the largest |expected|; NaN is infinite.

    Examples
    --------
    >>> difference(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0]))
    0.25
    """
    if got.shape != expected.shape:
        return float("inf")
    if expected.numel() == 0 or torch.equal(got, expected):
        return 0.0
    largest = float((got - expected).abs().max()) / max(
        float(expected.abs().max()), torch.finfo(expected.dtype).tiny
    )
    return largest if largest == largest else float("inf")  # noqa: PLR0124 - NaN is not itself


def subject_of(
    cell: Callable[..., object] | Cell,
    inputs: Tensor | None,
    state: object,
    generator: torch.Generator | None,
    options: Mapping[str, Any],
) -> Subject:
    """Return the subject of a call of `check_cell`, whose arguments these are."""
    source = torch.Generator().manual_seed(0) if generator is None else generator
    model = _adapted(cell, inputs, state, options)
    require_numbers(model.name, model.named_parameters())
    inputs = _inputs(cell, model, inputs, source)
    batch = inputs.shape[0 if model.batch_first else 1]
    if state is None:
        drawn = torch.randn(batch, model.state_size, generator=source, dtype=torch.float64)
        flat = (SCALE_OF_THE_STATE * drawn).to(inputs.device)
    elif isinstance(model, RecurrentModel):
        flat = joint_state(state, model.cells)[:batch].detach()
    elif isinstance(state, torch.Tensor) and tuple(state.shape[1:]) == (model.state_size,):
        flat = state[:batch].detach()
    else:
        flat = model.structure.flatten(state)[:batch].detach()
    if tuple(flat.shape) != (batch, model.state_size):
        raise ArgumentError(
            f"state must be of shape (B, S) = {(batch, model.state_size)}, got {tuple(flat.shape)}"
        )
    seed = int(torch.randint(1 << 31, (), generator=source))
    return Subject(cell, options, model, inputs, flat, seed)


def _adapted(
    cell: Callable[..., object] | Cell,
    inputs: Tensor | None,
    state: object,
    options: Mapping[str, Any],
) -> RecurrentModel | OpaqueModel:
    if isinstance(cell, Cell):
        return RecurrentModel([cell], name=type(cell).__name__)
    cell = unwrapped(cell)
    if isinstance(cell, RecurrentModel | OpaqueModel | nn.RNNBase | nn.RNNCellBase):
        return adapt(cell, **options)
    first = inputs[0] if isinstance(inputs, torch.Tensor) and inputs.ndim > 0 else None
    known = {"state_size": state, "example_input": first}
    return adapt(cell, **{**known, **options})


def _inputs(
    cell: Callable[..., object] | Cell,
    model: RecurrentModel | OpaqueModel,
    inputs: Tensor | None,
    generator: torch.Generator,
) -> Tensor:
    if isinstance(inputs, torch.Tensor) and inputs.ndim >= 2:
        cut = (BATCH, LENGTH) if model.batch_first else (LENGTH, BATCH)
        return inputs[: cut[0], : cut[1]].detach().clone()
    size = getattr(model, "input_size", getattr(cell, "input_size", None))
    if inputs is not None or not isinstance(size, int):
        raise ArgumentError(
            f"inputs must be a tensor (T, B, …) for {model.name!r}, which has no input_size to "
            f"draw them with, got {type(inputs).__name__}"
        )
    shape = (BATCH, LENGTH, size) if model.batch_first else (LENGTH, BATCH, size)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(model.device)


def _steps_in_its_dtype(model: RecurrentModel | OpaqueModel, subject: Subject) -> bool:
    inputs = subject.inputs.transpose(0, 1) if model.batch_first else subject.inputs
    now = inputs[0].to(model.dtype) if inputs.is_floating_point() else inputs[0]
    try:
        with torch.no_grad():
            return model.step(now, subject.state.to(model.dtype)).dtype == model.dtype
    except Exception:  # whatever is wrong with it is found, and told, by the checks
        return False
