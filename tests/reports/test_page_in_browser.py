"""The page in headless Chromium: wide and light, narrow and dark, on paper, without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import NARROW, RESULTS, WIDE, Visit

pytestmark = pytest.mark.browser

# Boxes that stick out of the page, leaving out those that scroll on their own.
STICKING_OUT = """() => [...document.querySelectorAll('body *')].filter(element => {
    if (element.closest('.scroll, pre, .skip, defs')) return false;
    const box = element.getBoundingClientRect();
    return box.width > 0 && (box.right > window.innerWidth + 1 || box.left < -1);
}).map(element => element.outerHTML.slice(0, 200))"""

# Texts of a drawing that leave the margin that the page has around it.
OUTSIDE = """() => [...document.querySelectorAll('svg[role=img]')].flatMap(drawing => {
    if (!drawing.getBoundingClientRect().width) return [];
    const frame = drawing.getBoundingClientRect();
    return [...drawing.querySelectorAll('text')].filter(text => {
        const box = text.getBoundingClientRect();
        return box.left < frame.left - 26 || box.right > frame.right + 26
            || box.top < frame.top - 26 || box.bottom > frame.bottom + 26;
    }).map(text => `${drawing.querySelector('title').textContent}: ${text.textContent}`);
})"""

# Pairs of texts in one drawing whose boxes overlap by more than two pixels either way.
OVERLAPPING = """() => [...document.querySelectorAll('svg[role=img]')].flatMap(drawing => {
    const boxes = [...drawing.querySelectorAll('text')].map(
        text => [text.textContent, text.getBoundingClientRect()]).filter(([, b]) => b.width > 0);
    return boxes.flatMap(([name, a], place) => boxes.slice(place + 1).filter(([, b]) =>
        Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4
    ).map(([other]) => `${drawing.querySelector('title').textContent}: ${name} | ${other}`));
})"""


@pytest.fixture(scope="module", params=list(RESULTS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=[WIDE, NARROW], ids=["wide, light", "narrow, dark"])
def visit(
    request: pytest.FixtureRequest, browser: Any, report: Callable[[str], Path], name: str
) -> Iterator[Visit]:
    opened = Visit(browser, report(name), reduced_motion="reduce", **request.param)
    opened.unfold()
    yield opened
    opened.context.close()


def test_nothing_is_fetched_and_the_console_is_silent(visit: Visit) -> None:
    assert visit.requests == [visit.page.url.partition("#")[0]]
    assert visit.messages == []
    assert visit.page.title().endswith(" · gradprobe")


def test_nothing_is_cut_off_and_no_text_covers_another(visit: Visit) -> None:
    size = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    scroll, client = visit.page.evaluate(size)
    assert scroll <= client
    assert visit.page.evaluate(STICKING_OUT) == []
    assert visit.page.evaluate(OUTSIDE) == []
    assert visit.page.evaluate(OVERLAPPING) == []


def test_every_figure_is_as_large_as_it_should_be(visit: Visit) -> None:
    sizes = visit.page.evaluate(
        "() => [...document.querySelectorAll('svg[role=img]')].map(drawing =>"
        " drawing.getBoundingClientRect()).filter(box => box.width).map(b => [b.width, b.height])"
    )
    assert len(sizes) >= 3
    assert min(min(size) for size in sizes) > 100


def test_links_of_the_contents_lead_to_their_headings(visit: Visit) -> None:
    links = visit.page.locator("nav a")
    assert links.count() >= 3
    for number in range(links.count()):
        target = visit.page.locator(links.nth(number).get_attribute("href"))
        visit.unfold()
        links.nth(number).click()
        assert target.is_visible()
    box = target.bounding_box()
    assert box is not None
    assert -1 <= box["y"] < visit.page.viewport_size["height"]


def test_colours_follow_the_scheme(browser: Any, report: Callable[[str], Path], name: str) -> None:
    script = """() => {
        const line = document.querySelector('svg[role=img] path[style*="--series-1"]');
        const own = getComputedStyle(document.documentElement).getPropertyValue('--series-1');
        const probe = document.body.appendChild(document.createElement('i'));
        probe.style.color = own;
        const style = getComputedStyle(line);
        return [getComputedStyle(document.body).backgroundColor, own.trim(),
                [style.stroke, style.fill].includes(getComputedStyle(probe).color)];
    }"""
    found = []
    for options in (WIDE, NARROW):
        opened = Visit(browser, report(name), **options)
        found.append(opened.page.evaluate(script))
        opened.context.close()
    assert [background for background, _, _ in found] == ["rgb(255, 255, 255)", "rgb(21, 23, 27)"]
    assert found[0][1] != found[1][1]
    assert all(drawn for _, _, drawn in found)


def test_the_page_can_be_read_without_javascript(
    browser: Any, report: Callable[[str], Path], name: str
) -> None:
    opened = Visit(browser, report(name), java_script_enabled=False, **NARROW)
    page = opened.page
    assert opened.messages == []
    assert page.locator("button").count() == 0
    assert page.locator("nav a").first.is_visible()
    assert page.locator("#models").is_hidden()
    tables = page.locator("details.numbers")
    assert tables.count() >= 1
    assert tables.first.locator("td").first.is_hidden()
    tables.first.locator("summary").click()
    assert tables.first.locator("td").first.is_visible()
    opened.context.close()


def test_it_can_be_printed(browser: Any, report: Callable[[str], Path]) -> None:
    opened = Visit(browser, report("dynamics"), **NARROW)
    page = opened.page
    assert page.locator("main details .small").first.is_hidden()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="light")
    for hidden in ("nav", ".tools", ".numbers", ".anchor", ".narrow"):
        assert page.locator(hidden).first.is_hidden()
    assert page.locator(".wide").first.is_visible()
    assert page.locator("main details .small").first.is_visible()
    assert page.pdf()[:5] == b"%PDF-"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert page.locator("main details .small").first.is_hidden()
    opened.context.close()


def test_nothing_moves_for_those_who_ask_for_that(
    browser: Any, report: Callable[[str], Path]
) -> None:
    script = """() => [getComputedStyle(document.documentElement).scrollBehavior,
        getComputedStyle(document.querySelector('svg [data-series]')).transitionDuration]"""
    found = {}
    for motion in ("reduce", "no-preference"):
        opened = Visit(browser, report("moduli"), reduced_motion=motion, **WIDE)
        found[motion] = opened.page.evaluate(script)
        opened.context.close()
    assert found == {"reduce": ["auto", "0s"], "no-preference": ["smooth", "0.15s"]}


def test_no_other_script_runs(browser: Any, report: Callable[[str], Path]) -> None:
    opened = Visit(browser, report("moduli"), **WIDE)
    opened.page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'window.intruded = true';
        document.body.append(script);
    }""")
    assert opened.page.evaluate("window.intruded") is None
    assert "Content Security Policy" in opened.messages[0]
    opened.context.close()
