"""Mistakes in a study file, told: the key, what was expected, what was got, the nearest name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from gradprobe.errors import StudyFileError
from gradprobe.registry import did_you_mean
from gradprobe.studies.fields import MISSING
from gradprobe.studies.lines import key_lines, line_of
from gradprobe.studies.schema import Study

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic_core import ErrorDetails

OLD_TASK = (
    "task: a study has a list of tasks now; write [[tasks]] in place of [task], its keys stay as "
    "they are"
)
LONGEST_QUOTE = 80
MOST_SHOWN = 20

WORDS = {
    "Input should be": "expected",
    "Input should": "expected to",
    "Tuple should": "expected to",
    "Dictionary should": "expected to",
    "String should": "expected to",
    "Value should": "expected to",
    "Keys should": "expected keys to",
    "tuple": "list",
    "dictionary": "table",
    "an object": "a table",
}
"""Pydantic's words in those of a reader of TOML."""
PYDANTIC_WORDS = re.compile("|".join([*WORDS, "^Value error, ", r" after validation, not \d+"]))
CHOICES = re.compile(r"'([^']*)'")


def refuse(
    file_name: str, mistakes: Sequence[str], cause: Exception | None = None, text: str = ""
) -> None:
    """Raise a `StudyFileError` that lists `mistakes`, if there are any.

    Parameters
    ----------
    file_name
        What the file is called.
    mistakes
        Sentences that begin with a key and a colon.
    cause
        The error behind them.
    text
        The file, for the lines of the keys; none are told if not given.

    Examples
    --------
    >>> refuse("draft.toml", [])
    >>> refuse("draft.toml", ["grid.seeds: missing"], text="[grid]")
    Traceback (most recent call last):
    ...
    gradprobe.errors.StudyFileError: draft.toml: line 1: grid.seeds: missing
    """
    if not mistakes:
        return
    lines = key_lines(text)
    told = [_with_line(mistake, line_of(mistake.split(":")[0], lines)) for mistake in mistakes]
    if len(told) == 1:
        raise StudyFileError(f"{file_name}: {told[0]}") from cause
    shown = "".join(f"\n  {mistake}" for mistake in told[:MOST_SHOWN])
    others = f"\n  and {len(told) - MOST_SHOWN} more" if len(told) > MOST_SHOWN else ""
    raise StudyFileError(f"{file_name}: {len(told)} mistakes:{shown}{others}") from cause


def _with_line(mistake: str, line: int | None) -> str:
    return mistake if line is None else f"line {line}: {mistake}"


def sentences(details: Iterable[ErrorDetails], tables: dict[str, Any]) -> list[str]:
    """Return what pydantic found wrong, each mistake once.

    Parameters
    ----------
    details
        Of a `pydantic.ValidationError` of a study.
    tables
        What was validated.

    Examples
    --------
    >>> from pydantic import ValidationError
    >>> tables = {"name": 3, "question": "?", "tasks": [], "grid": {}, "models": []}
    >>> try:
    ...     Study.model_validate(tables)
    ... except ValidationError as error:
    ...     print(sentences(error.errors(include_url=False), tables)[0])
    name: expected a valid string, got 3
    """
    told: dict[str, list[str]] = {}
    for detail in details:
        if not _is_echo(detail, tables):
            key, what = _told(detail, tables)
            told.setdefault(key, []).append(what)
    return [f"{key}: {_joined(whats)}" for key, whats in told.items()]


def _joined(whats: Sequence[str]) -> str:
    """Return what is wrong with one key; several expectations are alternatives."""
    distinct = list(dict.fromkeys(whats))
    if len(distinct) == 1:
        return distinct[0]
    expected = [what.rpartition(", got ") for what in distinct]
    return f"{' or '.join(head for head, _, _ in expected)}, got {expected[-1][2]}"


def _is_echo(detail: ErrorDetails, tables: dict[str, Any]) -> bool:
    """Return whether pydantic says again, in other words, what another mistake says already."""
    if detail["type"] == "missing" and detail["loc"] == ("tasks",):
        return "task" in tables
    return detail["type"] == "too_short" and len(detail["input"]) > 0


def _told(detail: ErrorDetails, tables: dict[str, Any]) -> tuple[str, str]:
    """Return one mistake as its key, and what was expected and what was got."""
    kind, location = detail["type"], detail["loc"]
    if kind == "extra_forbidden" and location == ("task",):
        key, _, what = OLD_TASK.partition(": ")
        return key, what
    key = _dotted(location, tables)
    if kind == "missing":
        return key, MISSING
    if kind == "extra_forbidden":
        known = _known_keys(location)
        return key, (
            f"unknown key; expected one of {', '.join(known)}{did_you_mean(location[-1], known)}"
        )
    expected = PYDANTIC_WORDS.sub(lambda words: WORDS.get(words[0], ""), detail["msg"])
    if kind == "value_error":
        return key, expected
    nearest = (
        did_you_mean(detail["input"], CHOICES.findall(expected)) if kind == "literal_error" else ""
    )
    return key, f"{expected}, got {_quoted(detail['input'])}{nearest}"


def _dotted(location: Sequence[int | str], tables: dict[str, Any]) -> str:
    """Return ``models[2].hidden_size (GRU)`` for ``("models", 2, "hidden_size")``."""
    key = ""
    for part in _in_file(location, tables):
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    key = key.removeprefix(".")
    match location:
        case ["models" | "tasks" as name, int(index), *_]:
            table = tables[name][index]
            label = table.get("label", table.get("name")) if isinstance(table, dict) else None
            if isinstance(label, str):
                return f"{key} ({label})"
    return key


def _in_file(location: Sequence[int | str], tables: Any) -> list[int | str]:
    """Return `location` without what pydantic adds to it: the alternatives of a value's type."""
    parts: list[int | str] = []
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if isinstance(tables, dict) and (part in tables or (last and isinstance(part, str))):
            tables = tables.get(part)
        elif isinstance(tables, list) and isinstance(part, int) and part < len(tables):
            tables = tables[part]
        else:
            break
        parts.append(part)
    return [part for part in parts if part != "[key]"]


def _known_keys(location: Sequence[int | str]) -> list[str]:
    """Return the keys of the table that holds the unknown one at `location`."""
    table: type[BaseModel] = Study
    by_label = False
    for part in location[:-1]:
        if isinstance(part, int) or by_label:
            by_label = False
            continue
        annotation = table.model_fields[part].annotation
        table = _table_in(annotation) or table
        by_label = get_origin(annotation) is dict
    return list(table.model_fields)


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_table_in(argument) for argument in get_args(annotation))
    return next((table for table in inner if table is not None), None)


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"
