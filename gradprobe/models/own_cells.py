"""Building a model from a user's own class or function, as `build` does from a registered name."""

from __future__ import annotations

import hashlib
import inspect
import random
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from gradprobe.errors import ArgumentError, UnsupportedModelError
from gradprobe.models.adapters import adapt, unwrapped
from gradprobe.models.cell import Cell
from gradprobe.models.importing import told
from gradprobe.models.opaque.enclosing import enclosing
from gradprobe.models.opaque.opaque_model import OpaqueModel
from gradprobe.models.recurrent_model import RecurrentModel
from gradprobe.models.torch_modules import LAYERS, is_plain_cell
from gradprobe.models.working_copy import converted, isolated, tensors_of
from gradprobe.registry import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

    from gradprobe.models.initialiser import Initialiser

SET_BY_THE_CALL = ("input_size", "hidden_size", "num_layers", "initialiser")
"""What a constructor is given besides its options."""
LIBRARIES = tuple(str(Path(file).parent) for file in (__file__, torch.__file__, np.__file__))


def name_of(factory: Callable[..., object]) -> str:
    """Return what messages and tables call a class or a function.

    Examples
    --------
    >>> name_of(nn.GRUCell)
    'GRUCell'
    """
    return str(getattr(factory, "__qualname__", type(factory).__qualname__))


def build_own(
    factory: Callable[..., object],
    *,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    initialiser: Initialiser,
    options: Mapping[str, Any],
) -> RecurrentModel | OpaqueModel:
    """Return the model of the cell that `factory` makes; the arguments are those of `build`.

    The constructor runs with torch's default dtype set to float64, and with the global generators
    of torch, NumPy and Python set from the initialiser's; all of them are as before afterwards.

    Examples
    --------
    >>> from gradprobe.models import Initialiser
    >>> source = Initialiser(torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> model = build_own(
    ...     nn.GRUCell, input_size=2, hidden_size=8, num_layers=1, initialiser=source, options={}
    ... )
    >>> model.state_size, model.dtype
    (8, torch.float64)
    """
    taken = _signature(factory)
    _check_options(factory, taken, options)
    arguments = dict(options)
    if "initialiser" in taken.parameters:
        arguments["initialiser"] = initialiser
    takes_layers = "num_layers" in taken.parameters or (num_layers > 1 and _takes_any(taken))
    if takes_layers:
        arguments["num_layers"] = num_layers
    first = _made(factory, (input_size, hidden_size), arguments, initialiser)
    if isinstance(first, Cell) and not takes_layers:
        cells = [first]
        while len(cells) < num_layers:
            sizes = (cells[-1].output_size, hidden_size)
            cells.append(_made(factory, sizes, arguments, initialiser))
        return RecurrentModel(cells, name=name_of(factory))
    if num_layers > 1 and not takes_layers:
        raise ArgumentError(
            f"{name_of(factory)} makes a single layer, got num_layers = {num_layers}; let it take "
            "num_layers as an argument, and stack the layers inside of it"
        )
    return _model(name_of(factory), first, (input_size, hidden_size), initialiser.dtype)


def _signature(factory: Callable[..., object]) -> inspect.Signature:
    try:
        return inspect.signature(factory)
    except (TypeError, ValueError):  # of compiled code, which does not tell
        return inspect.signature(lambda *arguments, **options: None)


def _takes_any(taken: inspect.Signature) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in taken.parameters.values())


def _check_options(
    factory: Callable[..., object], taken: inspect.Signature, options: Mapping[str, Any]
) -> None:
    name, parameters = name_of(factory), list(taken.parameters.values())
    by_name = [p for p in parameters if p.kind in {p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD}]
    places = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    sizes = {p.name for p in places[:2]}
    valid = sorted({p.name for p in by_name} - sizes - set(SET_BY_THE_CALL))
    for option in options:
        if option not in valid and not _takes_any(taken):
            told_options = f"its options are: {', '.join(valid)}" if valid else "it has none"
            raise ArgumentError(
                f"{name} has no option {option!r}; {told_options}{did_you_mean(option, valid)}"
            )
    missing = [p.name for p in by_name if p.default is p.empty and p.name in valid]
    absent = [each for each in missing if each not in options]
    if absent:
        raise ArgumentError(f"{name} needs the option {absent[0]!r}, which has no default value")
    try:
        taken.bind(0, 0, **{p.name: None for p in by_name if p.name not in sizes})
    except TypeError as error:
        raise ArgumentError(
            f"{name} must take the sizes first, {name}(input_size, hidden_size, ...), and then "
            f"options, got {name}{taken}"
        ) from error


