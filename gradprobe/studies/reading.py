"""Reading a study file; every mistake in it is named at once, each with its key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from gradprobe.errors import StudyFileError
from gradprobe.studies.choices import TaskChoice
from gradprobe.studies.consistency import inconsistencies, too_long
from gradprobe.studies.expansion import expanded
from gradprobe.studies.mistakes import refuse, sentences
from gradprobe.studies.schema import Grid, Study

if TYPE_CHECKING:
    from collections.abc import Sequence

Table = TypeVar("Table", bound=BaseModel)


def load_study(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read and check the study file at `path`.

    Parameters
    ----------
    path
        A TOML file.
    overrides
        Changes to make first, each ``"KEY=VALUE"`` as `gradprobe.studies.overrides` reads it.

    Raises
    ------
    StudyFileError
        The file cannot be read, is not TOML, or breaks the schema; the message names the file and,
        for each mistake, the key, what was expected and what was got.

    Examples
    --------
    >>> load_study("missing.toml")
    Traceback (most recent call last):
    ...
    gradprobe.errors.StudyFileError: missing.toml: cannot be read: No such file or directory
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{path}: is not UTF-8 text: {error}") from error
    if not overrides:
        return parse_study(text, str(path))
    from gradprobe.studies.overrides import (  # noqa: PLC0415 - only here is tomlkit needed
        overridden,
        parse_override,
    )

    _parsed(text, str(path))
    changes = [parse_override(override) for override in overrides]
    changed = overridden(text, changes, str(path))
    name = f"{path} with {' '.join(f'--set {each}' for each in overrides)}"
    return _checked(changed, name, located="")  # its lines are not those of the file


def parse_study(text: str, file_name: str) -> Study:
    """Check the text of a study file.

    Parameters
    ----------
    text
        TOML.
    file_name
        What messages call the file.

    Raises
    ------
    StudyFileError
        As for `load_study`.

    Examples
    --------
    >>> parse_study("name = ", "draft.toml")
    Traceback (most recent call last):
    ...
    gradprobe.errors.StudyFileError: draft.toml: is not valid TOML: Invalid value (at end of
    document)
    """
    return _checked(text, file_name, located=text)


def _checked(text: str, file_name: str, *, located: str) -> Study:
    tables = _parsed(text, file_name)
    try:
        written = Study.model_validate(tables)
    except ValidationError as error:
        mistakes = sentences(error.errors(include_url=False), tables)
        refuse(file_name, mistakes + _too_long(tables), error, located)
    study, mistakes = expanded(written)
    refuse(file_name, mistakes, text=located)
    refuse(file_name, too_long(study.tasks, study.grid) + inconsistencies(study), text=located)
    study._text, study._file_name = text, file_name
    return study


def _parsed(text: str, file_name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        reason = "tables or lists are nested too deeply"
        raise StudyFileError(f"{file_name}: cannot be read: {reason}") from None
    except ValueError as error:  # no TOML, or a number of thousands of digits
        raise StudyFileError(f"{file_name}: is not valid TOML: {error}") from error


def _too_long(tables: dict[str, Any]) -> list[str]:
    """Return where more steps are asked for than a task has, of the tables that are sound."""
    grid = _sound(Grid, tables.get("grid"))
    listed = tables.get("tasks")
    sound = [_sound(TaskChoice, table) for table in (listed if isinstance(listed, list) else [])]
    return too_long([None if task is None or task.sweep else task for task in sound], grid)


def _sound(table: type[Table], value: object) -> Table | None:
    try:
        return table.model_validate(value)
    except ValidationError:
        return None
