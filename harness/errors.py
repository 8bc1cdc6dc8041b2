"""The error that every part of the harness may raise for a wrong call."""

from __future__ import annotations


class UserError(Exception):
    """A wrong call, or data that cannot be used. The text is one line: the value, and the remedy.

    The command line prints it without a traceback and exits with code 2.
    """
