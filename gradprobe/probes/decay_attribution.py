"""Why the gradient vanishes, or explodes: the recurrent matrix, or what φ makes of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from gradprobe import checks, frame
from gradprobe.errors import UnsupportedModelError
from gradprobe.linalg.cotangents import stable_norm
from gradprobe.linalg.leading_vector import LeadingVector, perturbed
from gradprobe.models.recurrent_model import RecurrentModel
from gradprobe.models.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import Trajectory
    from gradprobe.models.step_jacobian import StepJacobian

QUANTITIES = (
    "log_growth",
    "log_growth_reference",
    "log_growth_activation",
    "log_growth_carry",
)

SAFETY = 4.0
"""By how much the largest deviation of a few copies may fall short of what rounding does."""

LARGEST_ERROR = 0.1
"""A larger deviation of the copies is outside the linear regime: the value is not determined."""


def decay_attribution(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    reference: str = "rest",
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Split log σ₁(M_T) over the steps, and each step over the recurrent matrix and φ.

    Let v₁ be the leading right singular vector of M_T = J_T ⋯ J_1 and w_t = M_t v₁ its path.  The
    steps' growths add up:

    .. math:: \log σ_1(M_T) = \sum_{t=1}^{T} \log \frac{‖J_t w_{t-1}‖}{‖w_{t-1}‖}.

    A step is J = D_s + D_a R (and D_u U between layers), where the diagonal D are φ's derivatives:
    D_s by the unit's own state, D_a and D_u by what enters through R and U.  With D° the same at a
    reference, and J° made of these, a step's growth is

    .. math::
        \log \frac{‖J w‖}{‖w‖} = \underbrace{\log \frac{‖J° w‖}{‖w‖}}_{\text{reference}}
        + \text{activation} + \text{carry},

    where *activation* is what changes as D_a and D_u become those of the trajectory (saturation,
    and the gates that the path through R passes), and *carry* what changes as D_s does (forget and
    update gates).  The order of the two changes matters, so both are the mean over both orders,
    their Shapley values.

    This is one choice among several.  Another reference, another vector than v₁ (the Frobenius norm
    takes all), or norms other than the Euclidean one split the same growth otherwise.  v₁ is chosen
    in view of all T steps, so that a single step may grow although M_T vanishes.  And the reference
    acts at each step on where the trajectory has turned w to, so its sum is not the growth that the
    product of the J° alone would have.

    Parameters
    ----------
    trajectory
        B sequences along a model made of cells.
    lengths
        The T, increasing; each has its own v₁.
    generator
        Source of the perturbations from which errors are estimated.
    reference
        Where D° is taken.  ``"rest"``: at zero input and where the model starts, zero unless it
        has learnt another state, so that the bias alone drives the cell: tanh has slope
        1 − tanh(b)², a gate stands at σ(b).  ``"zero"``: at zero state, without the bias too: tanh
        and relu have slope one, a gate is half open.  At a kink, from the right.
    tolerance
        Largest error, in natural-log units, of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with quantity ``log_growth`` and its three parts ``log_growth_reference``,
        ``log_growth_activation``, ``log_growth_carry`` (natural logarithms), block ``state``: for
        each length T, matrix ``step``, step t = 1 … T; and their sums over t, matrix
        ``end_to_end``, step T, the first of which is log σ₁(M_T).  For a sequence whose M_T is
        exactly zero only that sum, −inf.  A part is missing where it is not defined: where the
        reference turns w into zero.

    Raises
    ------
    UnsupportedModelError
        The model is not made of cells, so that φ and R cannot be told apart.
    NonFiniteError
        φ has no finite derivative at the reference, as modReLU of complex units with a positive
        bias at zero.

    Notes
    -----
    Costs three matrix products S × S for each step: M_T and two perturbed copies are formed to find
    v₁ and how well it is determined.  Where the largest singular values coincide v₁ is any vector
    of their space; steps that depend on which are not resolved, their sum is.

    References
    ----------
    Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    equation 5 (the two factors of a step); Shapley, "A value for n-person games", 1953.

    Examples
    --------
    The matrix of an orthogonal network keeps gradients; tanh loses them:

    >>> from gradprobe import models
    >>> model = models.build("orthogonal", input_size=1, hidden_size=16, nonlinearity="tanh")
    >>> trajectory = models.trace(model, torch.ones(500, 1, 1))
    >>> table = decay_attribution(trajectory, [500], generator=torch.Generator().manual_seed(0))
    >>> total = table[table["matrix"] == "end_to_end"].set_index("quantity")["value"]
    >>> [f"{name}: {value:.0f}" for name, value in total.items() if abs(value) > 0.1]
    ['log_growth: -110', 'log_growth_activation: -110']
    """
    checks.positive_number("tolerance", tolerance)
    model = _cells_of(trajectory)
    at_reference = Reference(model, reference, trajectory.batch)
    vectors, vanished = _leading_vectors(trajectory, lengths, generator)
    logs = _follow(trajectory, at_reference, vectors, lengths[-1], generator)
    tables = []
    for index, length in enumerate(lengths):
        parts = _shapley(logs[:length, ..., index])
        tables.append(_rows(parts, length, vanished[index], tolerance))
    return frame.concatenate(tables, block="state")


