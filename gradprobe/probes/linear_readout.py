"""How well a linear readout of the states, as they are, tells what the task asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import Trajectory

FEWEST = 3
"""Sequences that leaving one out takes."""

QUANTITIES = ("explained_variance", "explained_variance_rescaled")
"""Of the states as they are, and of states divided by their root mean square about the mean."""


def linear_readout(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    penalty: float = 0.01,
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure how much of the targets a ridge regression on h_T explains, leaving one out.

    The targets y are numbers, or classes as vectors with a one at the class.  The readout is the
    minimum of

    .. math::
        \frac{1}{B} \sum_b ‖y_b - W h_T^{(b)} - w_0‖^2 + λ ‖W‖_F^2:

    of a direction in which the states have the variance s², the share s²/(s² + λ) is used, whatever
    the scale of the targets.  Each y_b is predicted from the B − 1 other sequences, and

    .. math::
        \text{explained variance} = 1 -
            \frac{\sum_b ‖y_b - \hat y_{b}‖^2}{\sum_b ‖y_b - \bar y_{b}‖^2},

    ȳ_b being the mean of the other targets: 1 where every target is told exactly, 0 or less where
    the states help no more than not looking at them.  This is exact, without B regressions: the
    errors are those of one regression, divided by one less the diagonal of its hat matrix.

    Parameters
    ----------
    trajectory
        B sequences along a model, at least three.
    lengths
        The T, increasing; at each, h_T is read.
    generator
        Not used: nothing is drawn.
    targets
        (B,): what is to be told of each sequence; int64 = classes, floating-point = numbers.
        (k, B): the last k states h_{T−k+1} … h_T are read by one and the same readout, each of its
        own target.
    penalty
        λ.  Gradient flow on the mean squared error for a time τ is close to ridge regression with
        λ = 1/τ: what so short a training cannot reach, the penalty leaves out.
    tolerance
        Largest error of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        For each T, block ``hidden``, matrix and sequence missing, step T: ``explained_variance``;
        and ``explained_variance_rescaled``, the same from states divided by one number, the root
        mean square of their entries about the mean, which tells what the states know, however small
        they are.  Errors are those of rounding, the states being taken as they are.

    Raises
    ------
    ArgumentError
        Targets are missing, of another shape, or all the same, or there are too few sequences.

    References
    ----------
    Allen, "The relationship between variable selection and data augmentation and a method for
    prediction", Technometrics 1974 (errors of leaving one out); Jaeger, "The 'echo state' approach
    to analysing and training recurrent neural networks", GMD Report 148, 2001 (untrained states, a
    trained linear readout); Ali, Kolter, Tibshirani, "A continuous-time view of early stopping for
    least squares regression", AISTATS 2019 (time and penalty).

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=2, hidden_size=8, step_size=0.1)
    >>> inputs = torch.randn(20, 50, 2, generator=torch.Generator().manual_seed(0))
    >>> sums = inputs[:, :, 0].sum(0)
    >>> table = linear_readout(
    ...     models.trace(model, inputs), [20], generator=torch.Generator(), targets=sums
    ... )
    >>> bool(table["value"].min() > 0.9)
    True
    """
    checks.positive_number("penalty", penalty)
    checks.positive_number("tolerance", tolerance)
    wanted = _check_targets(trajectory, lengths, targets)
    states = _states_read(trajectory, lengths, len(wanted))
    answers = _as_vectors(wanted, trajectory.model.dtype)
    return frame.concatenate(
        [
            _rows(quantity, _explained(*found, answers, penalty), T, tolerance)
            for T, seen in states.items()
            for quantity, found in _versions(seen).items()
        ],
        block="hidden",
    )


