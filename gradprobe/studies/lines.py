"""Where the keys of a TOML text stand: the standard library's parser does not say.

A text that parses is gone through line by line; that is enough for tables and keys, and an inline
table is found where it begins.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Location = tuple[str | int, ...]

PART = r"""(?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
PATH = rf"{PART}(?:\s*\.\s*{PART})*"
HEADER = re.compile(rf"\s*(\[\[?)\s*({PATH})\s*\]")
ASSIGNMENT = re.compile(rf"\s*({PATH})\s*=")
TOKEN = re.compile(r"""\"\"\"|'''|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#.*|[\[\]{}]""")
KEY_IN_SENTENCE = re.compile(r"([^\s.\[\]:()]+)|\[(\d+)\]")


def key_lines(text: str) -> dict[Location, int]:
    """Return the line of every table and key of `text`, from 1.

    Parameters
    ----------
    text
        Valid TOML.

    Examples
    --------
    >>> text = '''
    ... [[models]]
    ... [models.options]
    ... bias = 1
    ... '''
    >>> key_lines(text)["models", 0, "options", "bias"]
    4
    """
    lines: dict[Location, int] = {}
    counts: dict[Location, int] = {}
    table: Location = ()
    depth, closing = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        found = HEADER.match(line) if not depth and not closing else None
        if found:
            table = _table(_parts(found[2]), counts, listed=found[1] == "[[")
            _note(lines, table, number)
            continue
        assignment = ASSIGNMENT.match(line) if not depth and not closing else None
        if assignment:
            _note(lines, (*table, *_parts(assignment[1])), number)
        depth, closing = _after(line, depth, closing)
    return lines


def line_of(key: str, lines: Mapping[Location, int]) -> int | None:
    """Return the line of a key as an error writes it, or of the innermost table around it.

    Parameters
    ----------
    key
        For example ``models[2].hidden_size``.
    lines
        From `key_lines`.

    Examples
    --------
    >>> line_of("models[0].hiden_size (GRU)", {("models",): 2, ("models", 0): 2})
    2
    """
    bare = key.split(" (", maxsplit=1)[0]
    location = tuple(name or int(index) for name, index in KEY_IN_SENTENCE.findall(bare))
    for end in range(len(location), 0, -1):
        if location[:end] in lines:
            return lines[location[:end]]
    return None


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(PART, path))


def _table(parts: tuple[str, ...], counts: dict[Location, int], *, listed: bool) -> Location:
    """Return where a header leads: into the last table of each list on its way."""
    location: Location = ()
    for part in parts[:-1]:
        location = (*location, part)
        if location in counts:
            location = (*location, counts[location] - 1)
    location = (*location, parts[-1])
    if listed:
        counts[location] = counts.get(location, 0) + 1
        return (*location, counts[location] - 1)
    return location


def _note(lines: dict[Location, int], location: Location, number: int) -> None:
    for end in range(1, len(location) + 1):
        lines.setdefault(location[:end], number)


def _after(line: str, depth: int, closing: str) -> tuple[int, str]:
    """Return how many brackets are open after `line`, and what ends a string that goes on."""
    position = 0
    while True:
        if closing:
            end = line.find(closing, position)
            if end < 0:
                return depth, closing
            position, closing = end + len(closing), ""
        token = TOKEN.search(line, position)
        if token is None:
            return depth, ""
        position = token.end()
        if token[0] in {'"""', "'''"}:
            closing = token[0]
        elif token[0] in {"[", "{"}:
            depth += 1
        elif token[0] in {"]", "}"}:
            depth -= 1
