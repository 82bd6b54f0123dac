"""One file that a training goes on from: written whole or not at all, and safe to load.

The file is a line that tells its format, a line with the SHA-256 of all that follows, and what
``torch.save`` writes.  The checksum is ours: torch's reader does not check those of its archive, so
that a bit that flipped on a disk would become part of a weight.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from gradprobe.errors import CheckpointError

FORMAT = b"gradprobe checkpoint 1"
CHARACTERS_SHOWN = 30
"""Of each of two values that differ: hashes and descriptions of models are long."""


class Checkpoint(NamedTuple):
    """What stands in a file.

    Attributes
    ----------
    description
        What is trained how, as JSON values.
    contents
        Tensors, numbers, strings, and lists and dictionaries of them.
    """

    description: dict[str, Any]
    contents: dict[str, Any]


def save(path: Path, description: dict[str, Any], contents: dict[str, Any]) -> None:
    """Write a checkpoint, so that a reader at any moment finds the old one or the new one, whole.

    The bytes go to a temporary file in the same folder, are forced to the disk, and take the old
    file's name in one step.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    description, contents
        As for `Checkpoint`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Path(folder, "a.pt"), {"seed": 0}, {"iteration": 7})
    ...     load(Path(folder, "a.pt"))
    Checkpoint(description={'seed': 0}, contents={'iteration': 7})
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save({"description": json.dumps(description), "contents": contents}, buffer)
    payload = buffer.getvalue()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(b"\n".join((FORMAT, _checksum(payload), payload)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: Path) -> Checkpoint | None:
    """Return a checkpoint; None if there is no such file.

    No code in the file is run: ``torch.load(weights_only=True)``.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    CheckpointError
        The file is damaged, or of another format; the message says which file to remove if the
        training is to begin anew.
    """
    if not path.exists():
        return None
    found, _, rest = path.read_bytes().partition(b"\n")
    checksum, _, payload = rest.partition(b"\n")
    if found != FORMAT:
        raise CheckpointError(f"a file that begins with {FORMAT!r} was expected", _remedy(path))
    if checksum != _checksum(payload):
        raise CheckpointError("the checkpoint is damaged", _remedy(path))
    try:
        document = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise CheckpointError(
            f"torch {torch.__version__} cannot read the checkpoint", _remedy(path)
        ) from error
    return Checkpoint(json.loads(document["description"]), document["contents"])


def compare(path: Path, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise if a checkpoint is of another training than that which is wanted.

    Parameters
    ----------
    path
        The file, for the message.
    stored, wanted
        Descriptions.

    Raises
    ------
    CheckpointError
        They differ; the message says in what.

    Examples
    --------
    >>> compare(Path("a.pt"), {"seed": 0}, {"seed": 1})
    Traceback (most recent call last):
    ...
    gradprobe.errors.CheckpointError: the checkpoint is of another training: seed is 0 there and
    1 here; use another file, or remove it to begin the training anew: a.pt
    """
    # Through JSON, as tuples come back as lists.
    differences = _differences("", stored, json.loads(json.dumps(wanted)))
    if differences:
        raise CheckpointError(
            f"the checkpoint is of another training: {'; '.join(differences)}",
            f"use another file, or {_remedy(path)}",
        )


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


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(payload).hexdigest().encode()


def _remedy(path: Path) -> str:
    return f"remove it to begin the training anew: {path}"


def _differences(name: str, stored: object, wanted: object) -> list[str]:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        found = (
            _differences(f"{name}.{key}" if name else key, stored.get(key), wanted.get(key))
            for key in {**stored, **wanted}
        )
        return [difference for part in found for difference in part]
    if stored == wanted:
        return []
    return [f"{name} is {_in_short(stored)} there and {_in_short(wanted)} here"]


def _in_short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= CHARACTERS_SHOWN else f"{text[:CHARACTERS_SHOWN]}…"
