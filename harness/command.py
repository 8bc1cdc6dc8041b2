"""How a command ends: an error of its user or of the system is one line and an exit code, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from harness.problem import UserError


def run(app: Callable[[], object], interrupted: str = "interrupted") -> None:
    """Runs a command line. Exit code 2: the call, the data or the disk were wrong; 130: interrupted, and told so."""
    try:
        app()
    except UserError as error:
        _end(f"error: {error}", 2)
    except KeyboardInterrupt:
        _end(interrupted, 130)
    except OSError as error:
        from harness.cache import explain  # imports NumPy, which --help need not wait for

        _end(f"error: {explain(error, 'read or write')}", 2)


def _end(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)
