"""How much the last hidden state depends on each parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe import checks, frame
from gradprobe.linalg import Cotangents, ScaledSum, Size
from gradprobe.models.recurrent_model import RecurrentModel
from gradprobe.models.working_copy import isolated
from gradprobe.probes.backward_sweep import tail_chunks
from gradprobe.probes.pull_back import pull_back
from gradprobe.probes.step_leaves import StepLeaves

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import Trajectory
    from gradprobe.probes.backward_sweep import TailChunk

SUM_ELEMENTS = 1 << 25
"""Entries of ∂h_T/∂θ that are held at once; more units of h_T are taken in several sweeps."""


def parameter_sensitivity(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure log‖∂h_T/∂θ‖_F for every parameter tensor θ that the model stores.

    .. math::
        \frac{∂h_T}{∂θ} = P \sum_{t=0}^{T} J_T \cdots J_{t+1}\, \frac{∂^+ s_t}{∂θ},

    ∂⁺ being the derivative of one step with s_{t-1} held fixed, and P picking h out of s; that of
    s_0 is zero unless the model starts where it has learnt to.  Where
    ‖J_T ⋯ J_{t+1}‖ stays near one the terms do not fade, and the sum grows with T although no
    gradient explodes: the curse of memory.  For h_t = λ h_{t-1} + x_t with constant x it grows as
    1/(1 − λ)² with the memory 1/(1 − λ).

    The sum is exact, not an estimate: the N rows of P go back through the steps as cotangents,
    rescaled on the way, and at each step through the model's own operations by automatic
    differentiation.  A parametrised matrix is differentiated by what is stored: the entries of W
    for W − Wᵀ − γI.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing.
    generator
        Source of the sketch by which rounding errors are followed.
    tolerance
        Largest error, in natural-log units, of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with quantity ``log_norm_fro`` (natural logarithm of the Frobenius norm; −inf for an
        exact zero), matrix ``parameter``, block the name of the parameter; length and step both T.

    Notes
    -----
    Costs, for each T and sequence, a few times as much as ‖∂h_T/∂h_t‖ for every t.  Memory grows
    with N times the number of parameters up to a limit, beyond which the units of h_T are taken in
    turn: in the end one reverse pass for each unit, as exactness demands.

    References
    ----------
    Zucchet, Orvieto, "Recurrent neural networks: vanishing and exploding gradients are not the end
    of the story", NeurIPS 2024.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=2, hidden_size=4)
    >>> trajectory = models.trace(model, torch.ones(50, 1, 2))
    >>> table = parameter_sensitivity(trajectory, [50], generator=torch.Generator())
    >>> table["block"].tolist()
    ['layers.0.recurrent_weight', 'layers.0.input_weight', 'layers.0.biases.input']
    """
    checks.positive_number("tolerance", tolerance)
    states = torch.stack(list(trajectory.states(lengths[-1])))
    with isolated(states.device):
        leaves = StepLeaves.of(trajectory.model)
        tables = []
        for length in lengths:
            sizes = _Sweep(trajectory, states, leaves, length).sizes(generator)
            tables += [
                _rows(size, trajectory.model.dtype, tolerance).assign(block=name, length=length)
                for name, size in sizes.items()
            ]
    table = frame.concatenate(tables, quantity="log_norm_fro", matrix="parameter")
    return table.assign(step=table["length"])


