"""Where the numbers come from, and which of them are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gradprobe.reports.numbers import plural, printable, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gradprobe.reports.contract import Cell, Results

_WORDS = {"None": "not known", "True": "yes", "False": "no"}
_FINISHED = ("finished", "done")


class Fact(NamedTuple):
    """A line of the provenance: its name, and its value in all cells or in some."""

    name: str
    values: list[str]


class Gap(NamedTuple):
    """A cell that is not there: what it is, and why."""

    cell: str
    reason: str


def facts(cells: Sequence[Cell]) -> list[Fact]:
    """Return what the cells' provenance says, once where all agree, with counts where not.

    Parameters
    ----------
    cells
        The finished cells.

    Examples
    --------
    >>> from gradprobe.reports.example import ExampleCell
    >>> cells = [ExampleCell("a", "t", seed, provenance={"versions": {"torch": "2.4"}})
    ...          for seed in (0, 1)]
    >>> facts(cells)[:2]
    [Fact(name='cells', values=['2 cells, 5.0 s in all']), Fact(name='seeds', values=['0, 1'])]
    """
    total = sum(cell.seconds or 0.0 for cell in cells)
    found = [
        Fact("cells", [f"{plural(len(cells), 'cell')}, {seconds(total)} in all"]),
        Fact("seeds", [", ".join(str(seed) for seed in sorted({cell.seed for cell in cells}))]),
    ]
    times = [getattr(cell, "finished", None) for cell in cells]
    if stamps := sorted(str(time) for time in times if time):
        found.append(Fact("computed", [" to ".join(dict.fromkeys([stamps[0], stamps[-1]]))]))
    found += _sources(cells)
    lines: dict[str, dict[str, int]] = {}
    for cell in cells:
        for name, value in _flat(cell.provenance):
            counts = lines.setdefault(name, {})
            counts[value] = counts.get(value, 0) + 1
    return found + [Fact(name, _agreed(counts, len(cells))) for name, counts in lines.items()]


def _sources(cells: Sequence[Cell]) -> Iterator[Fact]:
    """Yield the files that the user's own cells came from, with their SHA-256."""
    told: dict[str, dict[str, None]] = {}
    for cell in cells:
        model = cell.specification.get("model") or {}
        for file, sha256 in (model.get("source") or {}).items():
            line = f"{printable(file)}, SHA-256 {printable(sha256)}"
            told.setdefault(printable(model.get("name")), {})[line] = None
    for name, lines in told.items():
        yield Fact(f"code of {name}", list(lines))


def gaps(results: Results) -> list[Gap]:
    """Return the cells that failed or were never computed.

    Parameters
    ----------
    results
        The stored results.

    Examples
    --------
    >>> from gradprobe.reports.example import example_results
    >>> gaps(example_results(models=1))
    []
    """
    failed = [cell for cell in results.cells if not is_finished(cell)]
    known = {(cell.label, cell.task, cell.seed) for cell in failed}
    found = [
        Gap(_cell(cell.label, cell.task, cell.seed), f"failed: {printable(cell.error or '?')}")
        for cell in failed
    ]
    found += [
        Gap(_cell(cell.label, cell.task, cell.seed), "was not computed")
        for cell in results.missing
        if (cell.label, cell.task, cell.seed) not in known
    ]
    return found


def is_finished(cell: Cell) -> bool:
    """Return whether a cell has a table.

    Examples
    --------
    >>> from gradprobe.reports.example import ExampleCell
    >>> is_finished(ExampleCell("a", "t", 0, status="failed"))
    False
    """
    return cell.status in _FINISHED


def _cell(label: str, task: str, seed: object) -> str:
    return f"{printable(label)}, {printable(task)}, seed {seed}"


def _flat(provenance: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in provenance.items():
        title = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _flat(value, f"{title}: ")
        else:
            yield printable(title), _WORDS.get(repr(value), printable(value))


def _agreed(counts: dict[str, int], whole: int) -> list[str]:
    if list(counts.values()) == [whole]:
        return list(counts)
    return [f"{value} ({plural(count, 'cell')})" for value, count in counts.items()]
