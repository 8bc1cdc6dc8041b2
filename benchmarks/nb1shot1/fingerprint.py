"""The graph hash that NAS-Bench-101 keeps its records under: isomorphic cells share it.

Weisfeiler-Lehman with MD5: a vertex starts from its degrees and its operation, and takes in its neighbours' digests as often as
there are vertices. Bit for bit the published keys, which are digests of the *text* of Python tuples and lists.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from benchmarks.nb1shot1.cell import OPS, Cell

try:
    # CPython's own: of texts as short as these it digests half as many again a second as OpenSSL's
    from _md5 import md5  # type: ignore[import-not-found]
except ImportError:
    from hashlib import md5

_INPUT, _OUTPUT = -1, -2


def fingerprint(cell: Cell) -> str:
    """The cell's key in NAS-Bench-101: 32 hex digits."""
    run, first, inner, last = _compiled(cell.matrix)
    return run(first, *[digests[op] for digests, op in zip(inner, cell.ops, strict=True)], last)


@lru_cache(maxsize=4096)
def _compiled(matrix: tuple[tuple[int, ...], ...]) -> tuple[Callable[..., str], str, list[list[str]], str]:
    """A function of the vertices' first digests, and these digests: of the input, of every inner operation, of the output.

    Hashing is nearly all string handling. Written out for one matrix, without loops over vertices and with neighbours that
    need no sorting left unsorted, it is twice as fast as the loop, and a search space has few matrices.
    """
    size = len(matrix)
    edges = [(source, target) for source in range(size) for target in range(size) if matrix[source][target]]
    leaving = [[target for source, target in edges if source == vertex] for vertex in range(size)]
    entering = [[source for source, target in edges if target == vertex] for vertex in range(size)]
    names = ", ".join(f"h{vertex}" for vertex in range(size))
    updates = ", ".join(
        f'md5(f"{_sorted(entering[vertex])}|{_sorted(leaving[vertex])}|{{h{vertex}}}".encode()).hexdigest()'
        for vertex in range(size)
    )
    lines = [
        f"def run({names}):",
        f"    for _ in range({size}):",
        f"        {names} = {updates}",
        f"    return md5(str(sorted([{names}])).encode()).hexdigest()",
    ]
    namespace: dict[str, Any] = {"md5": md5, "join": "".join}
    exec("\n".join(lines), namespace)

    def start(vertex: int, label: int) -> str:
        digest: str = md5(str((len(leaving[vertex]), len(entering[vertex]), label)).encode()).hexdigest()
        return digest

    inner = [[start(vertex, op) for op in range(len(OPS))] for vertex in range(1, size - 1)]
    return namespace["run"], start(0, _INPUT), inner, start(size - 1, _OUTPUT)


def _sorted(vertices: list[int]) -> str:
    """The part of an f-string that joins the digests of ``vertices`` in ascending order."""
    if len(vertices) == 2:
        a, b = vertices
        return f"{{h{a} + h{b} if h{a} < h{b} else h{b} + h{a}}}"
    names = ", ".join(f"h{vertex}" for vertex in vertices)
    return f"{{join(sorted([{names}]))}}" if len(vertices) > 2 else "".join(f"{{h{vertex}}}" for vertex in vertices)
