"""One file that a training goes on from: written whole or not at all, and safe to load."""

from __future__ import annotations

import io
import json
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradprobe.errors import CheckpointError

FORMAT = 1
"""Version of what stands in the file."""


def save(path: Path, description: dict[str, Any], contents: dict[str, Any]) -> None:
    """Write a checkpoint, so that a reader at any moment finds the old one or the new one, whole.

    The bytes go to a temporary file in the same folder, are forced to the disk, and take the old
    file's name in one step.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    description
        What is trained how, as JSON values; compared on loading.
    contents
        Tensors, numbers, strings, and lists and dictionaries of them.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Path(folder, "a.pt"), {"seed": 0}, {"iteration": 7})
    ...     load(Path(folder, "a.pt"), {"seed": 0})
    {'iteration': 7}
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"format": FORMAT, "description": json.dumps(description), "contents": contents}
    buffer = io.BytesIO()
    torch.save(document, buffer)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: Path, description: dict[str, Any]) -> dict[str, Any] | None:
    """Return the contents of a checkpoint; None if there is no such file.

    No code in the file is run: ``torch.load(weights_only=True)``.

    Parameters
    ----------
    path
        The file.
    description
        What is to be trained how.

    Raises
    ------
    CheckpointError
        The file is damaged, of another format, or of another training; the message says what
        differs, and which file to remove if the training is to begin anew.
    """
    if not path.exists():
        return None
    remedy = f"remove it to begin the training anew: {path}"
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"the checkpoint is damaged ({_first_line(error)}); {remedy}"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else type(document).__name__
        raise CheckpointError(f"the checkpoint must have format {FORMAT}, got {found}; {remedy}")
    # Through JSON both, as tuples come back as lists.
    stored, wanted = json.loads(document["description"]), json.loads(json.dumps(description))
    if stored != wanted:
        raise CheckpointError(
            f"the checkpoint is of another training: {'; '.join(_differences(stored, wanted))}; "
            f"{remedy}"
        )
    contents: dict[str, Any] = document["contents"]
    return contents


def bytes_to_tensor(data: bytes) -> torch.Tensor:
    """Return bytes as a tensor, which a checkpoint can hold.

    Examples
    --------
    >>> tensor_to_bytes(bytes_to_tensor(b"PAR1"))
    b'PAR1'
    """
    return torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())


def tensor_to_bytes(tensor: torch.Tensor) -> bytes:
    """Return what `bytes_to_tensor` took.

    Examples
    --------
    >>> tensor_to_bytes(torch.tensor([80], dtype=torch.uint8))
    b'P'
    """
    data: bytes = tensor.numpy().tobytes()
    return data


def _differences(stored: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [
        f"{key} is {stored.get(key)!r} there and {wanted.get(key)!r} here"
        for key in sorted({*stored, *wanted})
        if stored.get(key) != wanted.get(key)
    ]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
