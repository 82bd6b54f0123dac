"""Arbitrary precision for the singular values that float64 does not determine."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import torch

from gradprobe.errors import ArgumentError
from gradprobe.linalg import Spectrum

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from gradprobe.linalg.arbitrary_precision import ExactProduct, ExactSpectrum
    from gradprobe.models import Trajectory


def check_cost(size: int, length: int, seconds: float) -> None:
    """Refuse a product whose exact entries alone would take longer than `seconds`.

    Raises
    ------
    ArgumentError
        It would; or python-flint is not installed.

    Examples
    --------
    >>> check_cost(64, 1000, seconds=600.0)
    >>> check_cost(512, 1000, seconds=600.0)
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: exact=True would multiply 1000 steps of size 512 exactly, which
    takes about 4 hours of one core for each sequence; exact_seconds allows 600 s: raise it,
    shorten the lengths, or leave some values unresolved with exact=False
    """
    estimated = _arbitrary_precision().product_seconds(size, length)
    if estimated > seconds:
        raise ArgumentError(
            f"exact=True would multiply {length} steps of size {size} exactly, which takes about "
            f"{_duration(estimated)} of one core for each sequence; exact_seconds allows "
            f"{seconds:g} s: raise it, shorten the lengths, or leave some values unresolved with "
            "exact=False"
        )


def settled(
    trajectory: Trajectory,
    spectra: Mapping[int, Spectrum],
    part: slice,
    *,
    tolerance: float,
    seconds: float,
) -> dict[int, Spectrum]:
    """Compute again, in arbitrary precision, every spectrum with an unresolved value.

    Parameters
    ----------
    trajectory
        B sequences along a model.
    spectra
        By length T, of M_T[part, part], each of shape (B, values).
    part
        Which rows and columns of M_T the spectra are of.
    tolerance
        Largest error of a value that counts as resolved.
    seconds
        How long the eigenvalues of one spectrum may be estimated to take.

    Returns
    -------
    dict
        The spectra by length: where anything was unresolved, all values of that sequence that the
        precision determines, with their errors.

    Examples
    --------
    >>> from gradprobe import models
    >>> model = models.build("vanilla", input_size=1, hidden_size=2)
    >>> trajectory = models.trace(model, torch.zeros(5, 1, 1))
    >>> nothing = torch.full((1, 2), torch.inf, dtype=torch.float64)
    >>> spectra = {5: Spectrum(nothing, nothing, nothing < 1)}
    >>> after = settled(trajectory, spectra, slice(0, 2), tolerance=1e-6, seconds=1.0)
    >>> after[5].resolved.all().item(), after[5].error.max().item() < 1e-12
    (True, True)
    """
    open_lengths = {
        sequence: {T for T, spectrum in spectra.items() if not spectrum.resolved[sequence].all()}
        for sequence in range(trajectory.batch)
    }
    products = {
        sequence: _arbitrary_precision().ExactProduct(trajectory.model.state_size)
        for sequence, lengths in open_lengths.items()
        if lengths
    }
    results = dict(spectra)
    last = max((max(open_lengths[sequence]) for sequence in products), default=0)
    for t, jacobian in enumerate(trajectory.step_jacobians(last), start=1):
        dense = jacobian.dense().detach().cpu().double().numpy()
        for sequence, product in products.items():
            if t <= max(open_lengths[sequence]):
                product.absorb(dense[sequence])
            if t in open_lengths[sequence]:
                exact = _spectrum(product, part, seconds)
                results[t] = _replaced(results[t], sequence, exact, tolerance)
    return results


def _spectrum(product: ExactProduct, part: slice, seconds: float) -> ExactSpectrum:
    return product.log_singular_values(part, part, seconds=seconds)


def _replaced(
    spectrum: Spectrum, sequence: int, exact: ExactSpectrum, tolerance: float
) -> Spectrum:
    """Take the determined values of `exact` for one sequence."""
    values, error = spectrum.log_singular_values.clone(), spectrum.error.clone()
    known = torch.from_numpy(exact.error).isfinite()
    values[sequence, known] = torch.from_numpy(exact.log_singular_values)[known].to(values)
    error[sequence, known] = torch.from_numpy(exact.error)[known].to(error)
    return Spectrum(values, error, error <= tolerance)


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _arbitrary_precision() -> ModuleType:
    try:
        return importlib.import_module("gradprobe.linalg.arbitrary_precision")
    except ImportError as error:
        raise ArgumentError(
            "exact=True needs the package python-flint, which is not installed: "
            "pip install 'gradprobe[exact]'"
        ) from error
