"""Made-up results with the shapes of real ones: for tests, and to try out a figure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradprobe import frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

PROBES = ("singular_values", "gradient_norm", "eigenvalue_real_parts")
"""The probes whose rows can be made up."""


class _Recipe(NamedTuple):
    label: str
    rate: float  # nats per step of the largest singular value
    slope: float  # nats per step between the largest and the smallest
    step_size: float | None  # of Euler-type models
    real: tuple[float, float]  # range of the real parts
    unresolved: float = 0.0  # fraction of the spectrum, from its small end
    zeros: int = 0  # singular values that are zero by structure


_RECIPES = (
    _Recipe("vanilla", -0.12, 1.4, None, (-0.9, 0.9)),
    _Recipe("LSTM, forget bias 1", -0.41, 1.1, None, (0.1, 0.8), unresolved=0.2),
    _Recipe("LSTM, forget bias 5", -0.006, 0.9, None, (0.4, 1.0), unresolved=0.4),
    _Recipe("GRU", -0.3, 0.9, None, (0.2, 0.7)),
    _Recipe("AntisymmetricRNN, γ = 0", 0.0, 0.0004, 0.01, (-1e-14, 1e-14)),
    _Recipe("AntisymmetricRNN, γ = 0.01", -0.0001, 0.0002, 0.01, (-0.01, -0.004)),
    _Recipe("AntisymmetricRNN, γ = 0.1", -0.001, 0.0004, 0.01, (-0.1, -0.04)),
    _Recipe("gated AntisymmetricRNN", 0.0006, 0.0012, 0.01, (-0.2, 0.2)),
    _Recipe("unstable", 0.05, 0.3, None, (-1.3, 1.3), zeros=2),
)


@dataclass(frozen=True)
class ExampleStudy:
    """A study's name, question and text."""

    name: str = "gradient_decay"
    question: str = "Which recurrent networks carry a gradient over 1000 steps at initialisation?"
    text: str = 'name = "gradient_decay"\nseeds = [0, 1, 2]\n'


@dataclass(frozen=True)
class ExampleCell:
    """One finished cell."""

    label: str
    task: str
    seed: int
    status: str = "done"
    seconds: float | None = 2.5
    provenance: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    specification: dict[str, Any] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExampleResults:
    """What `gradprobe.reports.build_report` reads."""

    study: ExampleStudy
    table: pd.DataFrame
    cells: list[ExampleCell]
    missing: list[ExampleCell] = field(default_factory=list)


def example_results(
    *,
    models: int = len(_RECIPES),
    labels: Sequence[str] = (),
    lengths: Sequence[int] = (100, 400, 1000),
    seeds: int = 2,
    sequences: int = 2,
    units: int = 16,
    probes: Sequence[str] = PROBES,
) -> ExampleResults:
    """Return made-up results, always the same for the same arguments.

    Parameters
    ----------
    models
        How many; more than the recipes are variations of them.
    labels
        Labels of the first models, in place of their own.
    lengths, seeds, sequences, units
        Sizes of the grid and of the states.
    probes
        Those whose rows are wanted.

    Examples
    --------
    >>> results = example_results(models=1, lengths=[8], seeds=1)
    >>> results.cells[0].label, sorted(results.table["quantity"].unique())[:3]
    ('vanilla', ['imag', 'log_norm_fro', 'log_norm_spectral'])
    """
    names = [_label(number, labels) for number in range(models)]
    tables, cells = [], []
    for number, name in enumerate(names):
        recipe = _RECIPES[number % len(_RECIPES)]
        for seed in range(seeds):
            generator = np.random.default_rng([number, seed])
            rows = [
                _MAKERS[probe](recipe, list(lengths), sequences, units, generator)
                for probe in probes
            ]
            tables.append(
                frame.concatenate(
                    rows, model=name, task="noise_padded_digits", seed=seed, iteration=0
                )
            )
            cells.append(
                ExampleCell(name, "noise_padded_digits", seed, provenance={"gradprobe": "0.1.0"})
            )
    return ExampleResults(ExampleStudy(), frame.concatenate(tables), cells)


def _label(number: int, labels: Sequence[str]) -> str:
    if number < len(labels):
        return labels[number]
    round_, index = divmod(number, len(_RECIPES))
    return _RECIPES[index].label + (f", variant {round_}" if round_ else "")


