"""The pages of the reference, made from registries, docstrings, the schema and the command line."""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from pathlib import Path

import command_pages
import griffe
import study_page

import gradprobe
from gradprobe import frame, listing
from gradprobe.models.registry import MODELS
from gradprobe.probes.registry import PROBES
from gradprobe.tasks.registry import TASKS

FOLDER = "reference"

PACKAGES = (
    "probes",
    "models",
    "linalg",
    "training",
    "testing",
    "gate",
    "studies",
    "reports",
    "tuning",
)
"""Packages whose public functions and classes have a page of their own."""


def pages() -> dict[str, str]:
    """Return the Markdown of every page of the reference, by its path."""
    made = {
        "index.md": _index(),
        "probes/index.md": _list_of("Probes", "probe", PROBES, PROBES_SAY),
        "models/index.md": _list_of("Models", "model", MODELS, MODELS_SAY),
        "tasks/index.md": _list_of("Tasks", "task", TASKS, TASKS_SAY),
        "command_line.md": command_pages.page(),
        "study_file.md": study_page.page(),
        "table.md": _table_page(),
        "python/index.md": _python_index(),
    }
    for kind, registry in (("probes", PROBES), ("models", MODELS), ("tasks", TASKS)):
        for name, place in registry.items():
            made[f"{kind}/{name}.md"] = _registered(name, place)
    for package in PACKAGES:
        made[f"python/{package}.md"] = _entries(f"gradprobe.{package}", _public(package))
    return {f"{FOLDER}/{path}": text for path, text in made.items()}


def navigation() -> list[object]:
    """Return the part of the navigation that names these pages."""
    return [
        f"{FOLDER}/index.md",
        {"Probes": _nav("probes", PROBES)},
        {"Models": _nav("models", MODELS)},
        {"Tasks": _nav("tasks", TASKS)},
        {"The command line": f"{FOLDER}/command_line.md"},
        {"The study file": f"{FOLDER}/study_file.md"},
        {"The table of results": f"{FOLDER}/table.md"},
        {
            "Python": [
                f"{FOLDER}/python/index.md",
                *({f"gradprobe.{name}": f"{FOLDER}/python/{name}.md"} for name in PACKAGES),
            ]
        },
    ]


def _nav(kind: str, registry: dict[str, str]) -> list[object]:
    return [
        f"{FOLDER}/{kind}/index.md",
        *({name: f"{FOLDER}/{kind}/{name}.md"} for name in registry),
    ]


PROBES_SAY = """\
`gp.probe(model, inputs, probes=[…])` takes these names, or a mapping from names to options; a study
file has a table `[probes.NAME]` for each.  Options are the keyword arguments after `generator`."""
MODELS_SAY = """\
`gp.models.build(name, input_size=…, hidden_size=…)` makes them; a study file names them in
`[[models]]`.  Options are the keyword arguments of the class, without `initialiser`.  Your own
modules and those of `torch.nn` need no entry: see [Probe your own cell](../../own_cells.md)."""
TASKS_SAY = """\
`gp.tasks.build(name)` makes them; a study file names them in `[[tasks]]`.  Options are the keyword
arguments of the class."""


def _list_of(title: str, kind: str, registry: dict[str, str], words: str) -> str:
    rows = [
        f"| [`{name}`]({name}.md) | {_in_a_cell(summary)} |"
        for name, summary in listing.summaries(registry).items()
    ]
    return "\n".join([f"# {title}", "", words, "", f"| {kind} | |", "|---|---|", *rows, ""])


def _in_a_cell(text: str) -> str:
    return text.replace("|", "&#124;")


def _registered(name: str, place: str) -> str:
    return _entry(place.replace(":", "."), name, level=1)


def _entry(path: str, heading: str, *, level: int = 2, members: bool = False) -> str:
    options = {"heading": f'"{heading}"', "heading_level": level, "members": str(members).lower()}
    lines = [f"      {name}: {value}" for name, value in options.items()]
    return "\n".join([f"::: {path}", "    options:", *lines, ""])


def _public(package: str) -> tuple[str, ...]:
    module = importlib.import_module(f"gradprobe.{package}")
    return tuple(f"gradprobe.{package}.{name}" for name in module.__all__)


def _entries(title: str, names: tuple[str, ...]) -> str:
    """Return a page with an entry for each function and class; constants and modules have none."""
    parts = [f"# {title}\n", f"{_without_examples(importlib.import_module(title))}\n"]
    for name in names:
        thing = _source()[name.removeprefix("gradprobe.")]
        thing = thing.final_target if thing.is_alias else thing
        if thing.is_class or thing.is_function:
            parts.append(_entry(thing.path, name, members=thing.is_class))
    return "\n".join(parts)


@cache
def _source() -> griffe.Object | griffe.Alias:
    """Return the package as its source has it: to import all of it takes the optional extras."""
    folder = Path(gradprobe.__file__).parents[1]
    return griffe.load("gradprobe", search_paths=[folder], allow_inspection=False)


def _without_examples(package: object) -> str:
    return (inspect.getdoc(package) or "").partition("\n\nExamples\n---")[0]


def _table_page() -> str:
    text = (frame.__doc__ or "").partition("\n")
    return f"# The table of results\n\n{text[0]}\n\n{_from_simple_table(text[2])}\n"


def _from_simple_table(text: str) -> str:
    """Return a table of Markdown for a simple table of reStructuredText, whose cells may wrap."""
    lines = text.strip().splitlines()
    edges = [
        index for index, mark in enumerate(lines[0]) if mark == "=" and _starts(lines[0], index)
    ]
    rows: list[list[str]] = []
    for line in lines[1:-1]:
        if line.startswith("="):
            continue
        cells = [
            line[start:end].strip() for start, end in zip(edges, [*edges[1:], None], strict=True)
        ]
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
    marked = [f"| {' | '.join(map(_in_a_cell, row))} |" for row in rows]
    return "\n".join([marked[0], "|" + "---|" * len(edges), *marked[1:]])


def _starts(line: str, index: int) -> bool:
    return index == 0 or line[index - 1] == " "


def _python_index() -> str:
    """Return links to the names of the top level, and to the packages that they come from."""
    rows = []
    for name in gradprobe.__all__:
        thing = getattr(gradprobe, name)
        if not hasattr(thing, "__qualname__"):
            continue
        package = thing.__module__.split(".")[1]
        place = f"{package}.md#{thing.__module__}.{thing.__qualname__}"
        rows.append(f"| [`gp.{name}`]({place}) | {_first_line(thing)} |")
    packages = [
        f"| [`gp.{name}`]({name}.md) | {_first_line(getattr(gradprobe, name))} |"
        for name in PACKAGES
    ]
    return "\n".join(["# Python", "", "| name | |", "|---|---|", *rows, *packages, ""])


def _first_line(thing: object) -> str:
    return _in_a_cell((inspect.getdoc(thing) or "").partition("\n")[0])


def _index() -> str:
    return """\
# Reference

Made from the code while the site is built, so that it says what the code does.

- [Probes](probes/index.md): what can be measured, with the mathematics, the options and the columns
  of each.
- [Models](models/index.md) and [tasks](tasks/index.md): what a study can name.
- [The command line](command_line.md): every command's help, and the exit codes.
- [The study file](study_file.md): every table and key.
- [The table of results](table.md): its columns.
- [Python](python/index.md): `gp.probe`, `gp.adapt`, `gp.load`, `gp.Monitor`, and the
  packages behind them.
"""
