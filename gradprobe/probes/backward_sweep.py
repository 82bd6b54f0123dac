"""Back-propagation through the steps of a trajectory, chunk by chunk, at any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from gradprobe.linalg import Cotangents, Size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from gradprobe.linalg import Norm
    from gradprobe.models import Trajectory

CHUNK_ELEMENTS = 1 << 20
"""Entries of the cotangents that are held at once; bounds the extra memory."""

WIDEST_CHUNK = 200
"""A chunk's cotangents span this many powers of two at most, so that they can be added up."""

AGREEMENT = 1000.0
"""Steps taken together and one by one agree to so many units of rounding."""


class TailChunk(NamedTuple):
    """Cotangents ∂h_T/∂s_t, transposed, at the ends of a few steps t = start + 1, ….

    Attributes
    ----------
    start
        The steps are start + 1, start + 2, …, start + c.
    joint
        For each step the columns, their sketch and marks (see `gradprobe.linalg.Cotangents`), shape
        (c, B, S, columns + sketches + 1).
    exponent
        The power of two that multiplies `joint`, shape (c, B), int64.
    """

    start: int
    joint: Tensor
    exponent: Tensor

    @property
    def steps(self) -> slice:
        """Indices of the inputs x_t, and of the states s_{t-1}, of these steps."""
        return slice(self.start, self.start + len(self.joint))

    def single_steps(self) -> list[TailChunk]:
        """Return one chunk for each step, the last step first."""
        return [
            TailChunk(self.start + i, self.joint[i : i + 1], self.exponent[i : i + 1])
            for i in reversed(range(len(self.joint)))
        ]

    def agrees(self, new: Tensor, states: Tensor) -> bool:
        """Return whether `new`, made of all these steps as one batch, are the states s_t.

        A model whose operations depend on the whole batch, such as one that branches on a sum,
        must be given its steps one by one.

        Parameters
        ----------
        new
            Shape (c, …, S).
        states
            s_0 … s_T, of the same sequences, shape (T + 1, …, S).
        """
        expected = states[self.start + 1 : self.start + 1 + len(new)]
        tolerance = AGREEMENT * torch.finfo(states.dtype).eps
        return len(new) == 1 or torch.allclose(new, expected, rtol=tolerance, atol=tolerance)


def tail_chunks(trajectory: Trajectory, length: int, cotangents: Cotangents) -> Iterator[TailChunk]:
    r"""Yield the cotangents on s_t, from t = `length` back to 1, in chunks of steps.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    length
        T.
    cotangents
        Those on s_T, for example the rows of P in h_T = P s_T; they are pulled back meanwhile.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=4)
    >>> trajectory = models.trace(model, torch.zeros(6, 1, 1))
    >>> start = Cotangents(torch.eye(4).double()[None], generator=torch.Generator())
    >>> [(chunk.steps, chunk.exponent.shape) for chunk in tail_chunks(trajectory, 6, start)]
    [(slice(0, 6, None), torch.Size([6, 1]))]
    """
    most = max(1, CHUNK_ELEMENTS // cotangents.joint.numel())
    held: list[tuple[Tensor, Tensor]] = []
    steps = trajectory.step_jacobians_reversed(length)
    for t, jacobian in zip(range(length, 0, -1), steps, strict=True):
        one_by_one = trajectory.model.jacobian_method == "autograd_by_step"
        if held and (
            one_by_one or len(held) == most or _gap(held[0][1], cotangents.exponent) > WIDEST_CHUNK
        ):
            yield _chunk(held, t)
            held = []
        held.append((cotangents.joint, cotangents.exponent))
        if t > 1:
            cotangents.pull_back(jacobian.T)
    yield _chunk(held, 0)


def _gap(first: Tensor, second: Tensor) -> int:
    return int((first - second).abs().max())


def _chunk(held: Sequence[tuple[Tensor, Tensor]], start: int) -> TailChunk:
    joints, exponents = zip(*reversed(held), strict=True)
    return TailChunk(start, torch.stack(joints), torch.stack(exponents))


def loss_sweep(
    trajectory: Trajectory,
    direct: Tensor,
    *,
    generator: torch.Generator,
    final: Tensor | None = None,
    tolerance: float = 1e-6,
) -> Norm:
    r"""Return log‖∂L/∂h_t‖ for t = 0 … T, from the direct gradients of a loss.

    With g_t the direct gradient, that is what L(h_1, …, h_T) has with respect to its argument h_t,
    the whole gradient on the state is the adjoint a_t = J_{t+1}ᵀ a_{t+1} + Pᵀ g_t, where P picks h
    out of s; a_T = Pᵀ g_T.  One sweep, one matrix product for each step, rescaled as it goes.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    direct
        g_1 … g_T, shape (T, B, N), T being at most the trajectory's length.
    generator
        Draws the sketch of the rounding errors.
    final
        What L has besides, with respect to the last state s_T, shape (B, S).
    tolerance
        Largest error of a value that counts as resolved.

    Returns
    -------
    Norm
        The logarithm, its error and whether it is resolved, each of shape (T + 1, B), t = 0 first.

    References
    ----------
    Werbos, "Backpropagation through time: what it does and how to do it", Proc. IEEE 78, 1990.

    Examples
    --------
    >>> from gradprobe import models
    >>> trajectory = models.trace(models.adapt(torch.nn.RNN(1, 4)), torch.zeros(300, 2, 1))
    >>> direct = torch.zeros(300, 2, 4, dtype=torch.float64)
    >>> direct[-1] = 1
    >>> norm = loss_sweep(trajectory, direct, generator=torch.Generator())
    >>> norm.log_norm.shape, norm.log_norm[-1].exp().tolist()
    (torch.Size([301, 2]), [2.0, 2.0])
    """
    hidden = trajectory.model.hidden_slice
    columns = direct.new_zeros(trajectory.batch, trajectory.model.state_size, 1)
    columns[:, hidden, 0] = direct[-1]
    if final is not None:
        columns[..., 0] += final
    adjoint = Cotangents(columns, generator=generator)
    sizes = [adjoint.size(hidden)]
    length, enters = len(direct), (direct != 0).flatten(1).any(1).tolist()
    steps = trajectory.step_jacobians_reversed(length)
    for t, jacobian in zip(range(length - 1, -1, -1), steps, strict=True):
        adjoint.pull_back(jacobian.T)
        if t > 0 and enters[t - 1]:
            adjoint.add(direct[t - 1].unsqueeze(-1), hidden)
        sizes.append(adjoint.size(hidden))
    together = Size(*(torch.stack(parts[::-1]) for parts in zip(*sizes, strict=True)))
    return together.judged(direct.dtype, tolerance)