def _singular_values(
    recipe: _Recipe, lengths: list[int], sequences: int, units: int, generator: np.random.Generator
) -> pd.DataFrame:
    horizon = np.array(lengths)[:, None, None]
    rank = np.arange(units)
    slope = recipe.slope * rank / max(units - 1, 1)
    noise = generator.normal(0, 0.02, (1, sequences, 1)) * np.abs(recipe.rate)
    value = (recipe.rate + noise - slope) * horizon
    value = np.where(rank >= units - recipe.zeros, -np.inf, value)
    resolved = np.broadcast_to(rank < units * (1 - recipe.unresolved), value.shape)
    return frame.rows(
        probe="singular_values",
        quantity="log_sigma",
        matrix="end_to_end",
        block="state",
        length=horizon,
        step=horizon,
        sequence=np.arange(sequences)[:, None],
        rank=rank + 1,
        value=value,
        error=np.where(resolved, 1e-11, 30.0),
        resolved=resolved,
    )


def _gradient_norm(
    recipe: _Recipe, lengths: list[int], sequences: int, units: int, generator: np.random.Generator
) -> pd.DataFrame:
    longest, identity = lengths[-1], 0.5 * np.log(units)
    common: dict[str, Any] = {
        "probe": "gradient_norm",
        "block": "hidden",
        "sequence": np.arange(sequences)[:, None],
        "error": 1e-12,
        "resolved": True,
    }
    wander = np.cumsum(generator.normal(0, 0.01 + abs(recipe.rate) / 4, (sequences, longest)), 1)
    walk = recipe.rate * np.arange(1, longest + 1) + wander * min(abs(recipe.rate) * 10, 1)
    walk = np.concatenate([np.zeros((sequences, 1)), walk], axis=1)
    norms = {"quantity": "log_norm_fro", **common}
    steps = np.arange(longest + 1)
    rows = [
        frame.rows(matrix="end_to_end", length=longest, step=steps, value=walk + identity, **norms)
    ]
    for length in lengths:
        tail = walk[:, [length]] - walk[:, : length + 1]
        rows.append(
            frame.rows(
                matrix="tail",
                length=length,
                step=steps[: length + 1],
                value=tail + identity,
                **norms,
            )
        )
        spectral = {"quantity": "log_norm_spectral", **common}
        value = walk[:, [length]] + 0.3
        rows.append(
            frame.rows(matrix="end_to_end", length=length, step=length, value=value, **spectral)
        )
    return frame.concatenate(rows)


def _eigenvalues(
    recipe: _Recipe, lengths: list[int], sequences: int, units: int, generator: np.random.Generator
) -> pd.DataFrame:
    low, high = recipe.real
    size = (sequences, len(lengths), units)
    real = -np.sort(-generator.uniform(low, high, size), axis=-1)
    euler = recipe.step_size is not None
    imaginary = generator.uniform(-3, 3, size) if euler else generator.uniform(-0.4, 0.4, size)
    eigenvalues = real + 1j * imaginary
    modulus = np.abs(1 + (recipe.step_size or 0) * eigenvalues if euler else eigenvalues)
    common: dict[str, Any] = {
        "probe": "eigenvalue_real_parts",
        "matrix": "vector_field" if euler else "step",
        "block": "state",
        "length": lengths[-1],
        "error": 1e-13,
        "resolved": True,
    }
    each: dict[str, Any] = {
        "step": np.array(lengths)[:, None],
        "sequence": np.arange(sequences)[:, None, None],
        "rank": np.arange(1, units + 1),
        **common,
    }
    steps = np.linspace(1, lengths[-1], min(lengths[-1], 50)).astype(int)
    sample = generator.uniform(low, high, (sequences, len(steps), units))
    regular = {"step": steps, "sequence": np.arange(sequences)[:, None], **common}
    return frame.concatenate(
        [
            frame.rows(quantity="real", value=real, **each),
            frame.rows(quantity="imag", value=imaginary, **each),
            frame.rows(quantity="euler_modulus" if euler else "modulus", value=modulus, **each),
            frame.rows(quantity="real_max", value=sample.max(-1), **regular),
            frame.rows(quantity="real_mean", value=sample.mean(-1), **regular),
            frame.rows(quantity="real_std", value=sample.std(-1), **regular),
        ]
    )


_MAKERS = {
    "singular_values": _singular_values,
    "gradient_norm": _gradient_norm,
    "eigenvalue_real_parts": _eigenvalues,
}