class _Sweep:
    """One length: ∂h_T/∂θ for some units of h_T at a time."""

    def __init__(
        self, trajectory: Trajectory, states: Tensor, leaves: StepLeaves, length: int
    ) -> None:
        self.trajectory, self.states, self.leaves, self.length = trajectory, states, leaves, length

    def sizes(self, generator: torch.Generator) -> dict[str, Size]:
        """Return the norm for each parameter, of shape (B,)."""
        model = self.trajectory.model
        identity = torch.eye(model.state_size, dtype=model.dtype, device=model.device)
        entries = self.trajectory.batch * sum(leaf.numel() for leaf in self.leaves.all)
        blocks = [
            self._block(rows, generator)
            for rows in identity[:, model.hidden_slice].split(max(1, SUM_ELEMENTS // entries), 1)
        ]
        return {name: _together([block[name] for block in blocks]) for name in self.leaves.stored}

    def _block(self, rows: Tensor, generator: torch.Generator) -> dict[str, Size]:
        """Return the norms of ∂h_T[units]/∂θ, the units being given as columns of the identity."""
        batch = self.trajectory.batch
        cotangents = Cotangents(rows.expand(batch, -1, -1), generator=generator)
        columns = cotangents.joint.shape[-1]
        sums = [
            [ScaledSum(leaf.detach().new_zeros(columns, *leaf.shape)) for leaf in self.leaves.all]
            for _ in range(batch)
        ]
        for chunk in tail_chunks(self.trajectory, self.length, cotangents):
            for sequence, of_sequence in enumerate(sums):
                self._add(chunk, sequence, of_sequence)
        self._add_start(cotangents, sums)
        return self._sizes_of(sums, cotangents)

    def _add(self, chunk: TailChunk, sequence: int, sums: Sequence[ScaledSum]) -> None:
        """Add the terms of a chunk of steps, taken as one batch, to the sums of one sequence."""
        chosen = self._evaluated_with(sequence)
        steps, states = chunk.steps, self.states[:, chosen]
        with torch.enable_grad():
            flat = self.leaves.model.step(
                self.trajectory.inputs[steps, chosen].flatten(0, 1), states[steps].flatten(0, 1)
            )
            new = flat.unflatten(0, (len(chunk.joint), -1))
        if not chunk.agrees(new.detach(), states):
            for single in chunk.single_steps():
                self._add(single, sequence, sums)
            return
        exponent, cotangents = _cotangents(chunk, sequence)
        before = sequence - chosen.start
        others = (0, 0, before, new.shape[1] - before - 1)
        terms = pull_back(new, self.leaves.all, torch.nn.functional.pad(cotangents, others))
        for total, term in zip(sums, terms, strict=True):
            total.add(term, exponent)

    def _add_start(self, cotangents: Cotangents, sums: Sequence[Sequence[ScaledSum]]) -> None:
        """Add the terms of s_0, the cotangents being those on s_1, if it depends on parameters."""
        model = self.leaves.model
        if not (self.trajectory.own_start and isinstance(model, RecurrentModel)):
            return
        with torch.enable_grad():
            start = model.initial_state(1)
        if not start.requires_grad:
            return
        cotangents.pull_back(self.trajectory.step_jacobian(1).T)
        for sequence, of_sequence in enumerate(sums):
            columns = cotangents.joint[sequence].movedim(-1, 0).unsqueeze(1)
            terms = pull_back(start, self.leaves.all, columns)
            for total, term in zip(of_sequence, terms, strict=True):
                total.add(term, int(cotangents.exponent[sequence]))

    def _evaluated_with(self, sequence: int) -> slice:
        """Return which sequences the step is evaluated for: this one, or all if they must be."""
        if self.trajectory.model.jacobian_method == "autograd_by_step":
            return slice(0, self.trajectory.batch)
        return slice(sequence, sequence + 1)

    def _sizes_of(
        self, sums: Sequence[Sequence[ScaledSum]], cotangents: Cotangents
    ) -> dict[str, Size]:
        per_sequence = [self._by_stored(of_sequence) for of_sequence in sums]
        return {
            name: _stacked([_size(totals[index], cotangents) for totals in per_sequence])
            for index, name in enumerate(self.leaves.stored)
        }

    def _by_stored(self, sums: Sequence[ScaledSum]) -> list[ScaledSum]:
        """Return the derivatives by what is stored, also through what is computed from it."""
        stored = list(self.leaves.stored.values())
        totals = list(sums[: len(stored)])
        for tensor, derivative in zip(self.leaves.computed, sums[len(stored) :], strict=True):
            for total, term in zip(
                totals, pull_back(tensor, stored, derivative.tensor), strict=True
            ):
                total.add(term, derivative.exponent)
        return totals


def _cotangents(chunk: TailChunk, sequence: int) -> tuple[int, Tensor]:
    """Return e, and the cotangents of one sequence divided by 2^e, shape (k, steps, 1, S)."""
    exponents = chunk.exponent[:, sequence]
    top = int(exponents.max())
    weights = torch.exp2((exponents - top).double()).to(chunk.joint.dtype)
    scaled = chunk.joint[:, sequence] * weights[:, None, None]
    return top, scaled.movedim(-1, 0).unsqueeze(2)


def _size(total: ScaledSum, cotangents: Cotangents) -> Size:
    tensor = torch.view_as_real(total.tensor) if total.tensor.is_complex() else total.tensor
    exponent = torch.tensor(total.exponent, device=tensor.device)
    return cotangents.size_of(tensor.flatten(1).T, exponent)


def _stacked(sizes: Sequence[Size]) -> Size:
    return Size(*(torch.stack(parts) for parts in zip(*sizes, strict=True)))


def _together(blocks: Sequence[Size]) -> Size:
    """Return the norm of several blocks of rows from those of each."""
    return Size(*((2 * parts).logsumexp(0) / 2 for parts in _stacked(blocks)))


def _rows(size: Size, dtype: torch.dtype, tolerance: float) -> pd.DataFrame:
    norm = size.judged(dtype, tolerance)
    values, errors, resolved = (part.cpu().numpy() for part in norm)
    return frame.rows(
        sequence=np.arange(len(values)), value=values, error=errors, resolved=resolved
    )
