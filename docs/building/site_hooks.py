"""What mkdocs calls while it builds the site: pages made from the code, and mathematics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mathml
import mirrored_files
import reference
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add mathematics to Markdown, and the reference to the navigation."""
    extensions: list[Any] = config.markdown_extensions
    extensions.append(mathml.MathMl())
    for part in config.nav or []:
        if "Reference" in part:
            part["Reference"] = reference.navigation()
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code, and the reports."""
    for path, text in reference.pages().items():
        files.append(File.generated(config, path, content=text))
    for path, content in mirrored_files.mirrored():
        files.append(File.generated(config, path, content=content))
    return files
