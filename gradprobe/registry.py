"""Registries: a dictionary from a name to the place of what it names.

The values are ``"module:attribute"`` strings, so that the names can be listed and checked without
importing torch; the module is imported when the thing itself is asked for.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any

from gradprobe.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def did_you_mean(name: object, valid: Iterable[str]) -> str:
    """Return the end of a sentence that tells the valid name nearest to a wrong one, or nothing.

    Parameters
    ----------
    name
        What was written.
    valid
        The valid names.

    Examples
    --------
    >>> did_you_mean("vanila", ["lstm", "vanilla"])
    "; did you mean 'vanilla'?"
    >>> did_you_mean("other", ["lstm", "vanilla"])
    ''
    """
    names = {str(each).casefold(): each for each in valid}
    found = difflib.get_close_matches(str(name).casefold(), names, n=1)
    return f"; did you mean {names[found[0]]!r}?" if found else ""


def check_name(kind: str, registry: Mapping[str, object], name: object) -> str:
    """Return `name` if it stands in `registry`.

    Parameters
    ----------
    kind
        What the registry holds, in the singular: ``"model"``, ``"probe"``, ``"task"``.
    registry
        Places, or the things themselves, by name.
    name
        The name to look up.

    Raises
    ------
    UnknownNameError
        The name is not there; the message lists those that are.

    Examples
    --------
    >>> check_name("model", {"vanilla": "gradprobe.models.vanilla:Vanilla"}, "vanila")
    Traceback (most recent call last):
    ...
    gradprobe.errors.UnknownNameError: unknown model 'vanila'; the models are: vanilla; did you
    mean 'vanilla'?
    """
    if not isinstance(name, str) or name not in registry:
        valid = ", ".join(sorted(registry))
        raise UnknownNameError(
            f"unknown {kind} {name!r}; the {kind}s are: {valid}{did_you_mean(name, registry)}"
        )
    return name


def look_up(kind: str, registry: Mapping[str, str], name: object) -> Any:
    """Import and return what `name` stands for in `registry`.

    Examples
    --------
    >>> look_up("function", {"root": "math:sqrt"}, "root")(4.0)
    2.0
    """
    module, _, attribute = registry[check_name(kind, registry, name)].partition(":")
    return getattr(importlib.import_module(module), attribute)


def look_into(found: Any, name: str, place: str) -> Any:
    """Return what `name` stands for in a module that a user has written.

    Parameters
    ----------
    found
        The module.
    name
        A name in it, with dots for attributes.
    place
        What messages call the module.

    Raises
    ------
    ArgumentError
        It has no such name; the message lists those that it has.

    Examples
    --------
    >>> import fractions
    >>> look_into(fractions, "Fraction.limit_denominator", "fractions").__name__
    'limit_denominator'
    """
    for part in name.split("."):
        if not hasattr(found, part):
            names = [one for one in vars(found) if not one.startswith("_")]
            raise ArgumentError(
                f"{place} has no {name!r}; it has: {', '.join(sorted(names)) or 'nothing'}"
                f"{did_you_mean(part, names)}"
            )
        found = getattr(found, part)
    return found
