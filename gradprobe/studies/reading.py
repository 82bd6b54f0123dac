"""Reading a study file; every mistake in it is named at once, each with its key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from gradprobe.errors import StudyFileError
from gradprobe.studies.choices import (
    ModelChoice,
    Published,
    TaskChoice,
    TaskException,
    TrainingTable,
)
from gradprobe.studies.consistency import inconsistencies
from gradprobe.studies.schema import Grid, Study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

Table = TypeVar("Table", bound=BaseModel)

TABLES: dict[str, type[BaseModel]] = {
    "tasks": TaskChoice,
    "grid": Grid,
    "models": ModelChoice,
    "training": TrainingTable,
    "published": Published,
}
OLD_TASK = (
    "task: a study has a list of tasks now; write [[tasks]] in place of [task], its keys stay as "
    "they are"
)
LONGEST_QUOTE = 80

WORDS = {
    "Input should be": "expected",
    "Input should": "expected to",
    "Tuple should": "expected to",
    "Dictionary should": "expected to",
    "String should": "expected to",
    "tuple": "list",
    "dictionary": "table",
}
"""Pydantic's words in those of a reader of TOML."""
PYDANTIC_WORDS = re.compile("|".join([*WORDS, "^Value error, ", r" after validation, not \d+"]))


def load_study(path: str | Path) -> Study:
    """Read and check the study file at `path`.

    Parameters
    ----------
    path
        A TOML file.

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
    return parse_study(text, str(path))


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
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError(f"{file_name}: is not valid TOML: {error}") from error
    try:
        study = Study.model_validate(tables)
    except ValidationError as error:
        details = [d for d in error.errors(include_url=False) if not _is_echo(d, tables)]
        mistakes = [_sentence(detail, tables) for detail in details]
        refuse(file_name, mistakes + _too_long(tables), error)
    refuse(file_name, _too_long(tables) + inconsistencies(study))
    study._text, study._file_name = text, file_name
    return study


def refuse(file_name: str, mistakes: Sequence[str], cause: Exception | None = None) -> None:
    """Raise a `StudyFileError` that lists `mistakes`, if there are any.

    Examples
    --------
    >>> refuse("draft.toml", [])
    >>> refuse("draft.toml", ["grid.seeds: missing"])
    Traceback (most recent call last):
    ...
    gradprobe.errors.StudyFileError: draft.toml: grid.seeds: missing
    """
    if len(mistakes) == 1:
        raise StudyFileError(f"{file_name}: {mistakes[0]}") from cause
    if mistakes:
        lines = "".join(f"\n  {mistake}" for mistake in mistakes)
        raise StudyFileError(f"{file_name}: {len(mistakes)} mistakes:{lines}") from cause


def _too_long(tables: dict[str, Any]) -> list[str]:
    """Return where more steps are asked for than a task has, of the tables that are sound."""
    grid = _sound(Grid, tables.get("grid"))
    listed = tables.get("tasks")
    mistakes = []
    for index, table in enumerate(listed if isinstance(listed, list) else []):
        choice = _sound(TaskChoice, table)
        lengths = choice and (choice.lengths or (grid and grid.lengths))
        if choice is None or not lengths:
            continue
        steps = choice.build().length
        if max(lengths) > steps:
            key = f"tasks[{index}].lengths ({choice.label})" if choice.lengths else "grid.lengths"
            mistakes.append(
                f"{key}: expected at most the {steps} steps of task {choice.label!r}, "
                f"got {max(lengths)}"
            )
    return mistakes


def _sound(table: type[Table], value: object) -> Table | None:
    try:
        return table.model_validate(value)
    except ValidationError:
        return None


def _is_echo(detail: ErrorDetails, tables: dict[str, Any]) -> bool:
    """Return whether pydantic says again, in other words, what another mistake says already."""
    if detail["type"] == "missing" and detail["loc"] == ("tasks",):
        return "task" in tables
    return detail["type"] == "too_short" and len(detail["input"]) > 0


def _sentence(detail: ErrorDetails, tables: dict[str, Any]) -> str:
    """Return one mistake as ``key: what was expected, what was got``."""
    if detail["type"] == "extra_forbidden" and detail["loc"] == ("task",):
        return OLD_TASK
    key = _dotted(detail["loc"], tables)
    if detail["type"] == "missing":
        return f"{key}: missing; this key is required"
    if detail["type"] == "extra_forbidden":
        return f"{key}: unknown key; expected one of {', '.join(_known_keys(detail['loc']))}"
    expected = PYDANTIC_WORDS.sub(lambda words: WORDS.get(words[0], ""), detail["msg"])
    if detail["type"] == "value_error":
        return f"{key}: {expected}"
    return f"{key}: {expected}, got {_quoted(detail['input'])}"


def _dotted(location: Sequence[int | str], tables: dict[str, Any]) -> str:
    """Return ``models[2].hidden_size (GRU)`` for ``("models", 2, "hidden_size")``."""
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) or part == "[key]" else f".{part}"
    key = key.removeprefix(".").removesuffix("[[key]]")
    match location:
        case ["models" | "tasks" as name, int(index), *_]:
            table = tables[name][index]
            label = table.get("label", table.get("name")) if isinstance(table, dict) else None
            if isinstance(label, str):
                return f"{key} ({label})"
    return key


def _known_keys(location: Sequence[int | str]) -> list[str]:
    """Return the keys of the table that holds the unknown one at `location`."""
    match location:
        case ["models", int(), "on", str(), str()]:
            return list(TaskException.model_fields)
        case [*_, "training" | "published" as name, str()]:
            return list(TABLES[name].model_fields)
        case [str(name), *_, str()]:
            return list(TABLES[name].model_fields)
    return list(Study.model_fields)


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"