def _check_targets(
    trajectory: Trajectory, lengths: Sequence[int], targets: Tensor | None
) -> Tensor:
    """Return the targets with the shape (k, B)."""
    if not isinstance(targets, torch.Tensor):
        raise ArgumentError(
            "linear_readout needs targets, a tensor with one for each sequence: "
            "gp.probe(model, inputs, ['linear_readout'], targets=targets)"
        )
    if trajectory.batch < FEWEST:
        raise ArgumentError(
            f"linear_readout needs at least {FEWEST} sequences, got {trajectory.batch}"
        )
    wanted = targets[None] if targets.ndim == 1 else targets
    checks.shape("targets", wanted, ("k", trajectory.batch))
    checks.finite("targets", wanted)
    if len(wanted) > lengths[0]:
        raise ArgumentError(
            f"targets are of the last {len(wanted)} states, but the shortest length is {lengths[0]}"
        )
    if bool((wanted == wanted[0, 0]).all()):
        raise ArgumentError("targets must differ between sequences, but all are the same")
    return wanted


def _states_read(trajectory: Trajectory, lengths: Sequence[int], count: int) -> dict[int, Tensor]:
    """Return the last `count` states before each T, shape (count, B, N)."""
    chosen, found = trajectory.model.hidden_slice, {}
    recent: list[Tensor] = []
    for t, state in enumerate(trajectory.states(lengths[-1])):
        recent = [*recent, state[:, chosen]][-count:]
        if t in lengths:
            found[t] = torch.stack(recent)
    return found


def _as_vectors(targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Return numbers, shape (k, B, 1), or a one at each class that occurs, shape (k, B, C)."""
    if targets.is_floating_point():
        return targets.to(dtype)[..., None]
    _, positions = torch.unique(targets, return_inverse=True)
    return torch.nn.functional.one_hot(positions).to(dtype)


def _versions(states: Tensor) -> dict[str, tuple[Tensor, float]]:
    """Return the states less their mean, as they are and at scale one, with their uncertainty."""
    centred = states - states.mean((0, 1))
    rounding = 8 * torch.finfo(states.dtype).eps * float(states.norm())
    scale = float(centred.square().mean().sqrt())
    if scale == 0:
        return dict.fromkeys(QUANTITIES, (centred, rounding))
    return dict(
        zip(QUANTITIES, ((centred, rounding), (centred / scale, rounding / scale)), strict=True)
    )


def _explained(
    states: Tensor, rounding: float, answers: Tensor, penalty: float
) -> tuple[float, float]:
    """Return the explained variance of leaving one sequence out, and its error.

    Parameters
    ----------
    states, rounding
        (k, B, N) with mean zero, and the Frobenius norm of what they are uncertain by.
    answers
        (k, B, C).
    penalty
        λ.
    """
    count, batch, _ = answers.shape
    directions, sigma, _ = torch.linalg.svd(states.flatten(0, 1), full_matrices=False)
    total = count * batch * penalty
    basis = directions * (sigma / (sigma.square() + total).sqrt())
    centred = answers - answers.mean((0, 1))
    left, leverage = _left_out(basis.unflatten(0, (count, batch)), centred)
    alone, _ = _left_out(basis.new_zeros(count, batch, 0), centred)
    value = 1 - float(left.square().sum() / alone.square().sum())
    # Ridge predictions change by no more than ‖ΔC‖/√(kBλ) relative to the answers.
    relative = rounding / total**0.5 + torch.finfo(states.dtype).eps * count * batch
    return value, 4 * relative / (1 - leverage) ** 2


def _left_out(basis: Tensor, answers: Tensor) -> tuple[Tensor, float]:
    """Return the errors of predicting each sequence from the others, and the greatest leverage.

    The hat matrix is that of the mean plus Q Qᵀ, Q being `basis` of shape (k, B, N); its block of
    one sequence is k by k.
    """
    count, batch, _ = answers.shape
    errors = answers - torch.einsum(
        "kbn,nc->kbc", basis, torch.einsum("kbn,kbc->nc", basis, answers)
    )
    hat = torch.einsum("kbn,lbn->bkl", basis, basis) + 1 / (count * batch)
    without = torch.eye(count, dtype=hat.dtype, device=hat.device) - hat
    left = torch.linalg.solve(without, errors.movedim(1, 0))
    return left, 1 - float(torch.linalg.eigvalsh(without).min())


def _rows(quantity: str, found: tuple[float, float], length: int, tolerance: float) -> pd.DataFrame:
    value, error = found
    return frame.rows(
        length=length,
        step=length,
        quantity=quantity,
        value=value,
        error=error,
        resolved=bool(error <= tolerance),
    )
