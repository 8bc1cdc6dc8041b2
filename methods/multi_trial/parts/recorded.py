"""The rule for tables with gaps: an architecture without a record is not in the searchable set.

It costs nothing, and the method goes on as if it had not been proposed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.problem import MissingRecord
from harness.space import Arch

T = TypeVar("T")

ATTEMPTS = 10_000
"""A method that draws this many architectures in a row without a record will not find one."""


def first_recorded(draw: Callable[[], Arch], measure: Callable[[Arch], T]) -> tuple[Arch, T]:
    """Return the first drawn architecture that has a record, and its measurement.

    Its distribution is that of the draw, conditional on a record.

    Args:
        draw: proposes an architecture.
        measure: ``view.query`` in most methods; raises :class:`MissingRecord` if there is no record.

    Raises:
        MissingRecord: :data:`ATTEMPTS` architectures in a row have no record.
    """
    misses = 0
    while True:
        arch = draw()
        try:
            return arch, measure(arch)
        except MissingRecord as error:
            misses += 1
            if misses == ATTEMPTS:
                raise MissingRecord(
                    f"{misses:,} architectures in a row have no record ({error}); search a table that covers more of the space"
                ) from None
