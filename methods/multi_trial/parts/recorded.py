"""Asking a table that covers its space in part."""

from __future__ import annotations

from collections.abc import Callable

from harness.problem import Arch, MissingRecord, Observation, SearchView

ATTEMPTS = 10_000
"""A distribution that still finds nothing recorded will not."""


def query_recorded(view: SearchView, draw: Callable[[], Arch], fidelity: int | None = None) -> tuple[Arch, Observation]:
    """Draws until what was drawn is in the table, and queries that: the draw's distribution given that there is a record.

    What is not in the table costs nothing. Raises :class:`MissingRecord` after :data:`ATTEMPTS` of them in a row.
    """
    for _ in range(ATTEMPTS - 1):
        arch = draw()
        try:
            return arch, view.query(arch, fidelity)
        except MissingRecord:
            continue
    arch = draw()
    return arch, view.query(arch, fidelity)
