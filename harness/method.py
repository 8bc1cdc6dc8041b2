"""The contract of a search method."""

from __future__ import annotations

from typing import ClassVar, Protocol

from harness.space import Arch
from harness.view import SearchView


class Method(Protocol):
    """A frozen dataclass of hyperparameters with one function. The file's name is the method's name.

    Optional class attributes: ``proposes`` (``"best_valid"``, the default, or ``"self"``), ``settings`` (``{space name:
    {field: value}}``, the papers' values away from the home space), ``variants`` (``{name: {field: value}}``, what the
    papers report as separate rows; the one of no name is the method's own row), ``reference`` (the paper),
    ``skip(problem) -> str | None`` (why it cannot run), and ``pure`` (True: a search leaves nothing behind in its process, so
    that several short ones may share one; the contract is tested, and without it every search has its own process).
    """

    reference: ClassVar[str]

    def search(self, view: SearchView) -> Arch | None:
        """Searches until the budget ends it or it returns; an architecture it returns is proposed."""
        ...
