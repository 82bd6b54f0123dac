"""Changes of a study file from the command line: ``--set training.iterations=10``.

The text itself is changed, comments and all, so that what a store keeps is what was run.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tomlkit

from gradprobe.errors import StudyFileError
from gradprobe.registry import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^.="'\[\]]+?))\s*(\[\d+\])?\s*([.=])""")
BARE_TEXT = re.compile(r"[^\W\d][\w .+-]*")
LISTS = ("models", "tasks")


@dataclass(frozen=True)
class Override:
    """One change.

    Attributes
    ----------
    path
        Keys and positions, from the top of the file.
    value
        What is to stand there.
    written
        How it was asked for.
    """

    path: tuple[str | int, ...]
    value: Any
    written: str


def parse_override(written: str) -> Override:
    """Read ``KEY=VALUE``: a dotted key, and a value in TOML's notation.

    Text needs no quotes of its own if it is no number, date or list.

    Parameters
    ----------
    written
        For example ``training.iterations=10``, ``models.GRU.hidden_size=64``,
        ``models[0].options.bias=1.0``, ``models."LSTM, 2".num_layers=2``; without a label or a
        position, ``models.hidden_size=64`` changes all models.

    Raises
    ------
    StudyFileError
        It is not of this form.

    Examples
    --------
    >>> parse_override("training.optimizer=adam").value
    'adam'
    >>> parse_override("grid.seeds=[0, 1]").path
    ('grid', 'seeds')
    """
    path: list[str | int] = []
    position = 0
    while True:
        part = PART.match(written, position)
        if part is None:
            raise StudyFileError(
                f"--set {written}: expected KEY=VALUE, for example training.iterations=10"
            )
        path.append(next(name for name in part.groups()[:3] if name is not None))
        if part[4]:
            path.append(int(part[4][1:-1]))
        position = part.end()
        if part[5] == "=":
            return Override(tuple(path), _value(written[position:].strip(), written), written)


def _value(text: str, written: str) -> Any:
    try:
        tables = tomllib.loads(f"value = {text}")
        if list(tables) == ["value"]:
            return tables["value"]
    except (ValueError, RecursionError):
        if BARE_TEXT.fullmatch(text):
            return text
    raise StudyFileError(
        f"--set {written}: expected a value in TOML's notation, such as 3, 0.5, true, [1, 2] or "
        f"a word, got {text!r}"
    )


def overridden(text: str, overrides: Sequence[Override], file_name: str) -> str:
    r"""Return the text of a study file with `overrides` carried out, and a comment that says so.

    Parameters
    ----------
    text
        Valid TOML.
    overrides
        Changes, one after the other.
    file_name
        What messages call the file.

    Raises
    ------
    StudyFileError
        A change names a model or a task that is not there, or a key inside of what is no table.

    Examples
    --------
    >>> change = parse_override("training.iterations=10")
    >>> print(overridden("[training]\niterations = 300  # few", [change], "study.toml"))
    # gradprobe run study.toml --set training.iterations=10
    [training]
    iterations = 10  # few
    """
    wanted = tomllib.loads(text)
    changes: list[tuple[tuple[str | int, ...], Any]] = []
    for override in overrides:
        try:
            for path in _targets(wanted, override.path):
                _put(wanted, path, override.value)
                changes.append((path, override.value))
        except LookupError as error:
            reason = f"--set {override.written}: {error.args[0]}"
            raise StudyFileError(f"{file_name}: {reason}") from error
    changed = _edited(text, changes)
    if changed is None or tomllib.loads(changed) != wanted:
        changed = tomlkit.dumps(wanted)
    command = shlex.join(["gradprobe", "run", file_name, *_options(overrides)])
    return "".join(f"# {line}\n" for line in command.splitlines()) + changed


def _edited(text: str, changes: Sequence[tuple[tuple[str | int, ...], Any]]) -> str | None:
    """Return `text` with `changes`, comments and all; None where tomlkit cannot change it so.

    It fails in many ways where a value takes the place of one of another kind.
    """
    document = tomlkit.parse(text)
    try:
        for path, value in changes:
            _put(document, path, value)
        changed = tomlkit.dumps(document)
        tomllib.loads(changed)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
    return changed


def _options(overrides: Sequence[Override]) -> Iterator[str]:
    for override in overrides:
        yield from ("--set", override.written)


def _targets(tables: dict[str, Any], path: Sequence[str | int]) -> list[tuple[str | int, ...]]:
    """Return the places that `path` means: of one model or task by label or position, or of all."""
    first, *rest = path
    listed = tables.get(str(first))
    if first not in LISTS or not isinstance(listed, list) or not rest or isinstance(rest[0], int):
        return [tuple(path)]
    labels = [
        table.get("label", table.get("name")) if isinstance(table, dict) else None
        for table in listed
    ]
    if rest[0] in labels:
        return [(first, labels.index(rest[0]), *rest[1:])]
    if len(rest) > 1 and rest[0] not in TABLES_OF_A_CHOICE:
        known = [str(label) for label in labels]
        raise LookupError(
            f"none of the {first} is called {rest[0]!r}; they are: {', '.join(known)}"
            f"{did_you_mean(rest[0], known)}"
        )
    return [(first, index, *rest) for index in range(len(listed))]


TABLES_OF_A_CHOICE = ("options", "on", "training", "published", "sweep")


def _put(tables: Any, path: Sequence[str | int], value: object) -> None:
    for depth, part in enumerate(path[:-1]):
        tables = _inside(tables, part, path[:depth])
    last = path[-1]
    if isinstance(last, int) or not isinstance(tables, dict):
        _inside(tables, last, path[:-1])
    tables[last] = value


def _inside(tables: Any, part: str | int, path: Sequence[str | int]) -> Any:
    """Return what stands at `part`; a table that is not there yet is made."""
    place = ".".join(map(str, path)) or "the file"
    if isinstance(part, int):
        if not isinstance(tables, list) or part >= len(tables):
            count = len(tables) if isinstance(tables, list) else "no"
            raise LookupError(f"{place} has {count} entries, got [{part}], counted from 0")
        return tables[part]
    if not isinstance(tables, dict):
        raise LookupError(f"{place} is no table, so that it has no key {part!r}")
    if part not in tables:
        tables[part] = {}
    return tables[part]
