"""The table that a check prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradprobe.gate.findings import Comparison, FailOn, Finding, Verdict
from gradprobe.gate.words import number
from gradprobe.reports.numbers import printable

if TYPE_CHECKING:
    from typing import TextIO

SHOWN = (Verdict.REGRESSION, Verdict.CHANGED, Verdict.NOT_COMPARABLE, Verdict.IMPROVED)
WIDTH = 160
"""Characters, where the output is not a terminal."""
_STYLES = {
    Verdict.REGRESSION: "bold red",
    Verdict.CHANGED: "yellow",
    Verdict.NOT_COMPARABLE: "magenta",
    Verdict.IMPROVED: "green",
}


def print_comparison(comparison: Comparison, fail_on: FailOn, stream: TextIO) -> None:
    """Print obstacles, every metric that is not as approved, and the answer as the last line.

    Parameters
    ----------
    comparison, fail_on
        What was found, and what lets the check fail.
    stream
        Where to; colours only if it is a terminal.

    Examples
    --------
    >>> import sys
    >>> print_comparison(Comparison((), ("no seeds",), ""), FailOn.REGRESSION, sys.stdout)
    not comparable: no seeds
    NOT COMPARABLE: nothing was compared
    """
    console = Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if stream.isatty() else WIDTH,
    )
    for obstacle in comparison.obstacles:
        console.print(Text(f"not comparable: {printable(obstacle)}"), soft_wrap=True)
    shown = [finding for verdict in SHOWN for finding in comparison.of(verdict)]
    if shown:
        console.print(_table(shown))
    if comparison.method:
        console.print(Text(comparison.method), soft_wrap=True)
    console.print(Text(comparison.headline(fail_on), style="bold"), soft_wrap=True)


def _table(findings: list[Finding]) -> Table:
    table = Table(show_lines=False, expand=False)
    for title in ("verdict", "model and task", "T", "metric", "approved", "now", "how"):
        right = title in {"T", "approved", "now"}
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for finding in findings:
        table.add_row(*_cells(finding))
    return table


def _cells(finding: Finding) -> list[Text]:
    name = finding.name
    words = [
        finding.verdict.value,
        name.place if not name.iteration else f"{name.place}, iteration {name.iteration}",
        "" if name.length is None else str(name.length),
        name.what,
        number(finding.approved),
        number(finding.measured),
        finding.message,
    ]
    style = _STYLES[finding.verdict]
    return [
        Text(printable(word), style=style if position == 0 else "")
        for position, word in enumerate(words)
    ]
