"""Python files of a user's own cells: read and hashed, as text; nothing here runs them."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from gradprobe.errors import ArgumentError
from gradprobe.registry import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SUFFIX = ".py"
SITE_PACKAGES = ("purelib", "platlib")


@dataclass(frozen=True)
class CellFile:
    """A file as it was read: what is hashed is what is run, whatever becomes of it on the disk.

    Attributes
    ----------
    name
        The file's own name, such as ``mycells.py``, without its folder.
    source
        Its bytes.

    Examples
    --------
    >>> file = CellFile("mycells.py", b"import torch")
    >>> file.module, file.sha256[:8], file.imports
    ('mycells', 'cf1070d3', frozenset({'torch'}))
    """

    name: str
    source: bytes

    @property
    def module(self) -> str:
        """What the file is imported as."""
        return self.name.removesuffix(SUFFIX)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes, as ``sha256sum`` prints it."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def text(self) -> str:
        """The file as text, in the encoding that it declares."""
        return importlib.util.decode_source(self.source)

    @cached_property
    def imports(self) -> frozenset[str]:
        """The modules that the text imports, each by the part of its name before the first dot."""
        names: set[str] = set()
        for node in ast.walk(ast.parse(self.text)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
        return frozenset(name.partition(".")[0] for name in names)


def read_cell_files(paths: Iterable[str | Path]) -> tuple[CellFile, ...]:
    """Read the files at `paths`, and see that they can be modules.

    Parameters
    ----------
    paths
        Of ``.py`` files, none of which is called like an installed module, or like another one.

    Raises
    ------
    ArgumentError
        A file is missing, is not Python, cannot be imported under its name, or imports a file
        beside it that is not among them; the message says what to do.

    Examples
    --------
    >>> read_cell_files(["missing.py"])
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: missing.py: cannot be read: No such file or directory
    """
    given = {Path(path).absolute(): Path(path) for path in paths}
    files = {path: _read(path) for path in given.values()}
    modules: dict[str, Path] = {}
    for path, file in files.items():
        twin = modules.setdefault(file.module, path)
        if twin is not path:
            raise ArgumentError(f"{twin} and {path} are both imported as {file.module}; rename one")
    for path, file in files.items():
        _refuse_neighbours(path, file, modules)
    return tuple(files.values())


def sources_of(module: str, files: Sequence[CellFile]) -> dict[str, str]:
    """Return the SHA-256 of a module's file, and of those of the others that it imports, by name.

    Parameters
    ----------
    module
        The module of one of the files.
    files
        From `read_cell_files`.

    Examples
    --------
    >>> files = CellFile("mycells.py", b"from parts import Gate"), CellFile("parts.py", b"")
    >>> sorted(sources_of("mycells", files)), sorted(sources_of("parts", files))
    (['mycells.py', 'parts.py'], ['parts.py'])
    """
    by_module = {file.module: file for file in files}
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        file = by_module[waiting.pop()]
        if file.name not in found:
            found[file.name] = file.sha256
            waiting += [name for name in file.imports if name in by_module]
    return found


def _read(path: Path) -> CellFile:
    if path.suffix != SUFFIX:
        raise ArgumentError(f"{path}: a file of cells is Python and ends in {SUFFIX}; rename it")
    try:
        file = CellFile(path.name, path.read_bytes())
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be read: {error.strerror}") from error
    _check_module_name(path, file.module)
    try:
        _ = file.imports
    except SyntaxError as error:
        line = "" if error.lineno is None else f"line {error.lineno}: "
        raise ArgumentError(f"{path}: {line}is not valid Python: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"{path}: is not valid Python: {error}") from error
    return file


def _check_module_name(path: Path, module: str) -> None:
    if not module.isidentifier():
        raise ArgumentError(
            f"{path}: cannot be imported under this name; use letters, digits and underscores, "
            "for example mycells.py"
        )
    installed = PathFinder.find_spec(module, [sysconfig.get_path(key) for key in SITE_PACKAGES])
    if module in sys.stdlib_module_names or installed is not None:
        raise ArgumentError(
            f"{path}: is called like the installed module {module!r}; give the file another name"
        )


def _refuse_neighbours(path: Path, file: CellFile, given: Iterable[str]) -> None:
    """Refuse what is imported from beside the file, and would be no part of what names results."""
    for name in sorted(file.imports - set(given)):
        neighbour = path.parent / f"{name}{SUFFIX}"
        if neighbour.is_file():
            raise ArgumentError(
                f"{path}: imports {name}, which is the file {neighbour.name} beside it; give that "
                f"one too, so that its source is part of what names the results: {neighbour}"
            )
        if (path.parent / name / "__init__.py").is_file():
            raise ArgumentError(
                f"{path}: imports {name}, which is a folder beside it; install it as a package, or "
                "put what the cell needs of it into a file of cells"
            )


def source_of(name: str, files: Sequence[CellFile]) -> dict[str, str] | None:
    """Return what the code of a study's model is: None where that is gradprobe's own.

    Parameters
    ----------
    name
        Of a model: one that is registered, or ``MODULE:CELL``.
    files
        From `read_cell_files`; none where a study is only read, and nothing of it is computed.

    Examples
    --------
    >>> source_of("mycells:Leaky", [CellFile("mycells.py", b"")])["mycells.py"][:8]
    'e3b0c442'
    >>> source_of("lstm", [])
    """
    if not is_own(name) or not files:
        return None
    return sources_of(module_of(name), files)


def is_own(name: str) -> bool:
    """Return whether a study's name of a model is that of a user's own cell.

    Examples
    --------
    >>> is_own("mycells:Leaky"), is_own("lstm")
    (True, False)
    """
    return ":" in name


def module_of(reference: str) -> str:
    """Return ``MODULE`` of ``MODULE:CELL``, the name of a user's own cell in a study file.

    Raises
    ------
    ArgumentError
        It is not of this form.

    Examples
    --------
    >>> module_of("mycells:Leaky")
    'mycells'
    >>> module_of("mycells.py:Leaky")
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: a cell of your own is named MODULE:CELL, for example
    mycells:MyCell for class MyCell in mycells.py, got 'mycells.py:Leaky'; did you mean
    'mycells:Leaky'?
    """
    module, _, name = reference.partition(":")
    if module.isidentifier() and all(part.isidentifier() for part in name.split(".")):
        return module
    written = f"{Path(module).name.removesuffix(SUFFIX)}:{name}"
    raise ArgumentError(
        "a cell of your own is named MODULE:CELL, for example mycells:MyCell for class MyCell in "
        f"mycells.py, got {reference!r}{did_you_mean(reference, [written])}"
    )
