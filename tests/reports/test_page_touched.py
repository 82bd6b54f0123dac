"""Tables that are sorted, filtered and saved, models that are picked out, links into the page."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import NARROW, WIDE, Visit

pytestmark = pytest.mark.browser

SUMMARY = "table[data-name='Summary']"
SHOWN_OPACITY = """name => [...document.querySelectorAll('.wide svg [data-series]')].map(part =>
    [part.dataset.series === name, Number(getComputedStyle(part).opacity)])"""


@pytest.fixture(scope="module")
def opened(browser: Any, report: Callable[[str], Path]) -> Iterator[Visit]:
    visit = Visit(browser, report("gradients"), reduced_motion="reduce", **WIDE)
    yield visit
    assert visit.messages == []
    visit.context.close()


@pytest.fixture
def page(opened: Visit) -> Any:
    opened.page.reload()
    return opened.page


def heading(page: Any, name: str) -> Any:
    return page.locator(f"{SUMMARY} thead button", has_text=name).first


def column(page: Any, place: int) -> list[str]:
    script = "rows => rows.map(row => row.cells[%d]).map(c => c.dataset.value ?? c.textContent)"
    found: list[str] = page.locator(f"{SUMMARY} tbody tr").evaluate_all(script % place)
    return found


def number(text: str) -> float:
    """Read a number as the page writes it; what is not one is not finite either."""
    try:
        return float(text.replace("−", "-").replace("∞", "inf").strip())
    except ValueError:
        return math.nan


def saved(page: Any, button: Any, folder: Path) -> list[list[str]]:
    with page.expect_download() as download:
        button.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    assert path.suffix == ".csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_column_sorts_by_mouse_up_then_down_then_as_before(page: Any) -> None:
    before = column(page, 2)
    button, place = heading(page, "log gain"), page.locator(f"{SUMMARY} th:has-text('log gain')")
    button.click()
    values = [number(text) for text in column(page, 2)]
    assert values == sorted(values)
    assert place.first.get_attribute("aria-sort") == "ascending"
    button.click()
    assert [number(text) for text in column(page, 2)] == values[::-1]
    assert place.first.get_attribute("aria-sort") == "descending"
    button.click()
    assert column(page, 2) == before
    assert place.first.get_attribute("aria-sort") is None


def test_a_column_sorts_by_keyboard_and_what_is_missing_comes_last(page: Any) -> None:
    button = heading(page, "min")
    button.focus()
    for key, sign in (("Enter", 1), ("Space", -1)):
        page.keyboard.press(key)
        assert page.locator("[aria-sort]").count() == 1
        values = [number(text) for text in column(page, 6)]
        known = [value for value in values if not math.isnan(value)]
        assert known == sorted(known, key=lambda value: sign * value)
        assert 0 < len(known) < len(values)
        assert all(math.isnan(value) for value in values[len(known) :])
    heading(page, "Model").click()
    names = page.locator(f"{SUMMARY} tbody bdi").all_inner_texts()
    assert names[:2] == ["<script>document.title = 'broken'</script>", '=1+1, "quoted"␊']


def test_rows_are_filtered_by_words_and_counted(page: Any) -> None:
    box = page.get_by_label("Filter").first
    count = page.locator("output").first
    assert count.inner_text() == "7 rows"
    box.fill("SURVIVES antisym")
    rows = page.locator(f"{SUMMARY} tbody tr:visible")
    assert 0 < rows.count() < 7
    for row in rows.all():
        assert "survives" in row.inner_text()
        assert "Antisymmetric" in row.inner_text()
    assert count.inner_text() == f"{rows.count()} of 7 rows"
    box.fill("no such model")
    assert count.inner_text() == "0 of 7 rows"
    box.fill("")
    assert count.inner_text() == "7 rows"


def test_the_summary_is_saved_with_all_digits_and_no_formula(page: Any, tmp_path: Path) -> None:
    rows = saved(page, page.get_by_label("Save as CSV: Summary"), tmp_path)
    header = rows[0]
    assert len({len(row) for row in rows}) == 1
    assert [row[0] for row in rows[1:4]] == [
        "<script>document.title = 'broken'</script>",
        "a" * 200,
        '\'=1+1, "quoted"␊',  # a spreadsheet would run it without the apostrophe
    ]
    gains = [row[header.index("log gain")] for row in rows[1:]]
    assert gains == column(page, 2)
    assert len(gains[0]) > 12
    details = [row[header.index("log gain, detail")] for row in rows[1:]]
    assert any("…" in detail for detail in details)
    assert "time, s" in header


def test_the_numbers_of_a_figure_are_saved_as_they_are_shown(page: Any, tmp_path: Path) -> None:
    numbers = page.locator("details.numbers").first
    numbers.locator("summary").click()
    rows = saved(page, numbers.locator(".save"), tmp_path)
    shown = numbers.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert rows[0][:3] == ["Model", "t", "log norm, median"]
    assert len(rows) == len(shown) + 1 == 7 * 41 + 1
    for mine, theirs in zip(rows[1:], shown, strict=True):
        assert [float(value) for value in mine[1:3]] == [number(text) for text in theirs[1:3]]


def test_a_focused_name_picks_its_model_out_everywhere(page: Any) -> None:
    name = "AntisymmetricRNN, γ = 0.1"
    button = page.locator(f"#models li[data-series='{name}'] button")
    page.locator("#models button").first.focus()
    while not button.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
    assert len({shown for shown, _ in page.evaluate(SHOWN_OPACITY, name)}) == 2
    for mine, opacity in page.evaluate(SHOWN_OPACITY, name):
        assert (opacity == 1) == mine
    rows = page.locator(f"{SUMMARY} tr.picked th").all_inner_texts()
    assert rows == [name]
    assert name in page.locator("b.series.picked").all_inner_texts()
    page.keyboard.press("Enter")
    page.locator("h1").click()
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator(f"{SUMMARY} tr.picked").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(".picked").count() == 0
    assert button.get_attribute("aria-pressed") == "false"
    assert {opacity for _, opacity in page.evaluate(SHOWN_OPACITY, name)} == {1}


def test_pointing_near_a_line_picks_its_model_out(page: Any) -> None:
    label = page.locator(".wide svg text", has_text="GRU").first
    label.hover()
    assert page.locator(f"{SUMMARY} tr.picked th").all_inner_texts() == ["GRU"]
    page.mouse.move(5, 5)
    assert page.locator(".picked").count() == 0


def test_a_model_is_picked_out_by_touch(browser: Any, report: Callable[[str], Path]) -> None:
    visit = Visit(browser, report("trainings"), has_touch=True, reduced_motion="reduce", **NARROW)
    button = visit.page.locator(".legend li[data-series='Ablation'] button:visible").first
    button.tap()
    assert button.get_attribute("aria-pressed") == "true"
    assert visit.page.locator("tr.picked[data-series='Ablation']").count() >= 1
    button.tap()
    assert visit.page.locator(".picked").count() == 0
    assert visit.messages == []
    visit.context.close()


def test_links_lead_to_sections_and_figures_also_to_what_is_folded_away(
    browser: Any, report: Callable[[str], Path]
) -> None:
    visit = Visit(browser, report("dynamics"), reduced_motion="reduce", **WIDE)
    page = visit.page
    anchors = page.locator("a.anchor")
    assert anchors.count() >= 5
    for link in anchors.evaluate_all("links => links.map(link => link.hash)"):
        assert page.locator(link).count() == 1
    anchors.nth(2).focus()
    assert anchors.nth(2).evaluate("link => getComputedStyle(link).opacity") == "1"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == anchors.nth(2).get_attribute("href")
    folded = page.locator("main details .small svg").first
    assert folded.is_hidden()
    page.evaluate("id => { location.hash = id }", folded.locator("title").get_attribute("id"))
    folded.wait_for(state="visible")
    visit.context.close()


def test_the_contents_fold_away_on_a_phone(browser: Any, report: Callable[[str], Path]) -> None:
    visit = Visit(browser, report("moduli"), reduced_motion="reduce", **NARROW)
    contents = visit.page.locator("#contents")
    link = contents.locator("a").last
    assert link.is_hidden()
    contents.locator("summary").click()
    link.click()
    assert link.is_hidden()
    assert visit.page.evaluate("location.hash") == "#provenance"
    assert contents.bounding_box()["y"] >= -1
    assert visit.page.locator("#provenance").bounding_box()["y"] < 844
    visit.context.close()
