"""Building a model from its name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, overload

import torch

from gradprobe import checks
from gradprobe.errors import ArgumentError
from gradprobe.models.initialiser import Initialiser
from gradprobe.models.own_cells import build_own
from gradprobe.models.recurrent_model import RecurrentModel
from gradprobe.models.registry import MODELS
from gradprobe.registry import did_you_mean, look_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradprobe.models.cell import Cell
    from gradprobe.models.opaque.opaque_model import OpaqueModel


@overload
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
) -> RecurrentModel: ...


@overload
def build(
    name: Callable[..., object],
    *,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    **options: Any,
) -> RecurrentModel | OpaqueModel: ...


def build(
    name: str | Callable[..., object],
    *,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    **options: Any,
) -> RecurrentModel | OpaqueModel:
    """Return the model called `name`, or the model of a cell of one's own.

    Parameters
    ----------
    name
        One of `gradprobe.models.MODELS`; or a class or function of one's own, which is called as
        ``name(input_size, hidden_size, **options)`` and returns a cell: whatever
        `gradprobe.models.adapt` takes, or a `gradprobe.models.Cell`.  If it takes ``initialiser``
        or ``num_layers`` by name, it is given those, too.
    input_size
        D, the number of input features.
    hidden_size
        N, the number of units of each layer.
    num_layers
        How many cells are stacked.
    generator
        Source of the initial values.  If not given, a new one with seed 0 is used, so that a call
        without it always gives the same model.  For a cell of one's own, torch's global generator
        goes on from this one's state while the cell is made; afterwards it is as it was.
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
    >>> build(torch.nn.GRUCell, input_size=1, hidden_size=8, bias=False).degrees_of_freedom
    216
    """
    checks.positive_integer("num_layers", num_layers)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    initialiser = Initialiser(source, dtype=dtype, device=device)
    if not isinstance(name, str) and callable(name):
        return build_own(
            name,
            input_size=input_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            initialiser=initialiser,
            options=options,
        ).to(initialiser.device)
    cell_class = look_up("model", MODELS, name)
    _check_options(name, cell_class, options)
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
                f"{did_you_mean(option, valid)}"
            )
