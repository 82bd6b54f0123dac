"""The scripts of the page, and the policy under which a browser runs these and no others."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

_FILES = ("tables.js", "picking.js", "reading.js")


def script() -> str:
    """Return the text between the page's script tags.

    Examples
    --------
    >>> "</script" in script(), "eval(" in script()
    (False, False)
    """
    folder = resources.files("gradprobe.reports") / "templates"
    parts = [(folder / name).read_text(encoding="utf-8") for name in _FILES]
    return '"use strict";\n' + "\n".join(parts)


def content_security_policy(text: str) -> str:
    """Return a Content Security Policy under which `text` is the only script that runs.

    Nothing is loaded from anywhere.  Styles may stand in the page, since drawings carry them.

    Parameters
    ----------
    text
        The script, exactly as it stands between its tags.

    References
    ----------
    W3C, "Content Security Policy Level 3" (hashes of inline scripts: section 6.7.2).

    Examples
    --------
    >>> content_security_policy("").partition("script-src ")[2]
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
