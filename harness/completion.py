"""What a shell completes: names of methods, benchmarks and protocols, also after a comma."""

from __future__ import annotations

from collections.abc import Iterable

from harness import protocols, registry


def methods(incomplete: str) -> list[str]:
    """Return the methods that begin so; after a colon the rows of a method."""
    rows = [row for info in registry.methods().values() for row in info.rows]
    return _completed(incomplete, rows if ":" in incomplete.rpartition(",")[2] else registry.methods())


def benchmarks(incomplete: str) -> list[str]:
    """Return the search spaces and benchmarks that begin so."""
    spaces = dict.fromkeys(id.partition("/")[0] for id in registry.benchmarks())
    return _completed(incomplete, registry.benchmarks() if "/" in incomplete.rpartition(",")[2] else spaces)


def protocol(incomplete: str) -> list[str]:
    """Return the protocols that begin so."""
    return _completed(incomplete, protocols.protocols())


def _completed(incomplete: str, known: Iterable[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in known if name.startswith(last)]
