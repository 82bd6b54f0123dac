"""axe-core finds nothing wrong: wide and light, narrow and dark, with and without the script."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import NARROW, REQUIRED, RESULTS, WIDE, Visit

pytestmark = pytest.mark.browser

# What differs from row to row is only text: a few rows of each table stand for all.
SHORTEN = """() => document.querySelectorAll('.numbers tbody').forEach(body =>
    [...body.rows].slice(3).forEach(row => row.remove()))"""


@pytest.fixture(scope="module")
def axe() -> Any:
    if importlib.util.find_spec("axe_playwright_python") is None:
        if REQUIRED:
            pytest.fail("GRADPROBE_REQUIRE_BROWSER=1, and axe-playwright-python is not installed")
        pytest.skip("needs axe-playwright-python (pip install 'gradprobe[dev]')")
    from axe_playwright_python.sync_playwright import Axe

    return Axe()


def violations(axe: Any, visit: Visit) -> list[str]:
    found = axe.run(visit.page).response
    assert len(found["passes"]) > 15
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(
    ("options", "variant"),
    [(WIDE, ""), (NARROW, ""), (NARROW, " without script")],
    ids=["wide, light", "narrow, dark", "without script"],
)
@pytest.mark.parametrize("name", list(RESULTS))
def test_axe_finds_no_violation(
    axe: Any,
    browser: Any,
    report: Callable[[str], Path],
    name: str,
    options: dict[str, Any],
    variant: str,
) -> None:
    visit = Visit(browser, report(name + variant), **options)
    visit.unfold()
    visit.page.evaluate(SHORTEN)
    assert violations(axe, visit) == []
    visit.context.close()


def test_axe_would_find_a_fault(axe: Any, browser: Any, report: Callable[[str], Path]) -> None:
    visit = Visit(browser, report("moduli"), **WIDE)
    visit.page.evaluate(SHORTEN)
    visit.page.evaluate("document.querySelector('svg[role=img] title').remove()")
    visit.page.evaluate("document.querySelector('svg[role=img] desc').remove()")
    assert any(fault.startswith("svg-img-alt") for fault in violations(axe, visit))
    visit.context.close()
