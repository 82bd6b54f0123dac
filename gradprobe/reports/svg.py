"""From a matplotlib figure to inline SVG that serves light and dark pages and screen readers."""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from markupsafe import Markup

from gradprobe.reports.figures.style import ROLES, SERIES_ID, drawing
from gradprobe.reports.svg_paths import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

_NAMESPACE = "http://www.w3.org/2000/svg"
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_USED = re.compile(r"#([\w.-]+)")
_FONT_SIZE = re.compile(r"(?<![\w-])([\d.]+px)")
_GEOMETRY = ("x", "y", "width", "height", "transform", "points")


def inline_svg(figure: Figure, identifier: str, title: str, description: str) -> Markup:
    """Return `figure` as an ``<svg>`` element for an HTML page; equal figures give equal text.

    Colours with a role become CSS variables, with the light colour in case there are none; text
    stays text, in the font of the page; every ``id`` starts with `identifier`; what
    `gradprobe.reports.figures.style.marked` holds carries its series as ``data-series``;
    coordinates are rounded to 0.1 pixels; there is no date.

    Parameters
    ----------
    figure
        Made under `gradprobe.reports.figures.style.drawing`.
    identifier
        Unique in the page.
    title, description
        What a screen reader says; they are escaped here.

    Examples
    --------
    >>> from gradprobe.reports.figures.style import pixels
    >>> str(inline_svg(pixels(100, 50), "figure-1", "Nothing <at all>", "Empty."))[:86]
    '<svg viewBox="0 0 100 50" role="img" aria-labelledby="figure-1-title figure-1-desc" st'
    """
    root = ET.fromstring(_draw(figure))  # noqa: S314 (matplotlib wrote it one line above)
    _drop_wrapping(root)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_NAMESPACE}}}")
        attributes = dict(_rewritten(element, identifier))
        element.attrib.clear()
        element.attrib.update(attributes)
    _trim(root)
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update(
        {
            "viewBox": view,
            "role": "img",
            "aria-labelledby": f"{identifier}-title {identifier}-desc",
            "style": f"max-width: {round(float(view.split()[2]) * 1.25)}px",
        }
    )
    for number, (tag, text) in enumerate((("title", title), ("desc", description))):
        label = ET.Element(tag, {"id": f"{identifier}-{tag}"})
        label.text = text
        root.insert(number, label)
    # ElementTree has escaped every text and attribute.
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704


def _draw(figure: Figure) -> str:
    buffer = io.StringIO()
    with drawing(), warnings.catch_warnings():
        # The browser sets the text, with fonts of its own for glyphs that matplotlib's lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def _drop_wrapping(root: ET.Element) -> None:
    """Remove the metadata, and the style sheet, which would apply to the whole page."""
    for child in list(root):
        name = child.tag.rpartition("}")[2]
        if name == "metadata" or (name == "defs" and "style" in child[0].tag):
            root.remove(child)


def _rewritten(element: ET.Element, identifier: str) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        key = name.rpartition("}")[2]
        if key == "id" and value.startswith(SERIES_ID):
            yield "data-series", value.removeprefix(SERIES_ID)
        elif key == "id":
            yield key, f"{identifier}-{value}"
        elif key == "href":
            yield key, f"#{identifier}-{value[1:]}"
        elif key == "clip-path":
            yield key, _REFERENCE.sub(rf"url(#{identifier}-\1)", value)
        elif key == "style":
            yield key, _style(value)
        elif key == "d":
            yield key, shortened(value)
        elif key in _GEOMETRY:
            text = _NUMBER.sub(_rounded, value).replace("rotate(-0", "rotate(0")
            yield key, text
        else:
            yield key, value


def _style(text: str) -> str:
    """Keep the font's size, drop its family, and give colours their roles."""
    kept = []
    for declaration in text.split("; "):
        name, _, value = declaration.partition(": ")
        if name == "font-family":
            continue
        if name == "font":
            size = _FONT_SIZE.search(value)
            name, value = "font-size", size.group(1) if size else "12px"
        kept.append(f"{name}:{_COLOUR.sub(_with_role, value)}")
    return ";".join(kept)


def _with_role(match: re.Match[str]) -> str:
    colour = match.group(0)
    return f"var({ROLES[colour]},{colour})" if colour in ROLES else colour


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match.group(0)):.1f}".rstrip("0").rstrip(".")


def _hoist_common_style(element: ET.Element) -> None:
    """Move the style that all marks of a group share to the group."""
    styles = {child.get("style") for child in element}
    if len(element) > 1 and len(styles) == 1 and all(c.tag.endswith("use") for c in element):
        style = styles.pop()
        if style:
            element.set("style", style)
            for child in element:
                del child.attrib["style"]


def _trim(root: ET.Element) -> None:
    """Drop what does not show: white space, rotations by nothing, repeated styles, ids."""
    used = set(_USED.findall(" ".join(value for e in root.iter() for value in e.attrib.values())))
    for element in root.iter():
        _hoist_common_style(element)
        element.tail = None
        if element.tag != "text":
            element.text = None
        if element.get("transform", "").startswith("rotate(0 "):
            del element.attrib["transform"]
        if element.get("id") not in used:
            element.attrib.pop("id", None)
    _unwrap(root)


def _unwrap(element: ET.Element) -> None:
    """Replace groups that say nothing by what they hold, and drop shapes that cannot be seen."""
    children: list[ET.Element] = []
    for child in list(element):
        _unwrap(child)
        if child.tag == "g" and not child.attrib:
            children += list(child)
        elif child.get("style") != "fill:none":
            children.append(child)
    element[:] = children
