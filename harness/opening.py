"""Open a benchmark under a protocol, and check the attributes that the harness reads. A mistake is one line."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any, Final

from harness import registry
from harness.errors import UserError
from harness.problem import Benchmark, Facts, Judge, Problem
from harness.space import SearchSpace
from harness.training import TrainingSide


def open_benchmark(name: str, search: Mapping[str, Any], judge: Mapping[str, Any]) -> Problem:
    """Return the benchmark of that name, opened and checked; see :func:`opened`."""
    return opened(registry.benchmark(name), search, judge)


def opened(benchmark: Benchmark, search: Mapping[str, Any], judge: Mapping[str, Any]) -> Problem:
    """Return a benchmark opened for a protocol's ``search`` and ``judge`` tables.

    Raises:
        UserError: it cannot be opened, or lacks something that the harness reads.
    """
    name = benchmark.id
    try:
        problem = benchmark.open(search, judge)
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{name} needs {error} in the search or the judge table of its protocol") from error
    except Exception as error:
        raise UserError(f"{name} cannot be opened: {registry.in_a_line(error)}") from error
    for fault in _faults(problem):
        raise UserError(f"{name}: {fault} (see Problem in harness/problem.py)")
    return problem


_PARTS: Final[Mapping[str, type]] = {
    "space": SearchSpace,
    "judge": Judge,
    "fidelities": tuple,
    "checksum": str,
    "record": str,
    "facts": Facts,
    "facts.source": str,
    "facts.search": str,
    "facts.judge": Mapping,
    "facts.clock": str,
    "judge.optimum": Mapping,
    "judge.set_size": Mapping,
    "judge.stated_set": str,
}
"""Attributes that the harness reads of every problem, and their types."""


def _faults(problem: Problem) -> Iterator[str]:
    """Yield the faults of an opened benchmark, one clause each. The first fault may cause the next ones."""
    if not isinstance(problem, Problem):
        yield f"its open() must return a harness.problem.Problem, not {problem!r:.80}"
    for path, kind in _PARTS.items():
        try:
            value = operator.attrgetter(path)(problem)
        except AttributeError:
            yield f"its problem has no {path}, a {kind.__name__}"
            continue
        if not isinstance(value, kind):
            yield f"its problem's {path} must be a {kind.__name__}, not {value!r:.80}"
    if not isinstance(problem.training, TrainingSide | None):
        yield f"its problem's training must be a TrainingSide or None, not {problem.training!r:.80}"
    if not problem.checksum:
        yield "its problem's checksum is empty; it identifies the data in every run's identity"
    for target in problem.judge.optimum:
        if target not in problem.facts.judge:
            yield f"its problem's facts.judge says nothing of the judge's target {target!r}"
        if target not in problem.judge.set_size:
            yield f"its judge's set_size has no target {target!r}"
