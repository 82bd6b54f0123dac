"""Markdown for the summary of a job."""

from __future__ import annotations

import html
import re

from gradprobe.gate.findings import Comparison, FailOn, Finding, Verdict
from gradprobe.gate.outputs.terminal import SHOWN
from gradprobe.gate.words import number
from gradprobe.reports.numbers import printable

MOST_ROWS = 1000
"""A summary of GitHub holds 1 MiB; a row takes some 300 bytes."""
_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~$@:-])")


def markdown(comparison: Comparison, fail_on: FailOn, command: str) -> str:
    """Return the answer, the obstacles and a table of every metric that is not as approved.

    Parameters
    ----------
    comparison, fail_on
        What was found, and what lets the check fail.
    command
        How to look at the results.

    Examples
    --------
    >>> print(markdown(Comparison((), (), ""), FailOn.REGRESSION, "gradprobe report results"))
    ## gradprobe: NOT COMPARABLE
    <BLANKLINE>
    nothing was compared
    <BLANKLINE>
    To look at the results: `gradprobe report results`
    <BLANKLINE>
    """
    answer, _, counts = comparison.headline(fail_on).partition(": ")
    blocks = [f"## gradprobe: {answer}", counts]
    if comparison.obstacles:
        blocks.append("\n".join(f"- Not comparable: {_text(one)}" for one in comparison.obstacles))
    shown = [finding for verdict in SHOWN for finding in comparison.of(verdict)]
    if shown:
        blocks.append(_table(shown[:MOST_ROWS]))
    if len(shown) > MOST_ROWS:
        blocks.append(
            f"And {len(shown) - MOST_ROWS} more, of {len(shown)}; JSON and JUnit have all."
        )
    if comparison.method:
        blocks.append(_text(comparison.method))
    code = printable(command).replace("`", "'")
    return "\n\n".join([*blocks, f"To look at the results: `{code}`"]) + "\n"


def _table(findings: list[Finding]) -> str:
    lines = [
        "| verdict | model and task | T | metric | approved | now | how |",
        "| --- | --- | ---: | --- | ---: | ---: | --- |",
    ]
    return "\n".join(lines + [_row(finding) for finding in findings])


def _row(finding: Finding) -> str:
    name = finding.name
    verdict = _text(finding.verdict.value)
    cells = [
        f"**{verdict}**" if finding.verdict is Verdict.REGRESSION else verdict,
        _text(name.place if not name.iteration else f"{name.place}, iteration {name.iteration}"),
        "" if name.length is None else str(name.length),
        _text(name.what),
        number(finding.approved),
        number(finding.measured),
        _text(finding.message),
    ]
    return f"| {' | '.join(cells)} |"


def _text(words: str) -> str:
    """Return words that mean in Markdown, and in HTML, nothing but themselves, on one line."""
    marked = _MARKS.sub(
        lambda mark: f"&#{ord(mark.group())};", html.escape(printable(words)).replace("&#x27;", "’")
    )
    return " ".join(marked.split())
