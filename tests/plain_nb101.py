"""NAS-Bench-101's graph hash, written as its definition. The hash of the project must be equal."""

from __future__ import annotations

from hashlib import md5

from benchmarks.nb1shot1.cell import Cell


def plain_fingerprint(cell: Cell) -> str:
    size = len(cell.matrix)
    sources = [[source for source in range(size) if cell.matrix[source][vertex]] for vertex in range(size)]
    targets = [[target for target in range(size) if cell.matrix[vertex][target]] for vertex in range(size)]
    labels = [-1, *cell.ops, -2]
    digests = [_digest(str((len(targets[vertex]), len(sources[vertex]), labels[vertex]))) for vertex in range(size)]
    for _ in range(size):
        digests = [
            _digest(
                "".join(sorted(digests[source] for source in sources[vertex]))
                + "|"
                + "".join(sorted(digests[target] for target in targets[vertex]))
                + "|"
                + digests[vertex]
            )
            for vertex in range(size)
        ]
    return _digest(str(sorted(digests)))


def _digest(text: str) -> str:
    return md5(text.encode()).hexdigest()
