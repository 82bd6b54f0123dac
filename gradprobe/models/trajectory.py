"""A trajectory: the states of a model along its inputs, and the step Jacobians at them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError, NonFiniteError, UnsupportedModelError
from gradprobe.models.working_copy import isolated, require_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from gradprobe.models.dynamics import Dynamics, LinearStep

LONGEST_CHUNK = 64
"""At most this many steps are held at once, so that memory does not grow with the length."""

KEPT_ENTRIES = 1 << 20
"""Paths of at most this many entries are kept as a whole; longer ones are gone again, in chunks."""

LONGEST_CHUNK_OF_KEPT_PATH = 256
"""As `LONGEST_CHUNK` where nothing is gone again: what a chunk costs by itself is then little."""


@dataclass(frozen=True)
class Trajectory:
    """The path s_0 … s_T of a model, from which its step Jacobians are made as they are asked for.

    Of a long path only one state in every chunk of steps is kept; those between are computed again,
    going forward as going backward.

    Parameters
    ----------
    model
        The model, in the dtype of the states; nothing here changes it.
    inputs
        x_1 … x_T, shape (T, B, …).
    checkpoints
        The state before each chunk of steps, each of shape (B, S).
    steps_per_chunk
        How many steps are linearised at once.
    own_start
        Whether s_0 is where the model starts by itself, which may be among what it learns.
    path
        s_0 … s_T, shape (T + 1, B, S), if it is short enough to be kept.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4)
    >>> trajectory = models.trace(model, torch.zeros(6, 2, 1))
    >>> trajectory.length, trajectory.batch
    (6, 2)
    >>> sum(1 for jacobian in trajectory.step_jacobians())
    6
    """

    model: Dynamics
    inputs: Tensor
    checkpoints: Sequence[Tensor]
    steps_per_chunk: int
    own_start: bool = False
    path: Tensor | None = None

    @property
    def length(self) -> int:
        """T."""
        return self.inputs.shape[0]

    @property
    def batch(self) -> int:
        """B."""
        return self.inputs.shape[1]

    def first(self, count: int) -> Trajectory:
        """Return the same of the first `count` sequences alone, or of all if there are no more."""
        return self._sequences(slice(count))

    def parts(self, count: int) -> Iterator[Trajectory]:
        """Yield the same of `count` sequences after the other, and of those that are left."""
        for start in range(0, self.batch, count):
            yield self._sequences(slice(start, start + count))

    def _sequences(self, chosen: slice) -> Trajectory:
        return replace(
            self,
            inputs=self.inputs[:, chosen],
            checkpoints=[state[chosen] for state in self.checkpoints],
            path=None if self.path is None else self.path[:, chosen],
        )

    def states(self, stop: int | None = None) -> Iterator[Tensor]:
        """Yield s_0, s_1, … s_stop, each of shape (B, S); `stop` is T if not given."""
        yield self.checkpoints[0]
        for start, end in self._chunks(stop):
            yield from self._states(start, end)[1:]

    def step_jacobian(self, t: int) -> LinearStep:
        """Return J_t = ∂s_t/∂s_{t-1} for t in 1 … T."""
        if not 1 <= t <= self.length:
            raise ArgumentError(f"t must lie between 1 and {self.length}, got {t}")
        first = (t - 1) // self.steps_per_chunk * self.steps_per_chunk
        return self._linearise(self._states(first, t)[-2:], t - 1)[0]

    def step_jacobians(self, stop: int | None = None) -> Iterator[LinearStep]:
        """Yield J_1, J_2, … J_stop; `stop` is T if not given."""
        for start, end in self._chunks(stop):
            yield from self._linearise(self._states(start, end), start)

    def step_jacobians_reversed(self, stop: int | None = None) -> Iterator[LinearStep]:
        """Yield J_stop, … J_2, J_1; `stop` is T if not given."""
        for start, end in reversed(self._chunks(stop)):
            yield from reversed(self._linearise(self._states(start, end), start))

    def _chunks(self, stop: int | None) -> list[tuple[int, int]]:
        """Return the (start, end) of the chunks of steps, each of which begins at a checkpoint."""
        stop, size = self.length if stop is None else stop, self.steps_per_chunk
        return [(start, min(stop, start + size)) for start in range(0, stop, size)]

    @torch.no_grad()
    def _states(self, start: int, end: int) -> Tensor:
        """Return s_start … s_end, where a checkpoint is kept of s_start."""
        if self.path is not None:
            return self.path[start : end + 1]
        first = self.checkpoints[start // self.steps_per_chunk]
        with isolated(self.model.device):
            states = torch.cat((first[None], self.model.unroll(self.inputs[start:end], first)))
        if end % self.steps_per_chunk == 0 or end == self.length:
            self._check_repeated(states[-1], end)
        return states

    def _check_repeated(self, state: Tensor, t: int) -> None:
        """See that a path is the same when it is gone again, or raise an error."""
        before = self.checkpoints[-(-t // self.steps_per_chunk)]
        tolerance = torch.finfo(state.dtype).eps ** 0.5
        if not torch.allclose(state, before, rtol=tolerance, atol=tolerance):
            raise UnsupportedModelError(
                f"{self.model.name!r} reached another state at t = {t} when it was run along the "
                "same inputs again: it keeps a state of its own besides the one that it is given, "
                "such as a counter or running means (call eval() first), or draws random numbers"
            )

    def _linearise(self, states: Tensor, start: int) -> Sequence[LinearStep]:
        """Return the step Jacobians along s_start, s_{start+1}, …."""
        inputs = self.inputs[start : start + len(states) - 1]
        with isolated(self.model.device):
            return self.model.linearise(inputs, states, start)


@torch.no_grad()
def trace(
    model: Dynamics,
    inputs: Tensor,
    state: object = None,
    *,
    dtype: torch.dtype | None = torch.float64,
) -> Trajectory:
    """Run `model` along `inputs` and return the trajectory.

    Parameters
    ----------
    model
        A model of `build` or `adapt`.  Its parameters are copied into `dtype`; the model itself is
        not changed, nor is the state of any random number generator.
    inputs
        Shape (T, B, …), or (B, T, …) if the model is ``batch_first``.
    state
        s_0, shape (B, S), or in the structure that an adapted module takes.  If not given, zeros,
        or where the model starts by itself.
    dtype
        What to compute in; float64 by default, None for the model's own.

    Raises
    ------
    ArgumentError
        A shape or dtype does not fit.
    NonFiniteError
        A parameter, an input, or a state along the way is NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4)
    >>> next(trace(model, torch.zeros(6, 2, 1)).states()).dtype
    torch.float64
    """
    require_numbers(model.name, model.named_parameters())
    for name, parameter in model.named_parameters():
        checks.finite(f"parameter {name} of model {model.name!r}", parameter)
    with isolated(model.device):
        working = model.working_copy(model.dtype if dtype is None else dtype)
        inputs, initial = working.prepare(inputs, state)
        checks.finite("inputs", inputs)
        checks.finite("state", initial)
        return _run(working, inputs, initial, own_start=state is None)


def _run(model: Dynamics, inputs: Tensor, initial: Tensor, *, own_start: bool) -> Trajectory:
    """Run along all inputs, and keep the state before each chunk of steps, or all of them."""
    chunk = model.steps_per_chunk(initial.shape[0])
    # A module of a caller's own is run again to see that it comes the same way.
    if model.jacobian_method == "pointwise" and len(inputs) * initial.numel() <= KEPT_ENTRIES:
        path = torch.cat((initial[None], _unroll(model, inputs, initial, 1)))
        chunk = min(chunk, LONGEST_CHUNK_OF_KEPT_PATH)
        checkpoints = [*path[:-1:chunk], path[-1]]
        return Trajectory(model, inputs, checkpoints, chunk, own_start, path)
    chunk, checkpoints = min(chunk, LONGEST_CHUNK), [initial]
    for start in range(0, len(inputs), chunk):
        states = _unroll(model, inputs[start : start + chunk], checkpoints[-1], start + 1)
        checkpoints.append(states[-1].clone())  # not a view, which would keep all of the states
    return Trajectory(model, inputs, checkpoints, chunk, own_start)


def _unroll(model: Dynamics, inputs: Tensor, state: Tensor, first: int) -> Tensor:
    """Return the states s_first, …, which must be finite."""
    states = model.unroll(inputs, state)
    _check_states(states, first, model)
    return states


def _check_states(states: Tensor, first: int, model: Dynamics) -> None:
    bad = ~states.isfinite()
    if bool(bad.any()):
        t, sequence, entry = cast("list[int]", bad.nonzero()[0].tolist())
        raise NonFiniteError(
            f"the states must be finite, but at step t = {first + t} that of "
            f"{model.owner(entry)}, sequence {sequence}, is {states[t, sequence, entry].item()}; "
            "look at the size of its weights and inputs"
        )
