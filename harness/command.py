"""How a command ends: an error of its user or of the system is one line and an exit code, never a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import IO, NoReturn, Protocol, TextIO, runtime_checkable

import typer

from harness.errors import UserError

EXIT_CODES = (
    "0 all runs done, 1 some failed, 2 the call, the data or the disk were wrong, 3 a fault of the harness, 130 interrupted"
)
INTERRUPTED = 130
DEBUG = "NAS_DEBUG"
"""With this environment variable set, a fault of the harness also prints its traceback."""


@runtime_checkable
class WrongCall(Protocol):
    """Typer's error for a wrong call. Its class is Click's or Typer's copy of it, by the version of Typer."""

    def format_message(self) -> str:
        """Return what is wrong with the call."""
        ...


def run(app: Callable[..., object], interrupted: str = "interrupted") -> None:
    """Run a command line. After an error, end the process with one line and an exit code.

    Exit code 2: the call, the data or the disk were wrong; 3: the harness has a fault, its traceback is in a file; 130:
    interrupted; 141: the reader of the output is gone.

    Args:
        app: a Typer application, or a function without arguments.
        interrupted: the line for Ctrl-C.
    """
    prepare_streams()
    code: object = 0
    try:
        try:
            code = app(standalone_mode=False) if isinstance(app, typer.Typer) else app()
        finally:
            sys.stdout.flush()  # a missing reader raises now, and not when the interpreter ends
    except UserError as error:
        _end(f"error: {error}", 2)
    except KeyboardInterrupt:
        _end(interrupted, INTERRUPTED)
    except BrokenPipeError:
        _silence()
        sys.exit(141)
    except OSError as error:
        from harness.cache import explain  # imports NumPy, which --help need not wait for

        _end(f"error: {explain(error, 'read or write')}", 2)
    except SystemExit:
        raise
    except BaseException as error:
        if isinstance(error, WrongCall):
            if error.format_message().startswith("Usage:"):  # a call without arguments: the message is the help
                _end(error.format_message(), 2)
            _end(f"error: {' '.join(error.format_message().split())}   (--help explains)", 2)
        _end(fault(error), 3)
    if code == INTERRUPTED:  # Typer turns Ctrl-C into this code
        _end(interrupted, INTERRUPTED)
    if isinstance(code, int) and code:
        sys.exit(code)


def fault(error: BaseException) -> str:
    """Return the line for an unexpected error. Write its traceback to a file."""
    text = "".join(traceback.format_exception(error))
    if os.environ.get(DEBUG):
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr)
    reason = traceback.format_exception_only(error)[-1].strip().splitlines()[0][:300]
    line = f"error: this is a fault of the harness: {reason}"
    try:
        handle, name = tempfile.mkstemp(prefix="nas-harness-fault-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{' '.join(sys.argv)}\n\n{text}")
    except OSError:
        return f"{line}; set {DEBUG}=1 to see where"
    return f"{line}; please report it with {name}"


def prepare_streams() -> None:
    """Make output safe: write characters that a stream cannot encode as escapes, and discard output to a closed stream."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _nowhere(number, mode))
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere(number: int, mode: str) -> IO[str]:
    """Open the null device. It takes ``number`` if that is free, so that no other file gets this number."""
    try:
        os.fstat(number)
    except OSError:
        handle = os.open(os.devnull, os.O_RDWR)
        if handle != number:
            os.dup2(handle, number)
            os.close(handle)
        os.set_inheritable(number, True)
        return os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace")
    return open(os.devnull, mode, encoding="utf-8", errors="backslashreplace")


def _silence() -> None:
    """Send the rest of the output nowhere: the interpreter flushes it when it ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(message: str, code: int) -> NoReturn:
    with contextlib.suppress(OSError):
        print(message, file=sys.stderr)
    sys.exit(code)
