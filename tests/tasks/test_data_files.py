"""Finding, checking, reading and fetching data files, with small ones made here."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import shutil
import tarfile
import threading
from typing import IO, TYPE_CHECKING

import data_files
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gradprobe.errors import DataError
from gradprobe.tasks.data import DATA_SETS, fetch, locate
from gradprobe.tasks.data.catalogue import RECORD_BYTES, DataSet, Download
from gradprobe.tasks.data.folders import data_folder
from gradprobe.tasks.data.formats import read_cifar, read_idx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

LABELS = data_files.idx(np.arange(10, dtype=np.uint8))


@settings(deadline=None)
@given(
    arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=3, max_side=5)),
)
def test_an_idx_file_gives_the_array_that_was_written(array: NDArray[np.uint8]) -> None:
    assert np.array_equal(read_idx(data_files.idx(array), "an array"), array)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must begin as an IDX file of unsigned bytes, 00 00 08, got"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 0]), "got 00 00 0d 01"),
        (bytes([0, 0, 8, 3, 0, 0]), "must begin as an IDX file"),
        (LABELS[:-1], "must hold the 10 bytes that its header states, got 9"),
        (LABELS + b"x", "must hold the 10 bytes that its header states, got 11"),
    ],
)
def test_an_idx_file_that_is_none_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_idx(data, "labels")


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(0, 2**31))
def test_a_cifar_file_gives_pixels_with_their_channels_side_by_side(count: int, seed: int) -> None:
    images, labels = data_files.images(count, 32, 32, 3, seed=seed), data_files.labels(count, seed)
    found, found_labels = read_cifar(data_files.cifar(images, labels), "images")
    assert np.array_equal(found, images)
    assert np.array_equal(found_labels, labels)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", f"whole records of {RECORD_BYTES} bytes, got 0 bytes"),
        (bytes(RECORD_BYTES + 1), f"got {RECORD_BYTES + 1} bytes"),
        (bytes([10]) + bytes(RECORD_BYTES - 1), "labels from 0 to 9, got 10"),
    ],
)
def test_a_cifar_file_that_is_none_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_cifar(data, "images")


@pytest.mark.parametrize("packed", [False, True])
def test_files_with_the_published_sums_are_read(packed: bool, tmp_path: Path) -> None:
    data_set = data_files.written(tmp_path, "small", {"labels": LABELS}, packed=packed)
    located = locate(data_set, tmp_path)
    assert located.read("labels") == LABELS
    assert located.provenance is None
    assert located.sentence == "Small small, files with the published SHA-256 sums"


def test_a_missing_file_says_how_to_get_it(tmp_path: Path) -> None:
    data_set = data_files.written(tmp_path, "small", {"labels": LABELS})
    (tmp_path / "small/labels").unlink()
    with pytest.raises(
        DataError, match=r"labels \(or labels.gz\) is missing; .*gradprobe data fetch small, or"
    ):
        locate(data_set, tmp_path)


def test_a_truncated_file_is_refused_even_with_a_line_of_provenance(tmp_path: Path) -> None:
    data_set = data_files.written(tmp_path, "small", {"labels": LABELS})
    (tmp_path / "small/labels").write_bytes(LABELS[:-2])
    (tmp_path / "small/PROVENANCE").write_text("mine")
    with pytest.raises(DataError, match="must hold 18 bytes, got 16: it is truncated or altered"):
        locate(data_set, tmp_path)


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    data_set = data_files.written(tmp_path, "small", {"labels": LABELS}, packed=True)
    path = tmp_path / "small/labels.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"labels.gz cannot be read: .*; get the files with"):
        locate(data_set, tmp_path)


def test_a_gzip_file_with_an_altered_byte_is_refused(tmp_path: Path) -> None:
    data_set = data_files.written(tmp_path, "small", {"labels": LABELS}, packed=True)
    path = tmp_path / "small/labels.gz"
    for place in range(len(path.read_bytes())):
        data = bytearray(gzip.compress(LABELS, mtime=0))
        data[place] ^= 0xFF
        path.write_bytes(data)
        if 4 <= place < 10:
            assert locate(data_set, tmp_path).read("labels") == LABELS  # time and system only
        else:
            with pytest.raises(DataError):
                locate(data_set, tmp_path)


def test_a_line_of_provenance_that_is_no_text_is_refused(tmp_path: Path) -> None:
    data_set = data_files.written(tmp_path, "small", {"labels": LABELS})
    (tmp_path / "small/labels").write_bytes(bytes(len(LABELS)))
    (tmp_path / "small/PROVENANCE").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="PROVENANCE cannot be read"):
        locate(data_set, tmp_path)


def test_other_data_need_a_line_that_stands_with_every_result(tmp_path: Path) -> None:
    data_set = data_files.written(tmp_path, "small", {"labels": LABELS, "more": b"1234"})
    (tmp_path / "small/labels").write_bytes(LABELS[:-1] + b"\x00")
    with pytest.raises(DataError, match="labels is not what was published of Small small"):
        locate(data_set, tmp_path)
    (tmp_path / "small/PROVENANCE").write_text("  \n")
    with pytest.raises(DataError, match=r"must say in one line .* but it is empty"):
        locate(data_set, tmp_path)
    (tmp_path / "small/PROVENANCE").write_text("Copied by hand\nfrom paper.\n")
    located = locate(data_set, tmp_path)
    assert located.provenance == "Copied by hand from paper."
    assert located.sentence.endswith("not the published ones: Copied by hand from paper.")


def test_the_folder_is_that_of_the_variable_or_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADPROBE_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("GRADPROBE_DATA")
    assert data_folder().name == "gradprobe"


def archive(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class Web:
    """A server on this machine, the files that it offers, and what was asked of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.asked: list[str] = []
        folder.mkdir()
        # A proxy of the environment would not find this machine.
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        asked = self.asked

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *arguments: object) -> None:
                asked.append(self.path)

        handler = functools.partial(Handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def offer(self, name: str, data: bytes, *, sha256: str | None = None) -> Download:
        """Put a file where it can be downloaded from, after an address that gives nothing."""
        (self.folder / name).write_bytes(data)
        root = f"http://127.0.0.1:{self.server.server_port}"
        addresses = (f"{root}/missing/{name}", f"{root}/{name}")
        return Download(name, sha256 or hashlib.sha256(data).hexdigest(), addresses)


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    made = Web(tmp_path / "web", monkeypatch)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def emptied(tmp_path: Path) -> DataSet:
    data_set = data_files.written(tmp_path / "made", "small", {"labels": LABELS})
    (tmp_path / "made/small/labels").unlink()
    return data_set


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_are_fetched_once_from_the_first_address_that_has_them(
    tmp_path: Path, emptied: DataSet, web: Web
) -> None:
    packed = gzip.compress(LABELS)
    data_set = data_files.published(emptied, (web.offer("labels.gz", packed),))
    assert fetch(data_set, tmp_path / "made").provenance is None
    assert contents(tmp_path / "made/small") == {"labels": LABELS}
    assert [path for path in web.asked if path == "/labels.gz"] == ["/labels.gz"]
    assert any(path.startswith("/missing") for path in web.asked)
    web.asked.clear()
    fetch(data_set, tmp_path / "made")
    assert web.asked == []


@pytest.mark.parametrize("name", ["labels", "labels.gz"])
@pytest.mark.parametrize("archived", [False, True])
def test_what_is_damaged_is_replaced_and_the_rest_kept(
    name: str, archived: bool, tmp_path: Path, web: Web
) -> None:
    made = {"labels": LABELS, "more": b"1234"}
    data_set = data_files.written(tmp_path, "small", made)
    (tmp_path / "small/labels").unlink()
    (tmp_path / "small" / name).write_bytes(LABELS[:-1] + b"\x00")
    more = (tmp_path / "small/more").stat()
    downloads = (
        (web.offer("a.tar.gz", archive({f"small/{key}": data for key, data in made.items()})),)
        if archived
        else tuple(web.offer(f"{key}.gz", gzip.compress(data)) for key, data in made.items())
    )
    located = fetch(data_files.published(data_set, downloads), tmp_path)
    assert located.read("labels") == LABELS
    assert (tmp_path / "small/more").stat() == more
    assert "/more.gz" not in web.asked


def test_an_interrupted_fetch_goes_on_with_what_is_missing(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted while the second file is being unpacked."""
    made = {"labels": LABELS, "more": b"1234"}
    data_set = data_files.written(tmp_path, "small", made)
    for key in made:
        (tmp_path / "small" / key).unlink()
    downloads = tuple(web.offer(f"{key}.gz", gzip.compress(data)) for key, data in made.items())
    data_set = data_files.published(data_set, downloads)
    copy = shutil.copyfileobj

    def interrupted(source: IO[bytes], target: IO[bytes]) -> None:
        if "more" in getattr(target, "name", "the server's"):
            target.write(b"12")
            raise KeyboardInterrupt
        copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(data_set, tmp_path)
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == ["downloads", "labels"]
    web.asked.clear()
    fetch(data_set, tmp_path)
    assert web.asked == []
    assert contents(tmp_path / "small") == made


def test_an_archive_is_unpacked_without_what_else_it_holds(
    tmp_path: Path, emptied: DataSet, web: Web
) -> None:
    packed = archive({"small/labels": LABELS, "small/other": b"?", "../outside": b"!"})
    data_set = data_files.published(emptied, (web.offer("a.tar.gz", packed),))
    assert fetch(data_set, tmp_path / "made").read("labels") == LABELS
    assert contents(tmp_path / "made/small") == {"labels": LABELS}
    assert not list(tmp_path.rglob("outside"))


def test_an_archive_without_a_file_is_refused(tmp_path: Path, emptied: DataSet, web: Web) -> None:
    download = web.offer("a.tar.gz", archive({"elsewhere/labels": LABELS}))
    with pytest.raises(DataError, match=r"a.tar.gz of Small small has no file small/labels"):
        fetch(data_files.published(emptied, (download,)), tmp_path / "made")


def test_what_is_not_what_was_published_is_not_kept(
    tmp_path: Path, emptied: DataSet, web: Web
) -> None:
    download = web.offer("labels.gz", gzip.compress(LABELS), sha256="0" * 64)
    with pytest.raises(DataError, match=r"(?s)could not be downloaded \(http.*404.*; http.*hash"):
        fetch(data_files.published(emptied, (download,)), tmp_path / "made")
    assert [path for path in (tmp_path / "made/small").rglob("*") if path.is_file()] == []


def test_data_of_ones_own_are_not_written_over(tmp_path: Path, emptied: DataSet, web: Web) -> None:
    data_set = data_files.published(emptied, (web.offer("labels.gz", gzip.compress(LABELS)),))
    mine = {"labels": b"cut off", "PROVENANCE": b"mine"}
    for name, data in mine.items():
        (tmp_path / "made/small" / name).write_bytes(data)
    with pytest.raises(DataError, match=r"not written over; let GRADPROBE_DATA .* got 7"):
        fetch(data_set, tmp_path / "made")
    assert contents(tmp_path / "made/small") == mine
    assert web.asked == []


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, emptied: DataSet, web: Web
) -> None:
    data_set = data_files.published(emptied, (web.offer("labels.gz", gzip.compress(LABELS)),))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"Small small cannot be written to .*file"):
        fetch(data_set, tmp_path / "file")


def test_the_catalogue_is_that_of_the_published_files() -> None:
    """MNIST's sizes follow from its counts; CIFAR-10's from its records."""
    sizes = {file.name: file.size for data in DATA_SETS.values() for file in data.files}
    assert sizes["train-images-idx3-ubyte"] == 16 + 60_000 * 784
    assert sizes["t10k-labels-idx1-ubyte"] == 8 + 10_000
    assert sizes["data_batch_3.bin"] == 10_000 * 3073
    for data in DATA_SETS.values():
        sums = [file.sha256 for file in data.files] + [load.sha256 for load in data.downloads]
        assert len(set(sums)) == len(sums)
        assert all(len(bytes.fromhex(value)) == 32 for value in sums)
