"""Public names that are imported when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy_names(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module-level ``__getattr__`` that imports the names in `places` on first use.

    Parameters
    ----------
    package
        ``__name__`` of the package that calls.
    places
        Module by public name; a name that is its own submodule maps to ``""``.

    Examples
    --------
    >>> lazy_names("email", {"MIMEText": "email.mime.text"})("MIMEText").__name__
    'MIMEText'
    >>> lazy_names("email", {"mime": ""})("mime").__name__
    'email.mime'
    """

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if places[name]:
            return getattr(importlib.import_module(places[name]), name)
        return importlib.import_module(f"{package}.{name}")

    return load
