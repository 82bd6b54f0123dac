r"""Mathematics as MathML, made while the pages are built: browsers draw it without any script.

Three spellings are turned into it: ``:math:`λ_1``` and ``.. math::`` of docstrings, and fenced
blocks of the language ``math`` of pages.  In running text, ``h_t`` and ``e^2`` become letters with
sub- and superscripts.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from latex2mathml.converter import convert
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown import Markdown

BEFORE_FENCES = 28
"""Priority of a preprocessor between that of white space, 30, and that of fenced code, 25."""
BEFORE_BACKTICKS = 200
AFTER_LINKS = 100
SUBSCRIPT = r"(?<![A-Za-z0-9_`])([A-Za-zΑ-ω])_(\{[^{}\s]+\}|[A-Za-z0-9])(?![A-Za-z0-9_])"
SUPERSCRIPT = r"(?<![A-Za-z0-9_`])([A-Za-z])\^(\{[^{}\s]+\}|[−-]?\d+(?:\.\d+)?|[a-z](?![a-z]))"


def mathml(latex: str, display: str) -> str:
    r"""Return what a formula in LaTeX looks like, as MathML.

    Parameters
    ----------
    latex
        The formula.
    display
        ``"inline"`` or ``"block"``.

    Raises
    ------
    ValueError
        A command is not known: it would be shown as it stands.

    Examples
    --------
    >>> mathml("F_t", "inline").startswith("<math")
    True
    """
    converted: str = convert(latex.strip(), display=display)
    unknown = re.search(r"\\[a-zA-Z]+", converted)
    if unknown is not None:
        raise ValueError(f"LaTeX command {unknown.group()} is not known, in: {latex.strip()}")
    return converted


class Inline(InlineProcessor):
    """``:math:`...```, within a line or over several."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # type: ignore[override]
        """Return the formula in place of its source."""
        markup = self.md.htmlStash.store(mathml(m.group(1), "inline"))
        return markup, m.start(0), m.end(0)


class Subscript(InlineProcessor):
    """``h_t`` and ``h_{t-1}`` in running text: one letter, and what stands below it."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # type: ignore[override]
        """Return the letter with its subscript."""
        below = m.group(2).strip("{}").replace("-", "−")
        return (
            self.md.htmlStash.store(f"{m.group(1)}<sub>{escape(below)}</sub>"),
            m.start(0),
            m.end(0),
        )


class Superscript(InlineProcessor):
    """``e^22`` and ``D^{1/2}`` in running text."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # type: ignore[override]
        """Return the letter with its superscript."""
        above = m.group(2).strip("{}").replace("-", "−")
        return (
            self.md.htmlStash.store(f"{m.group(1)}<sup>{escape(above)}</sup>"),
            m.start(0),
            m.end(0),
        )


class Displayed(Preprocessor):
    """``.. math::`` with what is indented below it, and fenced blocks of the language ``math``."""

    def run(self, lines: list[str]) -> list[str]:
        """Return the lines, formulas replaced."""
        return list(self._replaced(lines))

    def _replaced(self, lines: list[str]) -> Iterator[str]:
        position, fence = 0, ""
        while position < len(lines):
            line = lines[position]
            opening = re.match(r"\s*(`{3,})(\w*)", line)
            if not fence and opening and opening.group(2) == "math":
                end = lines.index(opening.group(1), position + 1)
                yield from self._block(lines[position + 1 : end])
                position = end + 1
                continue
            directive = re.match(r"( *)\.\. math::(.*)", line)
            if not fence and directive:
                end = _end_of_indented(lines, position, len(directive.group(1)))
                yield from self._block([directive.group(2), *lines[position + 1 : end]])
                position = end
                continue
            if opening and not fence:
                fence = opening.group(1)
            elif fence and line.strip() == fence:
                fence = ""
            yield line
            position += 1

    def _block(self, latex: list[str]) -> list[str]:
        markup = f'<div class="formula">{mathml(" ".join(latex), "block")}</div>'
        return ["", self.md.htmlStash.store(markup), ""]


def _end_of_indented(lines: list[str], start: int, indent: int) -> int:
    """Return where the first paragraph ends that is indented below the line at `start`."""
    end, found = start + 1, not lines[start].rstrip().endswith("::")
    while end < len(lines) and (lines[end].strip() or not found):
        if lines[end].strip() and _indent(lines[end]) <= indent:
            break
        found = found or bool(lines[end].strip())
        end += 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


class MathMl(Extension):
    """The extension of Markdown that does both."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Register both."""
        md.preprocessors.register(Displayed(md), "displayed mathematics", BEFORE_FENCES)
        md.inlinePatterns.register(
            Inline(r":math:`([^`]+)`", md), "inline mathematics", BEFORE_BACKTICKS
        )
        for name, pattern in (("subscript", SUBSCRIPT), ("superscript", SUPERSCRIPT)):
            kind = Subscript if name == "subscript" else Superscript
            md.inlinePatterns.register(kind(pattern, md), f"mathematical {name}", AFTER_LINKS)


def makeExtension(**options: Any) -> MathMl:
    """Return the extension, as Markdown asks for it.

    Parameters
    ----------
    **options
        None.
    """
    return MathMl(**options)