def _cells_of(trajectory: Trajectory) -> RecurrentModel:
    model = trajectory.model
    if not isinstance(model, RecurrentModel):
        raise UnsupportedModelError(
            "decay_attribution tells the recurrent matrix from what φ makes of it, and for that a "
            f"model must be made of gradprobe.models.Cell; {model.name!r} is known as a function "
            "only, whose Jacobian is one matrix"
        )
    return model


def _leading_vectors(
    trajectory: Trajectory, lengths: Sequence[int], generator: torch.Generator
) -> tuple[Tensor, list[Tensor]]:
    """Return v₁ and those of perturbed copies, (1 + copies, B, S, lengths); and where M_T is 0."""
    model = trajectory.model
    leading = LeadingVector(
        model.state_size,
        generator=generator,
        batch_shape=(trajectory.batch,),
        dtype=model.dtype,
        device=model.device,
    )
    vectors: list[Tensor] = []
    vanished: list[Tensor] = []
    for t, jacobian in enumerate(trajectory.step_jacobians(lengths[-1]), start=1):
        leading.absorb(jacobian)
        if t in lengths:
            vectors.append(leading.vectors())
            vanished.append(leading.is_zero())
    return torch.stack(vectors, dim=-1), vanished


def _follow(
    trajectory: Trajectory,
    reference: Reference,
    vectors: Tensor,
    stop: int,
    generator: torch.Generator,
) -> Tensor:
    """Return the log growths of the vectors along their paths, (stop, 4, 1 + copies, B, lengths).

    The four are under the reference, with only the activation and with only the carry as they are,
    and under the step itself, along which the vectors move on.
    """
    logs = []
    for jacobian in trajectory.step_jacobians(stop):
        step = cast("StepJacobian", jacobian)
        images = [
            reference.replacing(step, carried=True, activated=True) @ vectors,
            reference.replacing(step, carried=True) @ vectors,
            reference.replacing(step, activated=True) @ vectors,
            step @ vectors,
        ]
        norms = stable_norm(torch.stack(images).transpose(-1, -2))
        logs.append(norms.log())
        size = norms[-1].masked_fill(norms[-1] == 0, 1.0).to(vectors.dtype)
        vectors = images[-1] / size.unsqueeze(-2)
        perturbed(vectors, generator)
    return torch.stack(logs)


def _shapley(logs: Tensor) -> Tensor:
    """Return the growth and its three parts, shape (4, steps + 1, …); last the sums over steps."""
    neither, activation, carry, both = logs.unbind(1)
    parts = torch.stack(
        (
            both,
            neither,
            ((activation - neither) + (both - carry)) / 2,
            ((carry - neither) + (both - activation)) / 2,
        )
    )
    return torch.cat((parts, parts.sum(1, keepdim=True)), dim=1)


def _errors(parts: Tensor) -> Tensor:
    """Return the error of the values ``parts[:, :, 0]`` by the perturbed copies beside them."""
    values, copies = parts[:, :, :1], parts[:, :, 1:]
    deviation = torch.where(copies == values, 0.0, (copies - values).abs()).amax(2)
    value = values.squeeze(2)
    # The last row is a sum over as many steps as there are rows before it.
    rounding = 8 * torch.finfo(parts.dtype).eps * (1 + value.abs())
    error = SAFETY * deviation + rounding * math.sqrt(parts.shape[1])
    error = torch.where(error < LARGEST_ERROR, error, torch.inf)
    return error.masked_fill((value == -torch.inf) & (deviation == 0), 0.0)


def _rows(parts: Tensor, length: int, vanished: Tensor, tolerance: float) -> pd.DataFrame:
    values, errors = parts[:, :, 0], _errors(parts)
    table = frame.rows(
        length=length,
        step=np.array([*range(1, length + 1), length])[:, None],
        sequence=np.arange(values.shape[-1]),
        quantity=np.array(QUANTITIES)[:, None, None],
        matrix=np.array([*["step"] * length, "end_to_end"])[:, None],
        value=values.cpu().numpy(),
        error=errors.cpu().numpy(),
        resolved=(errors <= tolerance).cpu().numpy(),
    )
    gone = table["sequence"].isin(vanished.nonzero().flatten().tolist())
    only = (table["quantity"] == QUANTITIES[0]) & (table["matrix"] == "end_to_end")
    table.loc[gone & only, ["value", "error", "resolved"]] = [-np.inf, 0.0, True]
    return table[~gone | only]
