"""Errors of gradprobe: each message names what was expected, what was got, and what to do."""


class GradprobeError(Exception):
    """Base of every error that gradprobe raises on purpose.

    The command line turns it into one line on standard error and exit code 2.

    Examples
    --------
    >>> issubclass(ArgumentError, GradprobeError)
    True
    """


class ArgumentError(GradprobeError, ValueError):
    """An argument has a wrong value, type, shape or dtype.

    Examples
    --------
    >>> raise ArgumentError("hidden_size must be a positive integer, got -3")
    Traceback (most recent call last):
    ...
    gradprobe.errors.ArgumentError: hidden_size must be a positive integer, got -3
    """


class UnknownNameError(GradprobeError, LookupError):
    """A name stands in no registry; the message lists the valid ones.

    Examples
    --------
    >>> issubclass(UnknownNameError, LookupError)
    True
    """


class UnsupportedModelError(GradprobeError, TypeError):
    """A model cannot be probed; the message says why.

    Examples
    --------
    >>> issubclass(UnsupportedModelError, TypeError)
    True
    """


class NonFiniteError(GradprobeError, ArithmeticError):
    """A computation met NaN or an infinity; the message says where.

    Examples
    --------
    >>> issubclass(NonFiniteError, ArithmeticError)
    True
    """


class StudyFileError(GradprobeError):
    """A study file cannot be read, or breaks its schema.

    Examples
    --------
    >>> issubclass(StudyFileError, GradprobeError)
    True
    """


class StoreError(GradprobeError):
    """A folder of results cannot be opened, written or understood.

    Examples
    --------
    >>> issubclass(StoreError, GradprobeError)
    True
    """


class NoResultsError(StoreError):
    """A run into a folder was ended before it could write anything.

    Examples
    --------
    >>> issubclass(NoResultsError, StoreError)
    True
    """


class BusyStoreError(StoreError):
    """Another process is writing the results; the message names it.

    Parameters
    ----------
    reason
        Which one.
    remedy
        What to do, as the rest of the sentence: of no use to who is doing it already.

    Examples
    --------
    >>> str(BusyStoreError("another run is writing here", "wait for it"))
    'another run is writing here; wait for it'
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__("; ".join(filter(None, (reason, remedy))))
        self.reason = reason


class NothingMeasuredError(StoreError):
    """Results hold no finished cell: there is nothing to show.  The command line ends with 3.

    Examples
    --------
    >>> issubclass(NothingMeasuredError, StoreError)
    True
    """


class CellContractError(GradprobeError, AssertionError):
    """A cell breaks its contract; the message lists every check that it fails, and why.

    Examples
    --------
    >>> issubclass(CellContractError, AssertionError)
    True
    """


class MonitorError(GradprobeError):
    """A training loop gives a monitor nothing that it could record; the message says why.

    Examples
    --------
    >>> issubclass(MonitorError, GradprobeError)
    True
    """


class CheckpointError(GradprobeError):
    """A checkpoint cannot be gone on from; the message says why, and what to do.

    Parameters
    ----------
    reason
        Why.
    remedy
        What to do, as the rest of the sentence; kept apart because it depends on who asks.

    Examples
    --------
    >>> str(CheckpointError("the checkpoint is damaged", "remove it"))
    'the checkpoint is damaged; remove it'
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__("; ".join(filter(None, (reason, remedy))))
        self.reason = reason


class DataError(GradprobeError):
    """A data file is missing, damaged or not the published one; the message says how to get it.

    Examples
    --------
    >>> issubclass(DataError, GradprobeError)
    True
    """


class BaselineError(GradprobeError):
    """A baseline, or a file that a check writes, cannot be read or written; the message says why.

    Examples
    --------
    >>> issubclass(BaselineError, GradprobeError)
    True
    """


class NotComparableError(GradprobeError):
    """A comparison cannot be made; that is not a pass.  The command line ends with exit code 3.

    Examples
    --------
    >>> issubclass(NotComparableError, GradprobeError)
    True
    """
