"""The rule for tables with gaps: an architecture without a record is not in the searchable set.

It costs nothing, and the method goes on as if it had not been proposed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.problem import Arch, MissingRecord, Observation, SearchView

T = TypeVar("T")

ATTEMPTS = 10_000
"""A method that draws this many architectures in a row without a record will not find one."""


def query_recorded(view: SearchView, draw: Callable[[], Arch], fidelity: int | None = None) -> tuple[Arch, Observation]:
    """Draw until the table has a record of the architecture, and query that; see :func:`first_recorded`."""
    return first_recorded(draw, lambda arch: view.query(arch, fidelity))


def first_recorded(draw: Callable[[], Arch], measure: Callable[[Arch], T]) -> tuple[Arch, T]:
    """Return the first drawn architecture that can be measured, and its measurement.

    The result has the draw's distribution given that there is a record.

    Raises:
        MissingRecord: :data:`ATTEMPTS` architectures in a row have no record.
    """
    for _ in range(ATTEMPTS):
        arch = draw()
        try:
            return arch, measure(arch)
        except MissingRecord as error:
            last = error
    raise MissingRecord(
        f"{ATTEMPTS:,} architectures in a row have no record ({last}); search a table that covers more of the space"
    ) from None
