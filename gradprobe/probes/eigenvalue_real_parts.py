"""The eigenvalues of the Jacobian of one step: how stable the dynamics are, locally in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from gradprobe import checks, frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import Trajectory


class Eigenvalues(NamedTuple):
    """Eigenvalues of a batch of matrices, sorted by real part, descending.

    Attributes
    ----------
    values
        λ, complex, shape (B, S).
    error
        First-order bound of |δλ|, shape (B, S).
    mean_real
        (trace A)/S, the mean of the real parts, shape (B,).
    mean_error
        Bound of its error, shape (B,).
    """

    values: Tensor
    error: Tensor
    mean_real: Tensor
    mean_error: Tensor


def eigenvalue_real_parts(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    steps: Sequence[int] | None = None,
    samples: int = 20,
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure the eigenvalues of F_t, or of J_t, at some steps, and their real parts along t.

    For an Euler-type model, h_t = h_{t-1} + ε f(h_{t-1}, x_t), the matrix is the Jacobian of the
    vector field, F_t = ∂f/∂h = (J_t − I)/ε.  The criterion Re λ_i(F_t) ≈ 0 is about it (section
    3.2 of the reference), and forward Euler is stable where |1 + ε λ_i(F_t)| ≤ 1 (equation 11).
    For every other model it is the step Jacobian J_t itself, judged by |λ_i(J_t)|.

    For the antisymmetric model F_t = diag(φ′) A with A + Aᵀ = −2γI; its real parts vanish for γ = 0
    and lie in [−γ max φ′, −γ min φ′] otherwise.  For the *gated* model, equation 13, the diagonal
    factor is indefinite and the real parts are of the order of σ_w, with both signs: the proof of
    Appendix B does not apply to it, although section 3.4 reads as if it did.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T of the call, increasing; the eigenvalues are those of single steps up to the longest.
    generator
        Not used: the errors are bounds, not estimates from perturbations.
    steps
        Where all the eigenvalues are given; at the lengths themselves if not given.
    samples
        How many steps, evenly spaced over 1 … T, the statistics are given for.
    tolerance
        Largest error of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with matrix ``vector_field`` or ``step``.  At `steps`: ``real``, ``imag``, and
        ``euler_modulus`` |1 + ελ| or ``modulus`` |λ|, by rank (1 = largest real part).  At the
        sampled steps: ``real_max``, ``real_mean``, ``real_std`` (over the S eigenvalues).

    Notes
    -----
    The error of an eigenvalue is a first-order bound, κ_i · 4u‖A‖_F, with u the unit roundoff and
    κ_i = ‖x_i‖ ‖y_i‖ / |y_iᴴ x_i| the eigenvalue's condition number (x, y its right and left
    eigenvectors); a defective matrix has κ = ∞ and its eigenvalues come back unresolved.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019, sections 3.2 to 3.4 and Appendix B.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=1, hidden_size=6, diffusion=0.0)
    >>> trajectory = models.trace(model, torch.randn(30, 1, 1, generator=torch.Generator()))
    >>> table = eigenvalue_real_parts(trajectory, [30], generator=torch.Generator())
    >>> bool(table.loc[table["quantity"] == "real", "value"].abs().max() < 1e-12)
    True
    """
    longest = lengths[-1]
    chosen = lengths if steps is None else checks.increasing_lengths("steps", steps, longest)
    checks.positive_integer("samples", samples)
    checks.positive_number("tolerance", tolerance)
    sampled = set(np.linspace(1, longest, min(samples, longest)).round().astype(int).tolist())
    tables = []
    for t in sorted(sampled | set(chosen)):
        spectrum = _eigenvalues(_matrix(trajectory, t))
        if t in chosen:
            tables.append(_spectrum_rows(t, spectrum, trajectory.model.step_size))
        if t in sampled:
            tables.append(_statistics_rows(t, spectrum))
    matrix = "step" if trajectory.model.step_size is None else "vector_field"
    table = frame.concatenate(tables, length=longest, matrix=matrix, block="state")
    return table.assign(resolved=(table["error"] <= tolerance).astype("boolean"))


def _matrix(trajectory: Trajectory, t: int) -> Tensor:
    """Return F_t of an Euler-type model, J_t of every other; shape (B, S, S)."""
    jacobian, step_size = trajectory.step_jacobian(t), trajectory.model.step_size
    return jacobian.dense() if step_size is None else jacobian.minus_identity() / step_size


def _eigenvalues(matrix: Tensor) -> Eigenvalues:
    values, vectors = torch.linalg.eig(matrix)
    inverse, info = torch.linalg.inv_ex(vectors)
    condition = torch.linalg.vector_norm(inverse, dim=-1) * torch.linalg.vector_norm(
        vectors, dim=-2
    )
    condition = condition.masked_fill((info > 0)[:, None] | ~condition.isfinite(), torch.inf)
    rounding = 4 * torch.finfo(matrix.dtype).eps * torch.linalg.matrix_norm(matrix)
    order = values.real.argsort(dim=-1, descending=True)
    size = matrix.shape[-1]
    return Eigenvalues(
        values.gather(-1, order),
        (rounding[:, None] * condition).nan_to_num(nan=0.0, posinf=torch.inf).gather(-1, order),
        matrix.diagonal(dim1=-2, dim2=-1).sum(-1) / size,
        rounding / size**0.5,
    )


def _spectrum_rows(t: int, spectrum: Eigenvalues, step_size: float | None) -> pd.DataFrame:
    values, error = spectrum.values.cpu().numpy(), spectrum.error.cpu().numpy()
    if step_size is None:
        modulus, name, modulus_error = np.abs(values), "modulus", error
    else:
        modulus, name = np.abs(1 + step_size * values), "euler_modulus"
        modulus_error = step_size * error
    batch, count = values.shape
    return frame.rows(
        step=t,
        sequence=np.arange(batch)[:, None],
        rank=np.arange(1, count + 1),
        quantity=np.array(["real", "imag", name])[:, None, None],
        value=np.stack((values.real, values.imag, modulus)),
        error=np.stack((error, error, modulus_error)),
    )


def _statistics_rows(t: int, spectrum: Eigenvalues) -> pd.DataFrame:
    """Return the maximum, mean and standard deviation of the real parts.

    The standard deviation moves by at most the root mean square of the values' errors.
    """
    real, error = spectrum.values.real, spectrum.error
    values = torch.stack((real[:, 0], spectrum.mean_real, real.std(dim=-1, correction=0)))
    errors = torch.stack((error[:, 0], spectrum.mean_error, error.square().mean(-1).sqrt()))
    return frame.rows(
        step=t,
        sequence=np.arange(values.shape[1]),
        quantity=np.array(["real_max", "real_mean", "real_std"])[:, None],
        value=values.cpu().numpy(),
        error=errors.cpu().numpy(),
    )
