"""What there is to choose from, with a line each; imports none of it."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import gradprobe

if TYPE_CHECKING:
    from collections.abc import Mapping


def summaries(registry: Mapping[str, str]) -> dict[str, str]:
    """Return the first line of the docstring of all that a registry names, by name.

    The sources are read, not imported, so that listing models does not wait for torch.

    Parameters
    ----------
    registry
        Places, ``"module:attribute"``, by name.

    Examples
    --------
    >>> summaries({"quoting": "textwrap:dedent"})
    {'quoting': 'Remove any common leading whitespace from every line in `text`.'}
    """
    return {name: _summary(place) for name, place in registry.items()}


def _summary(place: str) -> str:
    module, _, attribute = place.partition(":")
    specification = find_spec(module)
    if specification is None or specification.origin is None:
        raise ModuleNotFoundError(f"no source of module {module!r}")
    tree = ast.parse(Path(specification.origin).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    raise AttributeError(f"module {module!r} defines no {attribute!r}")


def shipped_study_files() -> list[Path]:
    """Return the study files that come with gradprobe, from a wheel or from a clone.

    Examples
    --------
    >>> "gradient_decay.toml" in [path.name for path in shipped_study_files()]
    True
    """
    package = Path(gradprobe.__file__).parent
    installed, clone = package / "studies" / "shipped", package.parent
    folder = clone / "studies" if (clone / "pyproject.toml").exists() else installed
    return sorted(folder.glob("*.toml"))
