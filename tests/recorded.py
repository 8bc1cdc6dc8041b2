"""A search's view that a test can read afterwards."""

from __future__ import annotations

from typing import Any

from harness.books import Books
from harness.budget import Ledger
from harness.outcome import Trace
from harness.problem import Oracle
from harness.space import SearchSpace
from harness.view import SearchView


class RecordedView(SearchView):
    """A view that gives access to the ledger, the trace and the books of its search."""

    __slots__ = ("books", "ledger", "trace")

    def __init__(self, space: SearchSpace, ledger: Ledger, oracle: Oracle | None, seed: int, *args: Any, **kwargs: Any) -> None:
        self.ledger, self.trace, self.books = ledger, Trace(), Books(oracle)
        super().__init__(space, ledger, oracle, seed, *args, trace=self.trace, books=self.books, **kwargs)
