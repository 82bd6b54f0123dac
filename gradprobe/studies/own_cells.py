"""A user's own cells in a study: their files are given by whoever runs it, never by the study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradprobe.errors import StudyFileError
from gradprobe.models.cell_files import is_own, module_of, read_cell_files, source_of
from gradprobe.registry import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from gradprobe.studies.schema import Study


def with_cell_files(study: Study, paths: Iterable[str | Path]) -> Study:
    """Return `study` with the Python files that hold its own cells; they are read, and not run.

    Parameters
    ----------
    study
        A checked study.
    paths
        Of ``.py`` files; for none, `study` itself is returned.

    Raises
    ------
    ArgumentError
        A file cannot be a module of cells.
    StudyFileError
        A cell is named whose file is not among them.

    Examples
    --------
    >>> from gradprobe.listing import shipped_study_files
    >>> from gradprobe.studies import load_study
    >>> study = load_study(shipped_study_files()[0])
    >>> with_cell_files(study, []) is study
    True
    """
    files = read_cell_files(paths)
    if not files:
        return study
    bound = study.model_copy()
    bound._cell_files = files
    require_cell_files(bound)
    return bound


def require_cell_files(study: Study) -> None:
    """Raise if a cell is named whose file is not there, with what to do.

    Parameters
    ----------
    study
        A checked study.

    Raises
    ------
    StudyFileError
        The message names the file and the option.
    """
    from gradprobe.studies.mistakes import refuse  # noqa: PLC0415 - pydantic, not for --help

    refuse(study.file_name, list(_without_file(study)), text=study.text)


def _without_file(study: Study) -> Iterator[str]:
    """Yield what to do about each file that is not there, at the first model that needs it."""
    given = {file.module: file.name for file in study.cell_files}
    others = f"; given: {', '.join(given.values())}" if given else ""
    told = set(given)
    for index, model in enumerate(study.models):
        if not is_own(model.name) or module_of(model.name) in told:
            continue
        told.add(module_of(model.name))
        wanted = f"{module_of(model.name)}.py"
        yield (
            f"models[{model.position(index)}].name ({model.family}): {model.name!r} is a cell of "
            f"your own, and a study file alone runs no code; read {wanted}, and if you trust it "
            f"add --cells {wanted} (in Python: run_study(..., cells=[{wanted!r}])){others}"
            f"{did_you_mean(wanted, given.values())}"
        )


def refuse_changed_files(study: Study, specifications: Iterable[Mapping[str, Any]]) -> None:
    """Raise if a cell's source is not what it was: to compute it again would be another cell.

    Parameters
    ----------
    study
        With its files, as `with_cell_files` returns it.
    specifications
        Of the stored cells that are to be computed again.

    Raises
    ------
    StudyFileError
        The message names the file, and its SHA-256 then and now.
    """
    require_cell_files(study)
    for specification in specifications:
        model = specification["model"]
        now = source_of(model["name"], study.cell_files) or {}
        for name, before in model.get("source", {}).items():
            if now.get(name) != before:
                changed = f"SHA-256 {before[:12]}… then, {now.get(name, 'none')[:12]}… now"
                raise StudyFileError(
                    f"{study.file_name}: {name} has changed since ({changed}), which makes other "
                    "cells of it: give the former file to compute the same ones again, or "
                    "run the study for those of the changed file"
                )
