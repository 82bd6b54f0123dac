"""Pictures of reports for the README and the gallery: ``python docs/building/pictures.py``.

Photographs the committed pages in a headless Chromium (the extra ``browser``).  Window, scale,
colours and motion are fixed here; what differs between machines are fonts and Chromium's version.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
MARGIN = 24
BAR = 48
"""The height of the bar that stays at the top of a narrow page."""


@dataclass(frozen=True)
class Picture:
    """What is photographed, and where the picture goes.

    Attributes
    ----------
    report, target
        The page and the picture, relative to the root of the repository.
    parts
        Selectors of what is shown of the page's sections; () = all.
    start, end
        Selectors of the elements at whose top and bottom edge the picture begins and ends; "" = the
        top of the page, and `height` below the start.
    width, height
        Of the window, in pixels of the page; the picture is as high where no `end` says it.
    scale
        Pixels of the picture for each pixel of the page.
    """

    report: str
    target: str
    parts: Sequence[str] = ()
    start: str = ""
    end: str = ""
    width: int = 900
    height: int = 576
    scale: float = 0.8


DECAY, DIGITS, EIGENVALUES, DYNAMICS = (
    "reports/gradient_decay/report.html",
    "reports/paper/digits_accuracy.html",
    "reports/paper/jacobian_eigenvalues.html",
    "reports/paper/dynamics.html",
)
FIRST_CHART = "#figure-gradient-end-to-end-0"
PICTURES = (
    Picture(
        DECAY,
        "reports/gradient_decay/report.png",
        parts=("#answer", ".lead", "#gradient", FIRST_CHART),
        end=FIRST_CHART,
        width=1280,
        scale=1.0,
    ),
    Picture(DECAY, "docs/images/gradient_decay.png"),
    Picture(DIGITS, "docs/images/digits_accuracy.png", start="#survival"),
    Picture(EIGENVALUES, "docs/images/jacobian_eigenvalues.png", start="#moduli"),
    Picture(DYNAMICS, "docs/images/dynamics.png", start="#portraits"),
)

SHOW_ONLY = """parts => {
  const kept = parts.map(part => document.querySelector(part));
  for (const element of document.querySelectorAll("main *"))
    if (!kept.some(part => part.contains(element) || element.contains(part)))
      element.style.display = "none";
}"""


def take(browser: Any, picture: Picture, root: Path = ROOT) -> None:
    """Photograph a page as `picture` says."""
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        device_scale_factor=picture.scale,
        color_scheme="light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto((root / picture.report).as_uri(), wait_until="load")
    if picture.parts:
        page.evaluate(SHOW_ONLY, list(picture.parts))
    top = _edges(page, picture.start)[0] - MARGIN - BAR if picture.start else 0
    bottom = _edges(page, picture.end)[1] + MARGIN if picture.end else top + picture.height
    page.set_viewport_size({"width": picture.width, "height": round(bottom - top)})
    page.evaluate("top => window.scrollTo(0, top)", top)
    page.screenshot(path=root / picture.target)
    context.close()


def _edges(page: Any, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["y"], box["y"] + box["height"]


def main() -> None:
    """Take all pictures."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for picture in PICTURES:
            take(browser, picture)
            print(picture.target)
        browser.close()


if __name__ == "__main__":
    main()
