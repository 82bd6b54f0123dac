"""A caller's module or function as a model: its steps are differentiated automatically."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from gradprobe import checks
from gradprobe.errors import NonFiniteError, UnsupportedModelError
from gradprobe.models.opaque.arguments import flat_state, plain, time_first
from gradprobe.models.opaque.inference import new_state
from gradprobe.models.opaque.jacobians import (
    MatrixFreeJacobian,
    MatrixJacobian,
    VectorisationError,
    step_and_jacobian,
)
from gradprobe.models.opaque.rehearsal import check_independence, check_repeated, rehearse
from gradprobe.models.working_copy import (
    converted,
    device_of,
    dtype_of,
    require_support,
    working_copy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from gradprobe.models.opaque.structure import StateStructure

LARGEST_MATRIX = 1 << 22
"""Entries of a step Jacobian beyond which it is applied without being formed."""

MATRICES_PER_CHUNK = 1 << 18
"""Entries of the step Jacobians that are formed at once: few enough for a processor's cache."""

AGREEMENT = 1e4
"""Units of rounding by which steps taken together may differ from the same steps one by one."""


class OpaqueModel(nn.Module):
    """A function (input, state) → state, known only by what it returns.

    Step Jacobians come from automatic differentiation, many steps at once as if they were more
    sequences of a batch.  Whether a cell may be called in this way is seen from the states: where
    they differ from those of the steps one by one (its control flow depends on the data, say), the
    rest of the trajectory is differentiated step by step; `jacobian_method` tells which.  A module
    with a dtype written into its operations is measured in its own, which the table tells.

    Parameters
    ----------
    call
        The module, or a function (input, state) that returns the new state or (output, new state).
    structure
        How the state is made up.
    step
        How to call the module otherwise: a function (module, input, state).
    hidden
        Which tensor of the state is h.
    step_size
        ε, if the cell is of the Euler type h_t = h_{t-1} + ε f(h_{t-1}, x_t).
    name
        What tables call the model.
    batch_first
        Whether inputs are (B, T, …) rather than (T, B, …).

    Examples
    --------
    >>> from gradprobe import models
    >>> rotate = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    >>> model = models.adapt(lambda x, h: h @ rotate.T + x, state_size=2)
    >>> trajectory = models.trace(model, torch.zeros(5, 1, 2))
    >>> trajectory.step_jacobian(1).dense().tolist(), trajectory.model.jacobian_method
    ([[[0.0, -1.0], [1.0, 0.0]]], 'autograd_chunked')
    """

    def __init__(
        self,
        call: Callable[..., object],
        structure: StateStructure,
        *,
        step: Callable[[Any, Tensor, Any], object] | None = None,
        hidden: int = 0,
        step_size: float | None = None,
        name: str,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        self._call = call  # a module is registered by this, and its parameters are shared
        self._step = step
        self.structure = structure
        self.hidden_slice: slice = structure.slice_of(hidden)
        self.step_size = (
            None if step_size is None else checks.positive_number("step_size", step_size)
        )
        self.name = name
        self.batch_first = batch_first
        self._chunked = self._rows_together = True
        self._dtype: torch.dtype | None = None  # a working copy's, and of what it is a copy:
        self._own_dtype: torch.dtype | None = None
        self._device_of_inputs = torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the states: that of the module, or what a working copy is made in."""
        return dtype_of(self) if self._dtype is None else self._dtype

    @property
    def device(self) -> torch.device:
        """Where the parameters are, or the inputs of a cell without."""
        return device_of(self, self._device_of_inputs)

    @property
    def state_size(self) -> int:
        """S."""
        return self.structure.size

    @property
    def hidden_size(self) -> int:
        """N."""
        return self.output_size

    @property
    def output_size(self) -> int:
        """The entries of h."""
        return int(self.hidden_slice.stop - self.hidden_slice.start)

    @property
    def stored_parameters(self) -> int:
        """The number of real scalars that an optimiser would update."""
        learnt = [one for one in self.parameters() if one.requires_grad]
        return sum(one.numel() * (2 if one.is_complex() else 1) for one in learnt)

    @property
    def degrees_of_freedom(self) -> int:
        """As many as stored parameters: what constrains a caller's parameters is not known."""
        return self.stored_parameters

    def penalty(self) -> Tensor:
        """Return zero: a caller's cell has no soft constraint."""
        return torch.zeros((), dtype=self.dtype, device=self.device)

    @property
    def jacobian_method(self) -> str:
        """How the step Jacobians have been had so far.

        ``autograd_chunked``: many steps at once; ``autograd_by_step``: one by one, slower; with
        ``_by_row`` behind it, if each row took a reverse pass of its own.
        """
        steps = "autograd_chunked" if self._chunked else "autograd_by_step"
        return steps if self._rows_together else f"{steps}_by_row"

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters by the names that they have in the caller's module."""
        if not isinstance(self._call, nn.Module):
            return iter(())
        return self._call.named_parameters(prefix, recurse, remove_duplicate)

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return s_t from x_t, shape (B, …), and s_{t-1}, shape (B, S), by the cell's operations.

        The cell is given copies, so that it may write to them.
        """
        arguments = inputs.clone(), self.structure.unflatten(state)
        result = (
            self._call(*arguments) if self._step is None else self._step(self._call, *arguments)
        )
        return new_state(result, self.structure, self.name)

    def unroll(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return s_1 … s_T, shape (T, B, S), time first."""
        states = []
        for now in inputs:
            state = self.step(now, state)
            states.append(state)
        return torch.stack(states)

    def steps_per_chunk(self, batch: int) -> int:
        """Return how many steps to linearise at once."""
        return max(1, MATRICES_PER_CHUNK // (batch * self.state_size**2))

    def linearise(
        self, inputs: Tensor, states: Tensor, start: int
    ) -> Sequence[MatrixJacobian | MatrixFreeJacobian]:
        """Return the step Jacobians along s_start, s_{start+1}, …, shape (steps + 1, B, S)."""
        if self.state_size**2 > LARGEST_MATRIX:
            return [
                MatrixFreeJacobian(self, now, state)
                for now, state in zip(inputs, states[:-1], strict=True)
            ]
        matrices = self._linearise_together(inputs, states) if self._chunked else None
        if matrices is None:
            matrices = self._linearise_one_by_one(inputs, states)
        self._check_finite(matrices, start)
        return [MatrixJacobian(matrix) for matrix in matrices.unbind(0)]

    def _linearise_together(self, inputs: Tensor, states: Tensor) -> Tensor | None:
        """Return the Jacobians, or None if the cell takes steps together for something else."""
        previous = states[:-1]
        try:
            new, matrices = self._differentiate(inputs.flatten(0, 1), previous.flatten(0, 1))
        except Exception:  # whatever a cell raises that takes no other number of sequences
            self._chunked = False  # step by step, a fault of the cell itself will show again
            return None
        expected, tolerance = states[1:].flatten(0, 1), self._tolerance
        self._chunked = torch.allclose(new, expected, rtol=tolerance, atol=tolerance)
        return matrices.unflatten(0, previous.shape[:2]) if self._chunked else None

    def _linearise_one_by_one(self, inputs: Tensor, states: Tensor) -> Tensor:
        """Return the Jacobians, step by step, of a cell that does not take steps together.

        The reason may be one for which it has no Jacobian at all, so each step is looked at.
        """
        matrices = []
        for now, state, expected in zip(inputs, states[:-1], states[1:], strict=True):
            new, matrix = self._differentiate(now, state)
            check_repeated(self, new, expected, self._tolerance)
            with torch.enable_grad():
                start = state.detach().requires_grad_()
                check_independence(self, self.step(now, start), start)
            matrices.append(matrix)
        return torch.stack(matrices)

    @property
    def _tolerance(self) -> float:
        return AGREEMENT * torch.finfo(self.dtype).eps

    def _differentiate(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        if self._rows_together:
            try:
                return step_and_jacobian(self, inputs, state)
            except VectorisationError:
                self._rows_together = False
        return step_and_jacobian(self, inputs, state, rows_together=False)

    def _check_finite(self, matrices: Tensor, start: int) -> None:
        # Both ends are NaN if any number is; to look for where takes several times as long.
        if not bool(torch.stack(matrices.aminmax()).isfinite().all()):
            step, _, _, column = (~matrices.isfinite()).nonzero()[0].tolist()
            raise NonFiniteError(
                f"the step Jacobian must be finite, but at step t = {start + 1 + step} the "
                f"derivative by {self.owner(column)} is NaN or infinite; see whether a square "
                "root, a division or a logarithm in the cell meets zero there"
            )

    def working_copy(self, dtype: torch.dtype) -> OpaqueModel:
        """Return a copy in another dtype, which shares nothing with this model."""
        require_support(dtype, self.device)
        twin = working_copy(self, dtype)
        twin._dtype, twin._own_dtype = dtype, self._own_dtype or self.dtype
        return twin

    def owner(self, entry: int) -> str:
        """Return which tensor of the state an entry belongs to."""
        ends = [self.structure.slice_of(i).stop for i in range(len(self.structure.leaves))]
        tensor = next(index for index, end in enumerate(ends) if entry < end)
        return f"tensor {tensor} of the state of {self.name!r}"

    def prepare(self, inputs: Tensor, state: object) -> tuple[Tensor, Tensor]:
        """Return the inputs time first and s_0, and see that the cell can be probed.

        Parameters
        ----------
        inputs
            Shape (T, B, …), or (B, T, …) with `batch_first`; floating-point inputs are converted,
            integers stay.
        state
            None for zeros; shape (B, S); or in the structure of the cell.

        Raises
        ------
        ArgumentError
            A shape or device does not fit.
        UnsupportedModelError
            The cell cannot be differentiated, draws random numbers, or keeps a state of its own.
        """
        inputs, initial = (plain(part) for part in self._arguments(inputs, state))
        self._device_of_inputs, floating = inputs.device, inputs.is_floating_point()
        try:
            rehearse(self, inputs[0], initial)
        except UnsupportedModelError:
            if self._own_dtype is None or self._own_dtype == self.dtype:
                raise
            dtype = self._dtype = self._own_dtype  # it may be written into its operations
            converted(self, dtype)
            inputs, initial = inputs.to(dtype) if floating else inputs, initial.to(dtype)
            rehearse(self, inputs[0], initial)
        return inputs, initial

    def _arguments(self, inputs: object, state: object) -> tuple[Tensor, Tensor]:
        """Return the inputs time first and s_0, shape (B, S), in the dtype of the model."""
        has_parameters = next(self.parameters(), None) is not None
        steps = time_first(
            inputs,
            batch_first=self.batch_first,
            device=self.device if has_parameters else None,
        )
        flat = flat_state(state, self.structure, steps.shape[1], steps.device)
        if flat is None:
            flat = torch.zeros(steps.shape[1], self.state_size, device=steps.device)
        return steps.to(self.dtype) if steps.is_floating_point() else steps, flat.to(self.dtype)

    def forward(self, inputs: Tensor, state: object = None) -> tuple[Tensor, Tensor]:
        """Return the hidden states, shape (T, B, N), or (B, T, N), and s_T, shape (B, S).

        Weights that ``torch.nn.utils.parametrize`` computes are computed once, not at every step.
        """
        with parametrize.cached():
            states = self.unroll(*self._arguments(inputs, state))
        hidden = states[..., self.hidden_slice]
        return (hidden.transpose(0, 1) if self.batch_first else hidden), states[-1]

    def extra_repr(self) -> str:
        """Return the name and the state, for `repr`."""
        return f"name={self.name!r}, state={self.structure}"
