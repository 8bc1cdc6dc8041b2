"""What to cite: the bibliography entries of methods, benchmarks and report folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import protocols, registry
from harness.errors import UserError
from harness.opening import open_benchmark
from reports import bibliography


def bibtex(names: Iterable[str]) -> str:
    """Return BibTeX of what the names rest on, each entry once.

    Args:
        names: methods or their rows, benchmarks or their first part, and folders with a ``report.bib``.

    Raises:
        UserError: an unknown name, or a name that cites nothing.
    """
    texts: dict[str, None] = {}
    for name in names:
        file = Path(name) / "report.bib"
        if file.is_file():
            texts |= dict.fromkeys(bibliography.parsed(file.read_text(encoding="utf-8")).values())
            continue
        keys = _keys(name)
        if not keys:
            raise UserError(f"{name} states no citation")
        texts |= dict.fromkeys(bibliography.entries()[key] for key in keys)
    return "".join(f"{text}\n\n" for text in texts)


def _keys(name: str) -> Sequence[str]:
    """Return the bibliography keys of a method, a row, a benchmark or a search space."""
    known = registry.benchmarks()
    ids = [id for id in known if registry.spelled(name) in (id, id.partition("/")[0])]
    if ids:
        return _of_benchmark(max(ids, key=lambda id: known[id].embedded))  # bundled data can always be opened
    if Path(name).is_dir():
        raise UserError(f"{name} has no report.bib: it is no folder of a page, or its page cites nothing")
    row = name.partition("[")[0]
    method = row.partition(":")[0]
    if method not in registry.methods() and ".py" not in row:
        spaces = dict.fromkeys(id.partition("/")[0] for id in known)
        raise UserError(
            f"no method, benchmark or page {name!r}{registry.suggest(name, [*registry.methods(), *spaces, *known])}"
        )
    return next(iter(registry.select_rows([row]).values())).citations


def _of_benchmark(benchmark: str) -> Sequence[str]:
    """Return the keys of a benchmark's search space. Raises :class:`UserError` if it cannot be opened here."""
    for rules in (*protocols.protocols().values(), protocols.common([benchmark])):
        for part in rules.parts:
            if benchmark in part.benchmarks:
                return open_benchmark(benchmark, part.search, rules.judge).space.citations
    return ()
