"""Running the files of a user's own cells: importable while they are needed, and not afterwards.

What is imported is the text that was read and hashed, in whatever process it is to run: a worker on
another machine needs no file, and a file that is edited meanwhile changes nothing.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from contextlib import contextmanager
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.util import spec_from_loader
from typing import TYPE_CHECKING, Any

from gradprobe.errors import ArgumentError
from gradprobe.models.cell_files import module_of, sources_of
from gradprobe.registry import look_into

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from gradprobe.models.cell_files import CellFile


class _Loader(ExecutionLoader):
    """Loads one file; tracebacks and ``inspect`` see its text."""

    def __init__(self, file: CellFile) -> None:
        self._file = file

    def get_filename(self, fullname: str) -> str:
        return self._file.name

    def get_source(self, fullname: str) -> str:
        return self._file.text

    def is_package(self, fullname: str) -> bool:
        return False


class _Finder(MetaPathFinder):
    """Finds the files by their modules, before anything else does."""

    def __init__(self, files: Sequence[CellFile]) -> None:
        self.files = tuple(files)
        self._loaders = {file.module: _Loader(file) for file in files}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        loader = self._loaders.get(fullname)
        return None if loader is None else spec_from_loader(fullname, loader)


@contextmanager
def importable(files: Sequence[CellFile]) -> Iterator[None]:
    """Let the modules of `files` be imported inside of the block, each anew.

    Modules of the same names that were there before, such as a notebook's own, come back behind it.

    Parameters
    ----------
    files
        From `gradprobe.models.cell_files.read_cell_files`; for none, nothing is done.

    Examples
    --------
    >>> from gradprobe.models.cell_files import CellFile
    >>> with importable([CellFile("mycells.py", b"answer = 42")]):
    ...     import mycells
    ...     mycells.answer
    42
    >>> "mycells" in sys.modules
    False
    """
    if not files:
        yield
        return
    finder = _Finder(files)
    modules = [file.module for file in files]
    before = {name: sys.modules.pop(name) for name in modules if name in sys.modules}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in modules:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def imported(reference: str, source: Mapping[str, str]) -> Callable[..., object]:
    """Import what ``MODULE:CELL`` names, out of the files that are importable at present.

    Nothing else is ever imported by such a name: without `importable`, and with other sources than
    those that are asked for, it is refused.

    Parameters
    ----------
    reference
        ``MODULE:CELL``.
    source
        As `gradprobe.models.cell_files.sources_of` gives it.

    Raises
    ------
    ArgumentError
        The files are not there, raise an error when they are run, or have no such name.

    Examples
    --------
    >>> from gradprobe.models.cell_files import CellFile
    >>> file = CellFile("mycells.py", b"from torch.nn import GRUCell")
    >>> with importable([file]):
    ...     imported("mycells:GRUCell", {file.name: file.sha256}).__name__
    'GRUCell'
    """
    module = module_of(reference)
    finder = next((one for one in sys.meta_path if isinstance(one, _Finder)), None)
    given = {} if finder is None else {file.module: file for file in finder.files}
    if module not in given or sources_of(module, list(given.values())) != dict(source):
        raise ArgumentError(
            f"{reference!r} is a cell of your own, and its file, as it was when the study began, "
            "is not given here"
        )
    file = given[module]
    found: Any = look_into(_run(file), reference.partition(":")[2], file.name)
    if not callable(found):
        raise ArgumentError(
            f"{file.name}: {reference} must be a class, or a function that makes a cell "
            f"(input, state) -> state, got {type(found).__name__}"
        )
    callable_found: Callable[..., object] = found
    return callable_found


def _run(file: CellFile) -> ModuleType:
    try:
        return importlib.import_module(file.module)
    except (Exception, SystemExit) as error:
        raise ArgumentError(
            f"{file.name}{line_in(file.name, error)}: raised {told(error)} when it was imported"
        ) from error


def told(error: BaseException) -> str:
    """Return an error's kind and its message, if it has one.

    Examples
    --------
    >>> told(ValueError("leak must be below 1")), told(SystemExit())
    ('ValueError: leak must be below 1', 'SystemExit')
    """
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def line_in(name: str, error: BaseException) -> str:
    """Return where in the file called `name` an error has come about: ``": line 7"``, or nothing.

    Parameters
    ----------
    name
        Of a file that was imported.
    error
        What was raised, somewhere below it.

    Examples
    --------
    >>> line_in("mycells.py", ValueError("raised elsewhere"))
    ''
    """
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == name]
    return f": line {lines[-1]}" if lines else ""
