"""The data sets: their files, sizes and published SHA-256 sums, and where they are published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataFile:
    """One file, as it is after unpacking.

    Attributes
    ----------
    name
        Its name; it may also lie there gzipped, with the ending ``.gz``.
    size
        Bytes.
    sha256
        Of these bytes.

    Examples
    --------
    >>> MNIST.files[1].size  # a header of 8 bytes and 60,000 labels
    60008
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Download:
    """One file as it is published.

    Attributes
    ----------
    name
        What it is called.
    sha256
        Of its bytes.
    addresses
        Where it is published; tried one after the other.

    Examples
    --------
    >>> CIFAR10.downloads[0].name
    'cifar-10-binary.tar.gz'
    """

    name: str
    sha256: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class DataSet:
    """A data set.

    Attributes
    ----------
    name
        What ``gradprobe data`` calls it.
    title
        What it is, with its source.
    folder
        Where its files lie, beneath the folder of all data.
    files
        What tasks read.
    downloads
        What is fetched.
    citation
        What to cite.
    licence
        On what terms it is published.

    Examples
    --------
    >>> MNIST.folder, len(MNIST.files)
    ('mnist', 4)
    """

    name: str
    title: str
    folder: str
    files: tuple[DataFile, ...]
    downloads: tuple[Download, ...]
    citation: str
    licence: str


def _mnist_download(name: str, sha256: str) -> Download:
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    return Download(name, sha256, tuple(mirror + name for mirror in mirrors))


MNIST = DataSet(
    name="mnist",
    title="MNIST (LeCun, Cortes and Burges 1998)",
    folder="mnist",
    files=(
        DataFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        DataFile(
            "train-labels-idx1-ubyte",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        DataFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    downloads=(
        _mnist_download(
            "train-images-idx3-ubyte.gz",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        _mnist_download(
            "train-labels-idx1-ubyte.gz",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        _mnist_download(
            "t10k-images-idx3-ubyte.gz",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        _mnist_download(
            "t10k-labels-idx1-ubyte.gz",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    citation=(
        "LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition "
        "(Proceedings of the IEEE 86, 1998)"
    ),
    licence="Creative Commons Attribution-Share Alike 3.0",
)

RECORDS_PER_FILE = 10_000
RECORD_BYTES = 1 + 3 * 32 * 32
"""A label, then the red, the green and the blue plane."""


def _cifar10_file(name: str, sha256: str) -> DataFile:
    return DataFile(name, RECORDS_PER_FILE * RECORD_BYTES, sha256)


CIFAR10 = DataSet(
    name="cifar10",
    title="CIFAR-10 (Krizhevsky 2009)",
    folder="cifar-10-batches-bin",
    files=(
        _cifar10_file(
            "data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"
        ),
        _cifar10_file(
            "data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"
        ),
        _cifar10_file(
            "data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"
        ),
        _cifar10_file(
            "data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"
        ),
        _cifar10_file(
            "data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"
        ),
        _cifar10_file(
            "test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"
        ),
    ),
    downloads=(
        Download(
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        ),
    ),
    citation=(
        "Krizhevsky, Learning Multiple Layers of Features from Tiny Images (University of Toronto, "
        "2009)"
    ),
    licence="none stated; its author asks for the citation",
)

DATA_SETS: dict[str, DataSet] = {data.name: data for data in (MNIST, CIFAR10)}
"""All data sets by name."""
