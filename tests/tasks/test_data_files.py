"""Finding, checking, reading and fetching data files, with small ones made here."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

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


def offered(folder: Path, name: str, data: bytes, *, sha256: str | None = None) -> Download:
    """Put a file where it can be downloaded from, after an address that gives nothing."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    address = (folder / name).as_uri()
    missing = (folder / "missing").as_uri()
    return Download(name, sha256 or hashlib.sha256(data).hexdigest(), (missing, address))


@pytest.fixture
def emptied(tmp_path: Path) -> DataSet:
    data_set = data_files.written(tmp_path / "made", "small", {"labels": LABELS})
    (tmp_path / "made/small/labels").unlink()
    return data_set


class _FileAddresses:
    """Lets the downloader read file addresses, as it reads those of the web."""

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def __call__(self, url: str, output_file: str, pooch: object, **options: object) -> None:
        from urllib.request import urlopen

        with urlopen(url) as answer, open(output_file, "wb") as file:  # noqa: PTH123, S310
            file.write(answer.read())


@pytest.fixture
def file_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch.core

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *a, **k: _FileAddresses())


@pytest.mark.usefixtures("file_addresses")
def test_gzipped_files_are_fetched_once_from_the_first_address_that_has_them(
    tmp_path: Path, emptied: DataSet
) -> None:
    download = offered(tmp_path / "web", "labels.gz", gzip.compress(LABELS))
    data_set = data_files.published(emptied, (download,))
    assert fetch(data_set, tmp_path / "made").read("labels") == LABELS
    (tmp_path / "web/labels.gz").unlink()
    assert fetch(data_set, tmp_path / "made").read("labels") == LABELS


@pytest.mark.usefixtures("file_addresses")
def test_an_archive_is_fetched_and_unpacked_without_what_else_it_holds(
    tmp_path: Path, emptied: DataSet
) -> None:
    packed = archive({"small/labels": LABELS, "small/other": b"?", "../outside": b"!"})
    data_set = data_files.published(emptied, (offered(tmp_path / "web", "a.tar.gz", packed),))
    assert fetch(data_set, tmp_path / "made").read("labels") == LABELS
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "made/small/other").exists()


@pytest.mark.usefixtures("file_addresses")
def test_what_is_not_what_was_published_is_not_kept(tmp_path: Path, emptied: DataSet) -> None:
    download = offered(tmp_path / "web", "labels.gz", gzip.compress(LABELS), sha256="0" * 64)
    with pytest.raises(DataError, match=r"labels.gz of Small small could not be downloaded \("):
        fetch(data_files.published(emptied, (download,)), tmp_path / "made")
    assert list((tmp_path / "made/small").iterdir()) == []


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
