"""The logarithmic norm along a trajectory: a bound on growth that holds at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError
from gradprobe.probes.sampled_steps import sampled_steps
from gradprobe.probes.step_matrices import vector_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import Trajectory
    from gradprobe.models.dynamics import LinearStep

LARGEST_ERROR = 0.1
"""Beyond this relative error the bound, or a norm, is not determined."""


class Growth(NamedTuple):
    """What one step does at most, each entry (B,).

    Attributes
    ----------
    logarithmic_norm, logarithmic_norm_error
        μ₂(F) and its error.
    log_bound, log_bound_error
        ½ log(1 + 2εμ₂ + ε²‖F‖²) and its error.
    log_norm, log_norm_error
        log‖J‖₂ and its error.

    Examples
    --------
    >>> import torch
    >>> Growth(*torch.zeros(6, 1)).log_bound.item()
    0.0
    """

    logarithmic_norm: Tensor
    logarithmic_norm_error: Tensor
    log_bound: Tensor
    log_bound_error: Tensor
    log_norm: Tensor
    log_norm_error: Tensor


def logarithmic_norm(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    steps: Sequence[int] | None = None,
    samples: int = 20,
    end_to_end: bool = False,
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure μ₂(F_t), the logarithmic norm, and the growth of one Euler step that it allows.

    .. math:: μ_2(F) = λ_\max\bigl((F + F^\top)/2\bigr), \qquad
              ‖J_t‖_2^2 = ‖I + εF_t‖_2^2 ≤ 1 + 2ε\,μ_2(F_t) + ε^2 ‖F_t‖_2^2.

    The eigenvalues of F_t say how a perturbation grows only if F does not change in time: there are
    linear systems whose F_t have eigenvalues with negative real parts at every t and yet solutions
    that grow (Markus and Yamabe 1960).  The logarithmic norm is not misled: if μ₂(F_t) ≤ 0 for all
    t, nothing grows in continuous time, and the product of the bounds holds for ‖M_T‖₂, however the
    F_t turn.  It is the largest initial rate of growth; it may be pessimistic, never wrong.

    A model without a step size has no F_t.  For it the same statements hold of J_t − I, with ε = 1;
    the rows say ``step_minus_identity``.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing.
    generator
        Not used: the errors are bounds, not estimates from perturbations.
    steps
        At which t; `samples` steps, evenly spaced over 1 … the longest T, if not given.
    samples
        How many steps if `steps` is not given.
    end_to_end
        Whether to go through every step and give the bound on ‖M_T‖₂ at each length too.
    tolerance
        Largest error of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        - ``logarithmic_norm``, matrix ``vector_field`` (or ``step_minus_identity``): μ₂, per unit
          of time (or per step);
        - ``log_norm_bound``, matrix ``step``: ½ log(1 + 2εμ₂ + ε²‖F_t‖²), a natural logarithm;
        - ``log_norm_spectral``, matrix ``step``: log‖J_t‖₂ itself, to see how tight the bound is;
        - with `end_to_end`, ``log_norm_bound``, matrix ``end_to_end``, length and step both T: the
          sum of the bounds of all steps, which log‖M_T‖₂ cannot exceed.

    References
    ----------
    Dahlquist, "Stability and error bounds in the numerical integration of ordinary differential
    equations", Royal Institute of Technology, Stockholm, 1959; Söderlind, "The logarithmic norm.
    History and modern theory", BIT 46, 2006.  Markus, Yamabe, "Global stability criteria for
    differential systems", Osaka Mathematical Journal 12, 1960.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=1, hidden_size=6, diffusion=0.0,
    ...                      dtype=torch.float64)
    >>> trajectory = models.trace(model, torch.zeros(30, 1, 1))  # F = A, antisymmetric: μ₂ = 0
    >>> table = logarithmic_norm(trajectory, [30], generator=torch.Generator(), steps=[1])
    >>> bool(table.loc[table["quantity"] == "logarithmic_norm", "value"].abs().max() < 1e-14)
    True
    """
    checks.positive_number("tolerance", tolerance)
    if not isinstance(end_to_end, bool):
        raise ArgumentError(f"end_to_end must be True or False, got {end_to_end!r}")
    longest = lengths[-1]
    chosen = sampled_steps(steps, samples, longest)
    tables = [
        _rows(t, *_growth(trajectory, trajectory.step_jacobian(t))).assign(length=longest)
        for t in chosen
    ]
    if end_to_end:
        tables.append(_end_to_end(trajectory, lengths))
    table = frame.concatenate(tables, block="state")
    return table.assign(resolved=(table["error"] <= tolerance).astype("boolean"))


def _growth(trajectory: Trajectory, jacobian: LinearStep) -> tuple[str, Growth]:
    """Return the name of the matrix, and what the step does at most."""
    field = vector_field(trajectory, jacobian)
    step_size = trajectory.model.step_size or 1.0
    symmetric = (field.matrix + field.matrix.mT) / 2
    logarithmic = torch.linalg.eigvalsh(symmetric)[:, -1]
    spectral = torch.linalg.matrix_norm(field.matrix, ord=2)
    error = 2 * field.rounding  # of the matrix, and as much again of the factorisations
    increase = 2 * step_size * logarithmic + (step_size * spectral).square()
    bound_error = 2 * step_size * error * (1 + step_size * spectral)
    norm = torch.linalg.matrix_norm(jacobian.dense(), ord=2)
    rounding = 8 * torch.finfo(norm.dtype).eps * jacobian.shape[-1] ** 0.5
    return field.name, Growth(
        logarithmic,
        error,
        torch.log1p(increase) / 2,
        _error_of_log(bound_error, 1 + increase) / 2,
        norm.log(),
        _error_of_log(rounding * norm, norm),
    )


def _error_of_log(error: Tensor, value: Tensor) -> Tensor:
    """Return the error of log(value), +inf beyond the linear regime, 0 for an exact zero."""
    relative = error / value
    relative = torch.where(relative.abs() < LARGEST_ERROR, relative.abs(), torch.inf)
    rounding = torch.finfo(value.dtype).eps * value.log().abs().nan_to_num()
    return (relative / (1 - LARGEST_ERROR) + rounding).masked_fill((value == 0) & (error == 0), 0.0)


def _rows(t: int, name: str, growth: Growth) -> pd.DataFrame:
    parts = torch.stack(growth).cpu().numpy()
    return frame.rows(
        step=t,
        sequence=np.arange(parts.shape[1]),
        quantity=np.array(["logarithmic_norm", "log_norm_bound", "log_norm_spectral"])[:, None],
        matrix=np.array([name, "step", "step"])[:, None],
        value=parts[::2],
        error=parts[1::2],
    )


def _end_to_end(trajectory: Trajectory, lengths: Sequence[int]) -> pd.DataFrame:
    """Add up the bounds of all steps."""
    total = error = torch.zeros(trajectory.batch, dtype=torch.float64)
    tables = []
    for t, jacobian in enumerate(trajectory.step_jacobians(lengths[-1]), start=1):
        _, growth = _growth(trajectory, jacobian)
        total = total + growth.log_bound.cpu()
        error = error + growth.log_bound_error.cpu()
        if t in lengths:
            tables.append(
                frame.rows(
                    length=t,
                    step=t,
                    sequence=np.arange(trajectory.batch),
                    quantity="log_norm_bound",
                    matrix="end_to_end",
                    value=total.numpy(),
                    error=error.numpy(),
                )
            )
    return frame.concatenate(tables)
