"""What a test wants to know of an HTML page."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """The tags, ids, links and texts of a page, by section; badly nested tags are an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self._section = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        values = dict(attrs)
        if identifier := values.get("id"):
            self.ids.append(identifier)
            if tag == "h2":
                self._section = identifier
        if tag in {"a", "use"} and (link := values.get("href")):
            self.links.append(link)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self.texts.setdefault(self._section, []).append(data)

    def text(self, section: str | None = None) -> str:
        """Return the text of a section by the id of its heading, or of the whole page."""
        names = [section] if section else list(self.texts)
        parts = [part for name in names for part in self.texts.get(name, [])]
        return re.sub(r"\s+", " ", "".join(parts))
