"""The contracts of methods and benchmarks as checks that anyone can run: ``python -m harness.run --check NAME``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness import registry
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.conformance.claims import Claim
    from harness.problem import Benchmark


def of(name: str) -> Iterator[tuple[str, Iterator[Claim]]]:
    """Yield the name and the claims of everything that ``name`` stands for.

    Args:
        name: a method, its file, a benchmark's id or first part, or ``module:function`` that returns benchmarks.

    Raises:
        UserError: there is nothing of that name.
    """
    from harness.conformance import benchmarks, methods
    from harness.conformance.searches import spawned

    if name.endswith(".py") or name in registry.methods():
        info = registry.method(name)
        yield info.name, methods.check(info, again=spawned)
        return
    for benchmark in _in_module(name) if ":" in name else map(registry.benchmark, _ids(name)):
        yield benchmark.id, benchmarks.check(benchmark)


def _ids(name: str) -> list[str]:
    if "/" in name or any(one.startswith(f"{name}/") for one in registry.benchmarks()):
        return registry.matching(name)
    registry.method(name)
    raise AssertionError  # methods() lacks the name, so that method() refused it


def _in_module(name: str) -> list[Benchmark]:
    module, _, function = name.partition(":")
    try:
        made: list[Benchmark] = getattr(importlib.import_module(module), function)()
    except (Exception, SystemExit) as error:
        raise UserError(f"{name} gives no benchmarks: {registry.in_a_line(error)}") from error
    return made
