"""The page in headless Chromium: wide and light, narrow and dark, with and without JavaScript."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradprobe.reports import build_report
from gradprobe.reports.example import example_results
from gradprobe.reports.example_trainings import (
    example_dynamics,
    example_moduli,
    example_trainings,
)

REQUIRED = os.environ.get("GRADPROBE_REQUIRE_BROWSER") == "1"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
pytestmark = pytest.mark.browser

# Boxes that stick out of the page, leaving out those that scroll on their own.
STICKING_OUT = """() => [...document.querySelectorAll('body *')].filter(element => {
    if (element.closest('.scroll, pre, .skip, defs')) return false;
    const box = element.getBoundingClientRect();
    return box.width > 0 && (box.right > window.innerWidth + 1 || box.left < -1);
}).map(element => element.outerHTML.slice(0, 200))"""

# Pairs of texts in one drawing whose boxes overlap by more than two pixels either way.
OVERLAPPING = """() => [...document.querySelectorAll('svg[role=img]')].flatMap(drawing => {
    const boxes = [...drawing.querySelectorAll('text')].map(
        text => [text.textContent, text.getBoundingClientRect()]).filter(([, b]) => b.width > 0);
    return boxes.flatMap(([name, a], place) => boxes.slice(place + 1).filter(([, b]) =>
        Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4
    ).map(([other]) => `${drawing.querySelector('title').textContent}: ${name} | ${other}`));
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        if REQUIRED:
            pytest.fail("GRADPROBE_REQUIRE_BROWSER=1, and playwright or Chromium is not installed")
        pytest.skip("needs playwright (pip install 'gradprobe[browser]') and Chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


LABELS = ["<script>document.title = 'broken'</script>", "a" * 200]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    results = example_results(models=9, labels=LABELS, seeds=3, units=32)
    path.write_text(build_report(results), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["trainings", "moduli", "dynamics"])
def other_report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = {
        "trainings": lambda: example_trainings(labels=LABELS, tasks=["<i>MNIST</i> " * 9]),
        "moduli": lambda: example_moduli(seeds=1),
        "dynamics": lambda: example_dynamics(seeds=4),
    }[request.param]()
    path = tmp_path_factory.mktemp(request.param) / "report.html"
    path.write_text(build_report(results), encoding="utf-8")
    return path


class Visit:
    """A page that was opened, with what went over the network and onto the console."""

    def __init__(self, browser: Any, report: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.goto(report.as_uri(), wait_until="load")


WIDE = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
NARROW = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}


@pytest.fixture(scope="module", params=[WIDE, NARROW], ids=["wide, light", "narrow, dark"])
def visit(request: pytest.FixtureRequest, browser: Any, report: Path) -> Iterator[Visit]:
    opened = Visit(browser, report, **request.param)
    yield opened
    opened.context.close()


def test_nothing_is_fetched_and_the_console_is_silent(visit: Visit, report: Path) -> None:
    assert visit.requests == [report.as_uri()]
    assert visit.messages == []
    assert visit.page.title() == "gradient_decay · gradprobe"


def test_nothing_is_cut_off(visit: Visit) -> None:
    size = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    scroll, client = visit.page.evaluate(size)
    assert scroll <= client
    assert visit.page.evaluate(STICKING_OUT) == []


def test_no_text_of_a_figure_covers_another(visit: Visit) -> None:
    assert visit.page.evaluate(OVERLAPPING) == []


def test_every_figure_is_as_large_as_it_should_be(visit: Visit) -> None:
    drawings = visit.page.locator("svg[role=img]:visible")
    assert drawings.count() >= 18
    for drawing in drawings.all():
        box = drawing.bounding_box()
        assert box["width"] > 150
        assert box["height"] > 120


@pytest.mark.parametrize("options", [WIDE, NARROW], ids=["wide, light", "narrow, dark"])
def test_pages_of_trainings_and_trajectories(
    browser: Any, other_report: Path, options: dict[str, Any]
) -> None:
    opened = Visit(browser, other_report, **options)
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert opened.requests == [other_report.as_uri()]
    assert opened.messages == []
    assert opened.page.evaluate(STICKING_OUT) == []
    assert opened.page.evaluate(OVERLAPPING) == []
    for drawing in opened.page.locator("svg[role=img]:visible").all():
        box = drawing.bounding_box()
        assert min(box["width"], box["height"]) > 100
    for link in opened.page.locator("nav a").all():
        assert opened.page.locator(link.get_attribute("href")).is_visible()
    opened.context.close()


def test_colours_follow_the_scheme(visit: Visit) -> None:
    script = """() => {
        const line = document.querySelector('svg[role=img] path[style*="--series-1"]');
        return [getComputedStyle(document.body).backgroundColor, getComputedStyle(line).stroke];
    }"""
    dark = visit.page.viewport_size["width"] == 390
    expected = ["rgb(21, 23, 27)", "rgb(106, 174, 242)"]
    if not dark:
        expected = ["rgb(255, 255, 255)", "rgb(31, 95, 168)"]
    assert visit.page.evaluate(script) == expected


def test_links_of_the_contents_lead_to_their_headings(visit: Visit) -> None:
    for link in visit.page.locator("nav a").all():
        link.click()
        target = visit.page.locator(link.get_attribute("href"))
        assert target.bounding_box()["y"] < visit.page.viewport_size["height"]
        assert target.is_visible()


def test_the_page_is_the_same_without_javascript(browser: Any, report: Path) -> None:
    pages = [
        Visit(browser, report, java_script_enabled=enabled, **WIDE) for enabled in (True, False)
    ]
    shots = [opened.page.screenshot(full_page=True, animations="disabled") for opened in pages]
    for opened in pages:
        opened.context.close()
    assert shots[0] == shots[1]


def test_it_can_be_printed(browser: Any, report: Path) -> None:
    opened = Visit(browser, report, **NARROW)
    opened.page.emulate_media(media="print", color_scheme="light")
    assert opened.page.locator("nav").is_hidden()
    assert opened.page.locator(".chart.wide").first.is_visible()
    assert opened.page.pdf()[:5] == b"%PDF-"
    opened.context.close()
