"""Pages of made-up results, and a headless Chromium that opens them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
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
LABELS = ["<script>document.title = 'broken'</script>", "a" * 200, '=1+1, "quoted"\n']
WIDE = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
NARROW = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
RESULTS: dict[str, Callable[[], Any]] = {
    "gradients": lambda: example_results(models=7, labels=LABELS, lengths=[10, 40], units=6),
    "trainings": lambda: example_trainings(
        labels=LABELS, tasks=["<i>MNIST</i> " * 9], iterations=200
    ),
    "moduli": lambda: example_moduli(seeds=1),
    "dynamics": lambda: example_dynamics(seeds=2),
}


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

    def unfold(self) -> None:
        """Open all that is folded away."""
        self.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the page of some results, written once; ``… without script`` has had it removed."""
    folder = tmp_path_factory.mktemp("pages")

    def written(name: str) -> Path:
        path = folder / f"{name}.html"
        if path.exists():
            return path
        if name.endswith(" without script"):
            whole = written(name.removesuffix(" without script")).read_text(encoding="utf-8")
            text = re.sub(r"<script>.*?</script>", "", whole, flags=re.DOTALL)
        else:
            text = build_report(RESULTS[name]())
        path.write_text(text, encoding="utf-8")
        return path

    return written
