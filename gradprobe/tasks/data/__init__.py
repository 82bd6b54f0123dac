"""Data sets that tasks read from files: what they consist of, where they are, how they are got."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradprobe._lazy import lazy_names

if TYPE_CHECKING:
    from gradprobe.tasks.data.catalogue import DATA_SETS as DATA_SETS
    from gradprobe.tasks.data.fetching import fetch as fetch
    from gradprobe.tasks.data.folders import Located as Located
    from gradprobe.tasks.data.folders import locate as locate

__all__ = ["DATA_SETS", "Located", "fetch", "locate"]

__getattr__ = lazy_names(
    __name__,
    {
        "DATA_SETS": "gradprobe.tasks.data.catalogue",
        "Located": "gradprobe.tasks.data.folders",
        "fetch": "gradprobe.tasks.data.fetching",
        "locate": "gradprobe.tasks.data.folders",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
