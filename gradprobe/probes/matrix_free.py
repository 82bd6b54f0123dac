"""Singular values and norms of the end-to-end Jacobian of a wide model, without forming a matrix.

Only J v and Jᵀ v are used; memory is linear in the state's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError
from gradprobe.linalg.leading_values import Leading, LinearMap, leading_singular_values
from gradprobe.linalg.norm_estimate import Estimate, RandomProbes, random_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from gradprobe.models import Trajectory

METHODS = ("auto", "dense", "matrix_free")

WIDEST_DENSE = 1024
"""The largest state that ``"auto"`` measures by matrices."""

DEFAULT_COUNT = 8
"""How many singular values are given if not said."""

RANDOM_VECTORS = 32
"""From how many random vectors a Frobenius norm is estimated."""


def is_matrix_free(method: str, state_size: int) -> bool:
    """Return whether a state of this size is to be measured without forming matrices.

    Examples
    --------
    >>> is_matrix_free("auto", 4096), is_matrix_free("auto", 128), is_matrix_free("dense", 4096)
    (True, False, False)
    """
    checks.one_of("method", method, METHODS)
    return method == "matrix_free" or (method == "auto" and state_size > WIDEST_DENSE)


def leading_values(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    block: str,
    count: int,
    tolerance: float,
) -> pd.DataFrame:
    """Return rows of the `count` largest log σ of M_T, or of its hidden block, at each length.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("lstm", input_size=1, hidden_size=20)
    >>> trajectory = models.trace(model, torch.zeros(30, 1, 1))
    >>> table = leading_values(trajectory, [30], generator=torch.Generator(), block="hidden",
    ...                        count=3, tolerance=1e-6)
    >>> table["rank"].tolist(), bool(table["resolved"].all())
    ([1, 2, 3], True)
    """
    tables = []
    for length in lengths:
        product = end_to_end(trajectory, length, block)
        spectrum = leading_singular_values(
            product, count, generator=generator, tolerance=tolerance
        ).spectrum
        values, errors, resolved = (part.cpu().numpy() for part in spectrum)
        tables.append(
            frame.rows(
                length=length,
                step=length,
                sequence=np.arange(len(values))[:, None],
                quantity="log_sigma",
                matrix="end_to_end",
                block=block,
                rank=np.arange(1, count + 1),
                value=values,
                error=errors,
                resolved=resolved,
            )
        )
    return frame.concatenate(tables)


def norms(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    tolerance: float,
    estimate_tolerance: float,
) -> pd.DataFrame:
    """Return rows of estimated log‖∂h_t/∂h_0‖_F and log‖∂h_T/∂h_t‖_F, and of log‖∂h_T/∂h_0‖₂.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=1, hidden_size=50, diffusion=0.0)
    >>> trajectory = models.trace(model, torch.zeros(30, 1, 1))
    >>> table = norms(trajectory, [30], generator=torch.Generator(), tolerance=1e-3,
    ...               estimate_tolerance=0.25)
    >>> table.groupby(["quantity", "matrix"])["value"].count().to_dict()
    {('log_norm_fro_estimate', 'end_to_end'): 30, ('log_norm_fro_estimate', 'tail'): 30,
     ('log_norm_spectral', 'end_to_end'): 1}
    """
    leading = {
        length: leading_singular_values(
            end_to_end(trajectory, length, "hidden"), 1, generator=generator, tolerance=tolerance
        )
        for length in lengths
    }
    spectral = [_spectral_rows(length, found) for length, found in leading.items()]
    forwards = _forwards(trajectory, lengths[-1], leading, generator)
    backwards = [_backwards(trajectory, length, generator) for length in lengths]
    estimates = frame.concatenate([forwards, *backwards], quantity="log_norm_fro_estimate")
    resolved = (estimates["error"] <= estimate_tolerance).astype("boolean")
    return frame.concatenate([estimates.assign(resolved=resolved), *spectral], block="hidden")


def end_to_end(trajectory: Trajectory, length: int, block: str) -> LinearMap:
    """Return M_T, or its hidden block, as a product of steps that runs from either end."""
    model = trajectory.model
    return LinearMap(
        lambda: trajectory.step_jacobians(length),
        lambda: (jacobian.T for jacobian in trajectory.step_jacobians_reversed(length)),
        model.state_size,
        (trajectory.batch,),
        model.dtype,
        model.device,
        model.hidden_slice if block == "hidden" else None,
    )


def _spectral_rows(length: int, leading: Leading) -> pd.DataFrame:
    values, errors, resolved = (part[:, 0].cpu().numpy() for part in leading.spectrum)
    return frame.rows(
        length=length,
        step=length,
        sequence=np.arange(len(values)),
        quantity="log_norm_spectral",
        matrix="end_to_end",
        value=values,
        error=errors,
        resolved=resolved,
    )


def _forwards(
    trajectory: Trajectory, longest: int, leading: dict[int, Leading], generator: torch.Generator
) -> pd.DataFrame:
    """Follow ∂h_t/∂h_0 on random vectors; at the lengths the leading part is known."""
    probes, rows = _random_probes(trajectory, generator), trajectory.model.hidden_slice
    estimates = []
    for t, jacobian in enumerate(trajectory.step_jacobians(longest), start=1):
        probes.absorb(jacobian)
        estimate = probes.log_norm(rows)
        if t in leading:
            better = probes.restricted(rows).log_norm_beyond(
                leading[t].directions, leading[t].log_values
            )
            estimate = better
        estimates.append(estimate)
    return _estimate_rows(estimates, range(1, longest + 1), longest, "end_to_end")


def _backwards(trajectory: Trajectory, length: int, generator: torch.Generator) -> pd.DataFrame:
    """Follow (∂h_T/∂h_t)ᵀ on random vectors, for t = T − 1 … 0."""
    probes, rows = _random_probes(trajectory, generator), trajectory.model.hidden_slice
    estimates = []
    for jacobian in trajectory.step_jacobians_reversed(length):
        probes.absorb(jacobian.T)
        estimates.append(probes.log_norm(rows))
    return _estimate_rows(estimates[::-1], range(length), length, "tail")


def _random_probes(trajectory: Trajectory, generator: torch.Generator) -> RandomProbes:
    model = trajectory.model
    return RandomProbes(
        random_columns(
            model.state_size,
            RANDOM_VECTORS,
            batch_shape=(trajectory.batch,),
            like=torch.empty((), dtype=model.dtype, device=model.device),
            generator=generator,
            rows=model.hidden_slice,
        )
    )


def _estimate_rows(
    estimates: Sequence[Estimate], steps: Sequence[int], length: int, matrix: str
) -> pd.DataFrame:
    values, errors = (torch.stack(parts).cpu().numpy() for parts in zip(*estimates, strict=True))
    return frame.rows(
        length=length,
        step=np.asarray(steps)[:, None],
        sequence=np.arange(values.shape[1]),
        matrix=matrix,
        value=values,
        error=errors,
    )


def check_count(count: int, available: int) -> int:
    """Return `count` if there are as many values.

    Examples
    --------
    >>> check_count(8, 4096)
    8
    """
    if checks.positive_integer("count", count) > available:
        raise ArgumentError(f"count must be at most {available}, all there are, got {count}")
    return count
