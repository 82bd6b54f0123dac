"""Paths in steps lead where the paths of matplotlib lead; marked parts carry their series."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradprobe.reports.figures.style import drawing, marked, pixels
from gradprobe.reports.svg import inline_svg
from gradprobe.reports.svg_paths import shortened

NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
PLACES = st.floats(-2000, 2000, allow_nan=False)
POINTS = st.tuples(st.sampled_from("MLQC"), st.lists(PLACES, min_size=6, max_size=6))
TAKES = {"M": 2, "L": 2, "Q": 4, "C": 6}


def places(path: str) -> list[tuple[float, float]]:
    """Follow a path of steps, as a browser does."""
    here = start = (0.0, 0.0)
    found = []
    for command, text in re.findall(r"([Mmlqcz])([^Mmlqcz]*)", path):
        numbers = [float(part) for part in NUMBER.findall(text)]
        if command == "z":
            here = start
        count = {"q": 4, "c": 6}.get(command, 2)
        for place in range(0, len(numbers), count):
            mine = np.reshape(numbers[place : place + count], (-1, 2))
            points = mine if command == "M" else mine + here
            here = (float(points[-1][0]), float(points[-1][1]))
            found += [(float(x), float(y)) for x, y in points]
        start = here if command in "Mm" else start
    return found


@given(st.lists(POINTS, max_size=30))
def test_steps_lead_to_the_same_places_to_a_twentieth_of_a_pixel(
    commands: list[tuple[str, list[float]]],
) -> None:
    parts, expected = ["M 7 9"], [7.0, 9.0]
    for number, (command, numbers) in enumerate(commands):
        mine = numbers[: TAKES[command]]
        if command == "L" and number and commands[number - 1][0] == "M":
            mine[1] += 5  # not a dot
            mine[1] += 10 * (abs(mine[1] - expected[-1]) < 1)
        parts.append(command + " " + " ".join(f"{value:.6f}" for value in mine))
        parts += ["z"] if number % 5 == 4 else []
        expected += mine
    found = np.array(places(shortened(" ".join(parts)))).ravel()
    np.testing.assert_allclose(found, expected, atol=0.05 + 1e-6)


def test_dots_stay_where_they_are() -> None:
    path = shortened("M 10 20 L 10.02 20 M 30 40 L 30.02 40")
    assert path == "M10 20h0m20 20h0"


def test_marked_parts_carry_their_series_and_others_do_not() -> None:
    name = "<script>alert('1')</script> & \"LSTM\""
    with drawing():
        figure = pixels(200, 100)
        axes = figure.add_subplot()
        with marked(axes, name):
            axes.plot([0, 1], [0, 1])
            axes.fill_between([0, 1], [0, 0], [1, 2])
            axes.text(0.5, 0.5, "label")
        axes.plot([0, 1], [1, 0])
    text = inline_svg(figure, "a", "b", "c")
    assert "<script" not in text
    marks = [part for part in ET.fromstring(text).iter() if part.get("data-series")]  # noqa: S314
    assert [part.get("data-series") for part in marks] == [name] * 3
    assert len([part for part in marks if part.find("text") is not None]) == 1
