"""How far apart a batch of inputs leaves the hidden states, and in how many directions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import Trajectory


def state_separation(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure the spread and the effective rank of the states h_T of a batch of B sequences.

    With C the matrix of the states less their mean, row b being :math:`h_T^{(b)} - \bar h_T`, and
    σ_k its singular values,

    .. math::
        \text{spread} = \frac{‖C‖_F}{\sqrt B}, \qquad
        \text{effective rank} = \exp\Big(-\sum_k p_k \log p_k\Big), \quad
        p_k = \frac{σ_k}{\sum_j σ_j}.

    The spread is the root mean square distance of a state from the mean.  The effective rank lies
    between 1, where all states lie on a line, and min(B − 1, N); it does not depend on the scale.

    Neither knows what is to be told apart: noise among the inputs spreads the states as well as
    what matters does; see `gradprobe.probes.linear_readout.linear_readout`.

    Parameters
    ----------
    trajectory
        B sequences along a model, at least two.
    lengths
        The T, increasing.
    generator
        Not used: nothing is drawn.
    tolerance
        Largest error of a value that counts as resolved; of an effective rank, relative to it.

    Returns
    -------
    pandas.DataFrame
        For each T, block ``hidden``, matrix and sequence missing, step T: ``effective_rank``, a
        number of directions, and ``log_spread``, a natural logarithm.  Where all states are the
        same bit for bit, the spread is −inf and there is no effective rank: it is missing.  Errors
        are those of rounding, the states being taken as they are.

    Raises
    ------
    ArgumentError
        There is one sequence only.

    References
    ----------
    Roy, Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007;
    Legenstein, Maass, "Edge of chaos and prediction of computational performance for neural circuit
    models", Neural Networks 2007, where the rank of the states over different inputs, the kernel
    quality, is set against that over noisy copies of one input.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=2, hidden_size=8, recurrent_scale=0.0,
    ...                      diffusion=0.0)
    >>> inputs = torch.randn(20, 50, 2, generator=torch.Generator().manual_seed(0))
    >>> table = state_separation(models.trace(model, inputs), [20], generator=torch.Generator())
    >>> rank, log_spread = table["value"]
    >>> 2.0 < rank < 8.0, bool(table["resolved"].all())
    (True, True)
    """
    checks.positive_number("tolerance", tolerance)
    if trajectory.batch < 2:
        raise ArgumentError(
            f"state_separation compares sequences: it needs at least 2, got {trajectory.batch}"
        )
    return frame.concatenate(
        [
            _rows(quantity, value, error, T, tolerance)
            for T, states in states_at(trajectory, lengths).items()
            for quantity, (value, error) in _separation(states).items()
        ],
        block="hidden",
    )


def states_at(trajectory: Trajectory, lengths: Sequence[int]) -> dict[int, Tensor]:
    """Return h_T for each T of `lengths`, of shape (B, N).

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("gru", input_size=1, hidden_size=4)
    >>> states_at(models.trace(model, torch.zeros(6, 2, 1)), [3, 6])[6].shape
    torch.Size([2, 4])
    """
    chosen, wanted = trajectory.model.hidden_slice, set(lengths)
    return {
        t: state[:, chosen]
        for t, state in enumerate(trajectory.states(max(lengths)))
        if t in wanted
    }


def _separation(states: Tensor) -> dict[str, tuple[float, float]]:
    """Return each quantity with its error."""
    centred = states - states.mean(0)
    sigma = torch.linalg.svdvals(centred)
    total = float(sigma.sum())
    if bool((states == states[0]).all()):
        return {"effective_rank": (float("nan"), float("inf")), "log_spread": (-float("inf"), 0.0)}
    # Rounding of the mean and of the differences, then of the decomposition, in every σ alike.
    rounding = 8 * torch.finfo(states.dtype).eps * float(torch.linalg.matrix_norm(states))
    spread = float(torch.linalg.matrix_norm(centred)) / len(states) ** 0.5
    shares = sigma.clamp_min(torch.finfo(sigma.dtype).tiny) / total
    entropy = -float((sigma / total * shares.log()).sum())
    # ∂entropy/∂σ_k = −(log p_k + entropy)/Σσ, p_k being no less than what rounding leaves of it.
    slopes = (shares.clamp_min(rounding / total).log() + entropy).abs()
    rank = math.exp(entropy)
    return {
        "effective_rank": (rank, rank * float(slopes.sum()) * rounding / total),
        "log_spread": (math.log(spread), rounding / (spread * len(states) ** 0.5)),
    }


def _rows(quantity: str, value: float, error: float, length: int, tolerance: float) -> pd.DataFrame:
    scale = value if quantity == "effective_rank" else 1.0
    return frame.rows(
        length=length,
        step=length,
        quantity=quantity,
        value=value,
        error=error,
        resolved=bool(error <= tolerance * scale),
    )
