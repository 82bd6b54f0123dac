"""Building a model from its name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.initialiser import Initialiser
from gradprobe.models.recurrent_model import RecurrentModel
from gradprobe.models.registry import MODELS
from gradprobe.registry import look_up

if TYPE_CHECKING:
    from gradprobe.models.cell import Cell


def build(
    name: str,
    *,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    **options: Any,
) -> RecurrentModel:
    """Return the model called `name`.

    Parameters
    ----------
    name
        One of `gradprobe.models.MODELS`.
    input_size
        D, the number of input features.
    hidden_size
        N, the number of units of each layer.
    num_layers
        How many cells are stacked.
    generator
        Source of the initial values.  If not given, a new one with seed 0 is used, so that a call
        without it always gives the same model; torch's global generator is never touched.
    dtype, device
        Of the parameters; torch's default dtype and the CPU if not given.
    **options
        Those of the cell's class, for example ``step_size`` and ``diffusion``.

    Raises
    ------
    UnknownNameError
        No model has that name; the message lists those there are.
    ArgumentError
        A size or an option is not one that the model takes.

    Examples
    --------
    >>> model = build("antisymmetric", input_size=1, hidden_size=128, step_size=0.01, diffusion=0.1)
    >>> model.degrees_of_freedom
    8384
    >>> build("gru", input_size=1, hidden_size=8, diffusion=0.1)
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: model 'gru' has no option 'diffusion'; its options are:
    biases, recurrent_scale
    """
    cell_class = look_up("model", MODELS, name)
    _check_options(name, cell_class, options)
    checks.positive_integer("num_layers", num_layers)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    initialiser = Initialiser(source, dtype=dtype, device=device)
    cells: list[Cell] = []
    for _ in range(num_layers):
        size = cells[-1].output_size if cells else input_size
        cells.append(cell_class(size, hidden_size, initialiser=initialiser, **options))
    return RecurrentModel(cells, name=name)


def _check_options(name: str, cell_class: type[Cell], options: dict[str, Any]) -> None:
    parameters = inspect.signature(cell_class).parameters.values()
    valid = sorted({p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {"initialiser"})
    for option in options:
        if option not in valid:
            raise ArgumentError(
                f"model {name!r} has no option {option!r}; its options are: {', '.join(valid)}"
            )
