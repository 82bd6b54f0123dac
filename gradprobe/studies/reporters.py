"""Which reporter suits the place where a run is shown."""

from __future__ import annotations

from typing import Literal, TextIO

from gradprobe.studies.progress import PlainReporter, Reporter

Detail = Literal["quiet", "usual", "verbose"]


def reporter(stream: TextIO, detail: Detail = "usual", *, events: TextIO | None = None) -> Reporter:
    """Return what suits `stream`: a live display for a terminal, lines for a file or a pipe.

    Parameters
    ----------
    stream
        Usually standard error.
    detail
        ``"quiet"`` shows nothing, ``"verbose"`` more.
    events
        Where to write lines of JSON in place of all that, if they are wanted.

    Examples
    --------
    >>> import io
    >>> type(reporter(io.StringIO())).__name__
    'PlainReporter'
    """
    if events is not None:
        from gradprobe.studies.event_log import EventLog  # noqa: PLC0415 - only where it is wanted

        return EventLog(events)
    if detail == "quiet":
        return Reporter()
    verbose = detail == "verbose"
    if stream.isatty():
        from gradprobe.studies.live_progress import (  # noqa: PLC0415 - only a terminal needs rich
            terminal_reporter,
        )

        return terminal_reporter(stream, verbose=verbose)
    return PlainReporter(stream, verbose=verbose)
