"""From ``MODULE:FACTORY`` to the object that it names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradprobe.errors import ArgumentError
from gradprobe.registry import look_into

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def find(reference: str) -> Callable[..., object]:
    """Return the object that ``MODULE:FACTORY`` names.

    Parameters
    ----------
    reference
        A module as one would import it from the current folder, or the path of a ``.py`` file; a
        colon; and a name in it, with dots for attributes.

    Raises
    ------
    ArgumentError
        There is no such module, file or name, or what it names cannot be called.

    Examples
    --------
    >>> find("torch.nn:GRUCell").__name__
    'GRUCell'
    """
    place, colon, name = reference.rpartition(":")
    if not (place and colon and name):
        raise ArgumentError(
            "a model is named MODULE:FACTORY, for example mycells:build or mycells.py:build, got "
            f"{reference!r}"
        )
    found: Any = _load(Path(place)) if place.endswith(".py") else _import(place)
    found = look_into(found, name, place)
    if not callable(found):
        raise ArgumentError(
            f"{reference} must be a module, a function that makes one, or a cell "
            f"(input, state) -> state, got {type(found).__name__}"
        )
    callable_found: Callable[..., object] = found
    return callable_found


def _import(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ArgumentError(f"cannot import {name!r} from here: {error}") from error


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ArgumentError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # as an import would; dataclasses and the like look here
    spec.loader.exec_module(module)
    return module
