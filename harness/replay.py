"""What a step keeps and repeats if a device records and replays it: objects that stay alive, and calls of the host.

A replay runs no Python. It reads and writes the addresses of the recording; see :mod:`harness.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

Value = TypeVar("Value")


class Notes:
    """What the calls of a step have noted."""

    def __init__(self) -> None:
        self.held: dict[int, Any] = {}
        """Objects whose memory a recording may use, by their identity."""
        self.calls: list[Callable[[], None]] = []
        """Calls that precede each replay, in order."""

    @contextmanager
    def taken(self, calls: bool) -> Iterator[None]:
        """Note what the body holds, and, if ``calls``, its calls of :func:`each_time`."""
        global _notes, _calls
        before = _notes, _calls
        _notes, _calls = self, calls
        try:
            yield
        finally:
            _notes, _calls = before


_notes: Notes | None = None
_calls = False


def hold(value: Value) -> Value:
    """Return ``value``, which stays alive as long as the step that runs now.

    For what a step reads and nothing else keeps, such as tensors in a cache that forgets. A random generator that a step draws
    from must be held too, so that its recording knows the generator.
    """
    if _notes is not None:
        _notes.held[id(value)] = value
    return value


def each_time(function: Callable[..., None]) -> Callable[..., None]:
    """Return ``function`` such that the calls that a recorded step makes of it are made again before each replay."""

    def call(*args: Any, **named: Any) -> None:
        function(*args, **named)
        if _calls and _notes is not None:
            _notes.calls.append(partial(function, *args, **named))

    return call