def _made(
    factory: Callable[..., object],
    sizes: tuple[int, int],
    arguments: Mapping[str, Any],
    initialiser: Initialiser,
) -> Any:
    """Return what `factory` makes, or raise what it says, with the line of its file."""
    try:
        with _drawing_from(initialiser.generator):
            return factory(*sizes, **arguments)
    except Exception as error:
        shown = {key: value for key, value in arguments.items() if key != "initialiser"}
        written = ", ".join([*map(str, sizes), *(f"{key}={shown[key]!r}" for key in shown)])
        raise ArgumentError(
            f"{name_of(factory)}({written}) raised {told(error)}{_line(error)}"
        ) from error


def _line(error: BaseException) -> str:
    """Return where an error was raised, as far as that is not in a library: `` (FILE, line 7)``."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
    last = (own or frames)[-1]
    return f" ({Path(last.filename).name}, line {last.lineno})"


@contextmanager
def _drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Let torch's global generator go on where `generator` is, and `generator` where that ends.

    Numbers are drawn in float64, and rounded later, so that they are the same in every dtype.
    """
    if generator.device.type != "cpu":
        raise ArgumentError(
            f"generator must be on the CPU, whose generator a constructor draws from, got one on "
            f"{generator.device}"
        )
    seed = hashlib.sha256(generator.get_state().numpy().tobytes()).digest()[:4]
    dtype, of_python, of_numpy = torch.get_default_dtype(), random.getstate(), np.random.get_state()
    with torch.random.fork_rng([]):
        torch.default_generator.set_state(generator.get_state())
        random.seed(seed)
        np.random.seed(int.from_bytes(seed))
        torch.set_default_dtype(torch.float64)
        try:
            yield
            generator.set_state(torch.default_generator.get_state())
        finally:
            torch.set_default_dtype(dtype)
            random.setstate(of_python)
            np.random.set_state(of_numpy)


def _model(
    name: str, made: Any, sizes: tuple[int, int], dtype: torch.dtype
) -> RecurrentModel | OpaqueModel:
    """Return a cell as a model in `dtype`, time first."""
    if isinstance(made, Cell):
        made = RecurrentModel([made], name=name)
    if not callable(made):
        raise ArgumentError(
            f"{name} must make a cell (input, state) -> state, got {type(made).__name__}"
        )
    module = enclosing(unwrapped(made))
    if isinstance(module, nn.Module):
        converted(module, dtype)
    model = adapt_made(module, sizes[1], torch.zeros(1, sizes[0], dtype=dtype), name=name)
    model.batch_first = False
    if isinstance(model, OpaqueModel) and next(tensors_of(model), None) is None:
        model._dtype = dtype  # no tensor tells it
    if isinstance(model, RecurrentModel) and model.input_size != sizes[0]:
        raise ArgumentError(
            f"{name} must take inputs of the {sizes[0]} features that it is called with, got a "
            f"model of input_size {model.input_size}"
        )
    return model


def adapt_made(
    module: Callable[..., object], hidden_size: int, example: Tensor, *, name: str | None = None
) -> RecurrentModel | OpaqueModel:
    """Adapt what a factory has made of `hidden_size`: where nothing else tells, that is its state.

    Parameters
    ----------
    module
        Whatever `gradprobe.models.adapt` takes.
    hidden_size
        What the factory was called with.
    example
        An x_t, shape (B, …).
    name
        As for `adapt`.

    Raises
    ------
    ArgumentError
        Nothing tells what the state is, and a tensor (B, hidden_size) it is not.

    Examples
    --------
    >>> adapt_made(lambda x, h: 0.5 * h + x, 3, torch.zeros(1, 3)).state_size
    3
    """
    known = (RecurrentModel, OpaqueModel, *LAYERS)
    if isinstance(module, known) or is_plain_cell(module):
        return adapt(module, name=name)
    try:
        return adapt(module, name=name, example_input=example)
    except ArgumentError:
        model = adapt(module, name=name, state_size=hidden_size)
        inputs = example[:1].to(model.device)
        inputs = inputs.to(model.dtype) if inputs.is_floating_point() else inputs
        _check_step(model, inputs, inputs.new_zeros(1, hidden_size, dtype=model.dtype))
        return model


def _check_step(model: RecurrentModel | OpaqueModel, inputs: Tensor, state: Tensor) -> None:
    """See that a cell takes a tensor of `hidden_size` as its state, and returns one."""
    try:
        with torch.no_grad(), isolated(model.device):
            model.step(inputs, state)
    except UnsupportedModelError as error:
        fault = str(error).partition(";")[0]
    except Exception as error:
        fault = f"{model.name} raised {told(error)}{_line(error)}"
    else:
        return
    size = state.shape[1]
    raise ArgumentError(
        f"{fault}, when it was given an input {tuple(inputs.shape)} and a state "
        f"{tuple(state.shape)}; a cell returns the new state, or (output, new state); where that "
        "is something else, name a function that returns gradprobe.adapt(cell, state_size=...), "
        f"for example state_size=({size}, {size}) for a tuple of two tensors"
    )
