"""`probe`: a model and inputs in, the tidy table out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from gradprobe import checks, frame
from gradprobe.errors import ArgumentError
from gradprobe.models import OpaqueModel, RecurrentModel, adapt, trace
from gradprobe.models.adapters import unwrapped
from gradprobe.models.working_copy import isolated
from gradprobe.probes.registry import PROBES
from gradprobe.registry import check_name, look_up

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from torch import Tensor

    from gradprobe.models import Trajectory

DEFAULT_PROBES = ("singular_values", "gradient_norm", "eigenvalue_real_parts")
SEQUENCES, TARGETS = "sequences", "targets"


def probe(
    model: Callable[..., object],
    inputs: Tensor,
    probes: Sequence[str] | Mapping[str, Mapping[str, Any]] = DEFAULT_PROBES,
    lengths: Sequence[int] | None = None,
    *,
    state: object = None,
    targets: Tensor | None = None,
    dtype: torch.dtype | None = torch.float64,
    generator: torch.Generator | None = None,
) -> pd.DataFrame:
    """Measure how gradients travel through `model` along `inputs`.

    Parameters
    ----------
    model
        A model of `gradprobe.models.build`, or anything that `gradprobe.models.adapt` takes: a
        module of torch.nn, or a module or function (input, state) → state of one's own.  It is not
        changed.
    inputs
        B sequences, shape (T, B, D), or (B, T, D) if the model is ``batch_first``; whatever a cell
        of one's own takes at each step behind T and B.
    probes
        Names out of `gradprobe.probes.PROBES`, or a mapping from names to the options of each.
        Every probe has the option ``sequences``: read that many of the first sequences at most.
    lengths
        Prefixes of the inputs to measure at; the whole length if not given.
    state
        s_0, shape (B, S), or as the module itself takes it; if not given, zeros, or where the model
        starts by itself.
    targets
        What is to be told of each sequence, shape (B,) or (k, B), for the probes that ask for it.
    dtype
        What to compute in; float64 by default, None for the model's own.  The column ``dtype``
        tells what it was: a module with float32 written into it can only be measured in float32.
    generator
        Source of the perturbations from which errors are estimated; a new one with seed 0 if not
        given, so that a call gives the same table each time.

    Returns
    -------
    pandas.DataFrame
        One row per measured value, with the columns of `gradprobe.frame`.

    Raises
    ------
    ArgumentError
        A shape, dtype, length or option does not fit.
    UnknownNameError
        A probe is not known; the message lists those there are.
    NonFiniteError
        A parameter, an input or a state is NaN or infinite.
    UnsupportedModelError
        The model cannot be probed; the message says why.

    Examples
    --------
    >>> import torch
    >>> from gradprobe import models
    >>> model = models.build("antisymmetric", input_size=1, hidden_size=4, diffusion=0.0)
    >>> table = probe(model, torch.zeros(50, 1, 1), probes=["singular_values"], lengths=[10, 50])
    >>> table[["length", "rank"]].drop_duplicates().shape
    (8, 2)
    >>> bool(table["value"].abs().max() < 0.1)
    True
    """
    functions = _check_probes(probes, targets)
    adapted = _adapted(model, inputs, state)
    trajectory = trace(adapted, inputs, state, dtype=dtype)
    lengths = [trajectory.length] if lengths is None else lengths
    horizons = checks.increasing_lengths("lengths", lengths, trajectory.length)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    with isolated(trajectory.model.device):
        tables = [
            _measured(function, trajectory, horizons, source, options).assign(probe=name)
            for name, (function, options) in functions.items()
        ]
    return frame.concatenate(
        tables,
        model=adapted.name,
        iteration=0,
        method=trajectory.model.jacobian_method,
        dtype=str(trajectory.model.dtype).removeprefix("torch."),
    )


def _measured(
    function: Callable[..., pd.DataFrame],
    trajectory: Trajectory,
    lengths: Sequence[int],
    generator: torch.Generator,
    options: Mapping[str, Any],
) -> pd.DataFrame:
    """Call a probe, on as many sequences as it is to read."""
    others = {key: value for key, value in options.items() if key != SEQUENCES}
    if SEQUENCES in options:
        count = checks.positive_integer(SEQUENCES, options[SEQUENCES])
        trajectory = trajectory.first(count)
        if isinstance(others.get(TARGETS), torch.Tensor):
            others[TARGETS] = others[TARGETS][..., :count]
    return function(trajectory, lengths, generator=generator, **others)


def _adapted(
    model: Callable[..., object], inputs: Tensor, state: object
) -> RecurrentModel | OpaqueModel:
    """Adapt a module; the initial state, or else the first inputs, tell what its state is."""
    model = unwrapped(model)
    if isinstance(model, RecurrentModel | OpaqueModel | torch.nn.RNNBase | torch.nn.RNNCellBase):
        return adapt(model)
    first = inputs[0] if isinstance(inputs, torch.Tensor) and inputs.ndim > 0 else None
    return adapt(model, state_size=state, example_input=first)


def _check_probes(
    probes: Sequence[str] | Mapping[str, Mapping[str, Any]], targets: Tensor | None
) -> dict[str, tuple[Callable[..., pd.DataFrame], Mapping[str, Any]]]:
    if isinstance(probes, str) or not isinstance(probes, Sequence | Mapping) or not probes:
        raise ArgumentError(
            "probes must be a list of names, such as ['singular_values'], or a mapping from names "
            f"to options, got {probes!r}"
        )
    options = probes if isinstance(probes, Mapping) else {name: {} for name in probes}
    for name in options:
        check_name("probe", PROBES, name)
    functions = {name: look_up("probe", PROBES, name) for name in options}
    for name, function in functions.items():
        _check_options(name, function, options[name])
    return {
        name: (function, {**_given(function, targets), **options[name]})
        for name, function in functions.items()
    }


def _given(function: Callable[..., Any], targets: Tensor | None) -> dict[str, Any]:
    """Return the targets of the call, if the probe asks for some."""
    wanted = targets is not None and TARGETS in inspect.signature(function).parameters
    return {TARGETS: targets} if wanted else {}


def _check_options(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    parameters = inspect.signature(function).parameters.values()
    own = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    valid = sorted({*own, SEQUENCES} - {"generator"})
    for option in options:
        if option not in valid:
            raise ArgumentError(
                f"probe {name!r} has no option {option!r}; its options are: {', '.join(valid)}"
            )
