"""Paths of drawings, written as briefly as a browser reads them: steps in place of places."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMAND = re.compile(r"([MLQCz])([^MLQCz]*)")
_INVISIBLE = 1
"""A dash that is at most so many tenths of a pixel long is drawn as a dot."""


def shortened(path: str) -> str:
    """Round a path to 0.1 pixels and write it in steps from point to point.

    Points are rounded where they are, so that no error adds up along the path.

    Parameters
    ----------
    path
        The commands M, L, Q, C and z, all absolute, as matplotlib writes them.

    Examples
    --------
    >>> shortened("M 10.04 20 L 10.54 20.51 L 12 19 L 12 19.5 z")
    'M10 20l.5 .5 1.5-1.5 0 .5z'
    >>> shortened("M 0 0 L 0.08 0 M 5 5 Q 6 5 6 6.25")
    'M0 0h0m5 5q1 0 1 1.2'
    """
    return "".join(_merged(_steps(path)))


def _steps(path: str) -> Iterator[tuple[str, list[int]]]:
    """Tell each command with its points, in tenths of a pixel from the end of the one before."""
    here = start = (0, 0)
    before = ""
    for command, text in _COMMAND.findall(path):
        tenths = [round(float(number) * 10) for number in text.split()]
        points = zip(tenths[::2], tenths[1::2], strict=True)
        steps = [part for x, y in points for part in (x - here[0], y - here[1])]
        if before == "M" and command == "L" and _is_dot(steps):
            yield "h", [0]
        else:
            yield command.lower() if before else command, steps
            here = start if command == "z" else (tenths[-2], tenths[-1])
        start = here if command == "M" else start
        before = command


def _merged(steps: Iterator[tuple[str, list[int]]]) -> Iterator[str]:
    """Write the steps, without the letters that a browser fills in."""
    before = ""
    for command, numbers in steps:
        text = _numbers(numbers)
        repeated = command == before and command in "lqc"
        yield (text if text.startswith("-") else f" {text}") if repeated else f"{command}{text}"
        before = command


def _is_dot(step: list[int]) -> bool:
    return step[1] == 0 and abs(step[0]) <= _INVISIBLE


def _numbers(tenths: list[int]) -> str:
    parts = [_number(value) for value in tenths]
    return "".join(
        part if place == 0 or part.startswith("-") else f" {part}"
        for place, part in enumerate(parts)
    )


def _number(tenths: int) -> str:
    """Write tenths as a decimal fraction without a zero before the point.

    Examples
    --------
    >>> [_number(tenths) for tenths in (0, 5, -5, 10, -123)]
    ['0', '.5', '-.5', '1', '-12.3']
    """
    whole, rest = divmod(abs(tenths), 10)
    text = f"{whole or ''}.{rest}" if rest else f"{whole}"
    return f"-{text}" if tenths < 0 else text
