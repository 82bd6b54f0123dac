"""Pictures in the README and in the gallery are taken from the pages by a command."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

import pictures
from documented_code import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = """<!doctype html><style>* { margin: 0 } p { height: 50px }</style>
<main><section><h2 id="a" style="height: 100px">A</h2><p id="b">B</p><p>not shown</p></section>
<section><h2 id="c" style="height: 30px">C</h2><p id="d">D</p><p>E</p></section></main>"""


def test_every_picture_that_is_shown_is_taken_by_the_command() -> None:
    shown = {
        (ROOT / name / path).resolve().relative_to(ROOT).as_posix()
        for name, text in ((".", "README.md"), ("docs", "docs/gallery.md"))
        for path in re.findall(r"!\[[^]]+\]\(([^)]+)\)", (ROOT / text).read_text(encoding="utf-8"))
    }
    assert shown == {picture.target for picture in pictures.PICTURES}
    assert all((ROOT / picture.report).is_file() for picture in pictures.PICTURES)


def test_a_picture_has_the_parts_that_are_asked_for_and_no_others(
    browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(PAGE, encoding="utf-8")
    picture = pictures.Picture(
        "page.html", "all.png", parts=("#a", "#b", "#d"), end="#d", width=400, scale=2.0
    )
    pictures.take(browser, picture, tmp_path)
    assert _size(tmp_path / "all.png") == (800, 2 * (100 + 50 + 50 + pictures.MARGIN))
    lower = pictures.Picture("page.html", "low.png", start="#c", end="#d", width=400, scale=1.0)
    pictures.take(browser, lower, tmp_path)
    assert _size(tmp_path / "low.png") == (400, 30 + 50 + 2 * pictures.MARGIN + pictures.BAR)


def _size(path: Path) -> tuple[int, int]:
    return struct.unpack(">II", path.read_bytes()[16:24])
