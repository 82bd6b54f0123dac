"""The palette: enough contrast in light and dark, and told apart by those who are colour-blind."""

from __future__ import annotations

import re
from importlib import resources
from itertools import combinations, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from gradprobe.reports.figures.style import HEAT, LENGTHS, PARTS, ROLES, SERIES, look

CSS = (resources.files("gradprobe.reports") / "templates" / "report.css").read_text("utf-8")
DARK = CSS[CSS.index("prefers-color-scheme: dark") :]
SCHEMES = {"light": CSS[: CSS.index("@media")], "dark": DARK[: DARK.index("}")]}

# Machado, Oliveira, Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", 2009: severity 1, for linear RGB.
BLINDNESS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
    "none": np.eye(3).tolist(),
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def variable(scheme: str, name: str) -> str:
    found = re.search(rf"{name}: (#[0-9a-f]{{6}})", SCHEMES[scheme])
    assert found, (scheme, name)
    return found.group(1)


def linear(colour: str) -> NDArray[np.float64]:
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.asarray(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2."""
    lights = sorted(float(XYZ[1] @ linear(colour)) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return CIE L*a*b* under D65."""
    ratio = XYZ @ np.clip(rgb, 0, 1) / (XYZ @ np.ones(3))
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, blindness: str) -> float:
    seen = [lab(np.array(BLINDNESS[blindness]) @ linear(colour)) for colour in (one, other)]
    return float(np.linalg.norm(seen[0] - seen[1]))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_lines_stand_out_from_the_paper(scheme: str) -> None:
    paper = variable(scheme, "--paper")
    for colour in (*SERIES, *LENGTHS[1:], *PARTS[:2]):
        assert contrast(variable(scheme, ROLES[colour]), paper) >= 3, (ROLES[colour], scheme)
    for name in ("--ink", "--muted", "--link", "--warning"):
        assert contrast(variable(scheme, name), paper) >= 4.5, (name, scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_lines_of_one_style_differ_in_colour(scheme: str, blindness: str) -> None:
    looks = [look(number) for number in range(len(SERIES))]
    assert len({(one.dashes, one.colour) for one in (look(number) for number in range(36))}) == 36
    for one, other in combinations(looks, 2):
        if one.dashes == other.dashes:
            pair = [variable(scheme, ROLES[each.colour]) for each in (one, other)]
            assert distance(pair[0], pair[1], blindness) > 15, (pair, blindness)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_neighbours_on_maps_and_in_stacks_differ(scheme: str, blindness: str) -> None:
    for colours in (HEAT, PARTS):
        shown = [variable(scheme, ROLES[colour]) for colour in colours]
        for one, other in pairwise(shown):
            assert distance(one, other, blindness) > 10, (one, other)
    ends = [variable(scheme, ROLES[colour]) for colour in (HEAT[0], HEAT[-1])]
    assert distance(ends[0], ends[1], blindness) > 20


def test_the_page_without_variables_has_the_same_light_colours() -> None:
    for colour, name in ROLES.items():
        if name not in {"--muted", "--unresolved"}:
            assert variable("light", name) == colour
