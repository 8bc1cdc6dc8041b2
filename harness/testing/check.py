"""The contracts of methods and benchmarks as checks that anyone can run: ``python -m harness.run --check NAME``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness import registry
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.problem import Benchmark
    from harness.testing.claims import Claim


def claims_of(name: str) -> Iterator[tuple[str, Iterator[Claim]]]:
    """Yield each subject that ``name`` selects, with the claims of its contract.

    Args:
        name: a method, its file, a benchmark's id or the first part of ids, or ``module:function`` that returns benchmarks.

    Raises:
        UserError: there is no method or benchmark of that name.
    """
    from harness.testing import benchmark_claims, method_claims
    from harness.testing.searches import spawned

    if name.endswith(".py") or name in registry.methods():
        info = registry.method(name)
        yield info.name, method_claims.check(info, again=spawned)
        return
    for benchmark in _in_module(name) if ":" in name else map(registry.benchmark, _ids(name)):
        yield benchmark.id, benchmark_claims.check(benchmark)


def _ids(name: str) -> list[str]:
    if "/" in name or any(id.startswith(f"{name}/") for id in registry.benchmarks()):
        return registry.matching(name)
    registry.method(name)
    raise AssertionError  # unreachable: registry.method() raises for a name that is not in registry.methods()


def _in_module(name: str) -> list[Benchmark]:
    module, _, function = name.partition(":")
    try:
        benchmarks: list[Benchmark] = getattr(importlib.import_module(module), function)()
    except (Exception, SystemExit) as error:
        raise UserError(f"{name} gives no benchmarks: {registry.in_a_line(error)}") from error
    return benchmarks
