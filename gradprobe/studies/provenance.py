"""Where, when and with what a cell was computed: kept beside every table."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gradprobe._version import __version__

PACKAGES = ("torch", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn")
GIT_SECONDS = 10


def provenance() -> dict[str, Any]:
    """Return what is the same for all cells of a run, as JSON values.

    ``versions`` of gradprobe, Python and the packages that compute; ``commit`` of gradprobe's own
    repository (``hash``, and whether the package was ``modified`` since), None when it does not run
    from one; ``machine``.

    Examples
    --------
    >>> sorted(provenance())
    ['commit', 'machine', 'versions']
    """
    return {"versions": _versions(), "commit": _commit(), "machine": _machine()}


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in PACKAGES}
    return {"gradprobe": __version__, "python": platform.python_version(), **packages}


def _machine() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": "cpu",
    }


def _processor() -> str:
    """Return the processor's name, which the standard library does not know on Linux."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _commit() -> dict[str, Any] | None:
    package = Path(__file__).parents[1]
    root = _git(package, "rev-parse", "--show-toplevel")
    if root is None or Path(root) != package.parent.resolve():
        return None  # an installed copy; a repository around it would be somebody else's
    commit = _git(package, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"hash": commit, "modified": bool(_git(package, "status", "--porcelain", "--", "."))}


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None where there is no git or no repository."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(folder), *arguments]
    result = subprocess.run(  # noqa: S603 - fixed arguments
        command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False
    )
    return result.stdout.strip() if result.returncode == 0 else None
