"""The protocols by name, and the protocol of a command. :mod:`harness.protocol_files` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from harness import protocol_files, registry
from harness.errors import UserError
from harness.protocol import BudgetRule, Part, Protocol
from harness.registry import suggest

DEFAULT = "digits"
COMMON_QUERIES = 100


@cache
def protocols() -> dict[str, Protocol]:
    """Return all protocols of the project and of installed packages, by name."""
    return {name: rules for name, (rules, _) in protocol_files.everywhere().items()}


def protocol(name: str) -> Protocol:
    """Return the protocol of that name, or in a file: ``./mine.toml``, ``./mine.toml:NAME``. Raises :class:`UserError`."""
    known = protocols()
    if ".toml" in name:
        return _in_file(name)
    if name not in known:
        raise UserError(f"no protocol {name!r}{suggest(name, known)}   (there are {', '.join(known)})")
    return known[name]


def _in_file(text: str) -> Protocol:
    path, _, wanted = text.rpartition(".toml")
    file, wanted = Path(f"{path}.toml"), wanted.removeprefix(":")
    registered = protocol_files.everywhere()
    declared = protocol_files.protocols_in(file)
    if not wanted and len(declared) == 1:
        wanted = next(iter(declared))
    if wanted not in declared:
        raise UserError(
            f"{file} has the protocols {', '.join(declared)}; pass --protocol {file}:NAME{suggest(wanted, declared)}"
        )
    if wanted in registered and registered[wanted][1].resolve() != file.resolve():
        raise UserError(f"{file}: a protocol {wanted!r} is already in {registered[wanted][1]}; rename yours")
    return declared[wanted]


def chosen(name: str | None, benchmarks: Sequence[str]) -> Protocol:
    """Return the protocol of a command: the named one; else the default; else common rules if no protocol names the benchmarks.

    Args:
        benchmarks: ids of the benchmarks, or their first part, that the command names.

    Raises:
        UserError: no such protocol, or the benchmarks have several.
    """
    if name:
        return protocol(name)
    offered = {id for part in protocol(DEFAULT).parts for id in part.benchmarks}
    unlisted = [name for name in benchmarks if not any(id == name or id.startswith(f"{name}/") for id in offered)]
    ids = [id for name in unlisted for id in registry.matching(name)]
    if not ids:
        return protocol(DEFAULT)
    under = [rules.name for rules in protocols().values() if any(id in part.benchmarks for part in rules.parts for id in ids)]
    if under:
        raise UserError(f"{', '.join(unlisted)}: pass --protocol with one of {', '.join(under)}")
    if len(unlisted) < len(benchmarks):
        raise UserError(
            f"no protocol names {', '.join(unlisted)}: name it alone, for common rules, or pass --protocol FILE.toml"
        )
    return common(ids)


def common(benchmarks: Sequence[str]) -> Protocol:
    """Return rules for benchmarks that no protocol names: a common number of queries; own schedules for methods that train."""
    kinds = dict.fromkeys(kind for id in benchmarks for kind in registry.benchmark(id).kinds)
    parts = [
        Part(
            kind,
            tuple(id for id in benchmarks if kind in registry.benchmark(id).kinds),
            BudgetRule("queries", COMMON_QUERIES) if kind == "multi-trial" else BudgetRule(),
            wall_limit_s=None if kind == "multi-trial" else 86_400,
            seeds=None if kind == "multi-trial" else 3,
        )
        for kind in kinds
    ]
    title = f"Common rules: {COMMON_QUERIES} queries for each search that looks up, own schedules for what trains"
    return Protocol("common", title, seeds=10, wall_limit_s=600, judge={}, parts=tuple(parts), comparable=False)
