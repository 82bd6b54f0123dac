"""Where the hidden states go, from initial states of one's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError, UnsupportedModelError
from gradprobe.models.working_copy import isolated

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import Trajectory


def state_trajectory(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    states: Sequence[Sequence[float]] | None = None,
) -> pd.DataFrame:
    """Record every entry of h_t over t, from one or several initial states.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing; only the longest matters.
    generator
        Not used: nothing is drawn.
    states
        K initial states s_0 of S entries each: every sequence is run from each of them, so that
        the table has K·B sequences, number b·K + k being sequence b from state k.  None: the
        trajectory's own, as it is.

    Returns
    -------
    pandas.DataFrame
        ``hidden_state``, block ``hidden``, for each step t = 0 … T, the rank being the unit; the
        matrix is missing, the length the longest T.  The states are those that the arithmetic
        makes, hence without an error of their own.

    Raises
    ------
    ArgumentError
        `states` is not a list of lists of numbers of one length.
    UnsupportedModelError
        They have not as many entries as the model's state.
    NonFiniteError
        A state, given or reached, is NaN or infinite.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, section 4, figure 1.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=2,
    ...                      recurrent_matrix=[[1.0, 0.0], [0.0, 1.0]])
    >>> trajectory = models.trace(model, torch.zeros(2, 1, 1))
    >>> table = state_trajectory(trajectory, [2], generator=torch.Generator(), states=[[0.0, 0.5]])
    >>> table[table["rank"] == 2]["value"].round(3).tolist()
    [0.5, 0.462, 0.432]
    """
    stop = lengths[-1]
    if states is None:
        path = torch.stack(list(trajectory.states(stop)))
    else:
        path = _paths(trajectory, stop, _initial(trajectory, states))
    hidden = path[..., trajectory.model.hidden_slice].cpu().numpy()
    return frame.rows(
        length=stop,
        step=np.arange(stop + 1)[:, None, None],
        sequence=np.arange(hidden.shape[1])[:, None],
        rank=np.arange(1, hidden.shape[2] + 1),
        quantity="hidden_state",
        block="hidden",
        value=hidden,
        error=0.0,
        resolved=True,
    )


def _initial(trajectory: Trajectory, states: Sequence[Sequence[float]]) -> Tensor:
    """Return the initial states, shape (K, S)."""
    model = trajectory.model
    try:
        initial = torch.as_tensor(states, dtype=model.dtype, device=model.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(
            f"states must be a list of states such as [[0.0, 0.5], [0.5, -0.75]], got {states!r}"
        ) from error
    if initial.ndim != 2 or not len(initial):
        raise ArgumentError(
            f"states must be a list of states such as [[0.0, 0.5], [0.5, -0.75]], got {states!r}"
        )
    if initial.shape[1] != model.state_size:
        raise UnsupportedModelError(
            f"each of the initial states must have the {model.state_size} entries of the state of "
            f"{model.name!r}, got {initial.shape[1]}"
        )
    return checks.finite("states", initial)


@torch.no_grad()
def _paths(trajectory: Trajectory, stop: int, initial: Tensor) -> Tensor:
    """Return s_0 … s_T of every sequence from every initial state, shape (T + 1, B·K, S)."""
    inputs = trajectory.inputs[:stop].repeat_interleave(len(initial), dim=1)
    first = initial.repeat(trajectory.batch, 1)
    with isolated(trajectory.model.device):
        path = torch.cat((first[None], trajectory.model.unroll(inputs, first)))
    return checks.finite("the states along the way", path)
