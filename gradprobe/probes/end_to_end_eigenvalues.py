"""The eigenvalues of the end-to-end Jacobian, at any length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gradprobe import checks, frame
from gradprobe.linalg.cycles import most_nonzero_eigenvalues, pattern_of_product
from gradprobe.linalg.eigenvalues import eigenvalues_of, with_structural_zeros
from gradprobe.probes.graded_products import graded_products

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from gradprobe.linalg.eigenvalues import Eigenvalues
    from gradprobe.models import Trajectory

REPETITIONS = 2
"""How many perturbed copies of the product tell how far its eigenvalues are off."""

BLOCKS = ("state", "hidden")


def end_to_end_eigenvalues(
    trajectory: Trajectory,
    lengths: Sequence[int],
    *,
    generator: torch.Generator,
    block: str = "state",
    tolerance: float = 1e-6,
) -> pd.DataFrame:
    r"""Measure the eigenvalues λ_i of M_T = ∂s_T/∂s_0, and mean and spread of their moduli.

    The AntisymmetricRNN's paper shows the mean and the standard deviation of |λ_i(M_T)| over i as
    the sign of gradients that neither vanish nor explode: mean near one, deviation near zero.  That
    is weaker than the same statement about singular values: |λ_i| = 1 for all i still leaves room
    for σ_1 ≫ 1 ≫ σ_S, unless M_T is normal.

    M_T spans hundreds of orders of magnitude, so that an eigenvalue routine applied to it returns
    rounding errors for all but the leading values.  Here the product is kept graded and decoupled
    where its scales fall apart; see `gradprobe.linalg.graded_eigenvalues`.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    lengths
        The T, increasing.
    generator
        Source of the perturbations from which errors are estimated.
    block
        ``"state"``: of ∂s_T/∂s_0; ``"hidden"``: of ∂h_T/∂h_0, h being the last layer's.
    tolerance
        Largest error of a value that counts as resolved.

    Returns
    -------
    pandas.DataFrame
        Rows with matrix ``end_to_end``, length and step both T:

        - ``log_modulus``, log|λ_i| (natural logarithm; −inf for a zero that follows from zeros of
          the steps), rank 1 for the largest;
        - ``phase``, arg λ_i in (−π, π], same ranks; no row for a zero;
        - ``log_mean_modulus``, log((1/S) Σ|λ_i|), and ``log_std_modulus``, the logarithm of the
          standard deviation of |λ_i| over i.

        Where the arithmetic does not determine a value at all, it is NaN, its error inf: a
        defective M_T's eigenvalues, say, or the deviation of moduli that are equal to rounding.

    References
    ----------
    Chang, Chen, Haber, Chi, "AntisymmetricRNN", ICLR 2019 (the figure with mean and standard
    deviation of the eigenvalues of the end-to-end Jacobian).

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("orthogonal", input_size=1, hidden_size=3, nonlinearity="modrelu",
    ...                      dtype=torch.float64)
    >>> trajectory = models.trace(model, torch.zeros(400, 1, 1), torch.ones(1, 3).double())
    >>> table = end_to_end_eigenvalues(trajectory, [400], generator=torch.Generator())
    >>> moduli = table[table["quantity"] == "log_modulus"]
    >>> bool(moduli["value"].abs().max() < 1e-12), bool(moduli["resolved"].all())
    (True, True)
    """
    checks.one_of("block", block, BLOCKS)
    model = trajectory.model
    chosen, count = (
        (model.hidden_slice, model.output_size) if block == "hidden" else (None, model.state_size)
    )
    tables = []
    for length, product in graded_products(
        trajectory, lengths, generator=generator, tolerance=tolerance, repetitions=REPETITIONS
    ):
        eigenvalues = eigenvalues_of(
            product.factors(chosen), steps=product.steps, generator=generator, count=count
        )
        if bool(eigenvalues.log_modulus.isnan().any()):
            eigenvalues = with_structural_zeros(eigenvalues, _most(trajectory, length, chosen))
        tables.append(_rows(eigenvalues).assign(length=length, step=length))
    table = frame.concatenate(tables, matrix="end_to_end", block=block)
    return table.assign(resolved=(table["error"] <= tolerance).astype("boolean"))


def _most(trajectory: Trajectory, length: int, chosen: slice | None) -> torch.Tensor:
    """Return how many eigenvalues the zeros of the steps allow to be other than zero, shape (B)."""
    rows = slice(None) if chosen is None else chosen
    pattern = pattern_of_product(trajectory.step_jacobians(length))[:, rows, rows]
    return torch.tensor([most_nonzero_eigenvalues(own) for own in pattern.cpu().numpy()])


def _rows(eigenvalues: Eigenvalues) -> pd.DataFrame:
    log_modulus, phase, error, statistics, statistics_error = (part.numpy() for part in eigenvalues)
    batch, count = log_modulus.shape
    spectrum = frame.rows(
        sequence=np.arange(batch)[:, None],
        rank=np.arange(1, count + 1),
        quantity=np.array(["log_modulus", "phase"])[:, None, None],
        value=np.stack((log_modulus, phase)),
        error=error,
    )
    no_phase = np.stack((np.zeros_like(phase, dtype=bool), np.isneginf(log_modulus))).reshape(-1)
    summary = frame.rows(
        sequence=np.arange(batch)[:, None],
        quantity=np.array(["log_mean_modulus", "log_std_modulus"]),
        value=statistics,
        error=statistics_error,
    )
    return frame.concatenate([spectrum[~no_phase], summary])
