"""The contract of a method as checks that anyone can run on their own file: ``python -m harness.run --check ./mine.py``.

The checks use a small made problem, so they need no data.
"""

from __future__ import annotations

import dataclasses
import inspect
import random
import sys
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import numpy as np

from harness import registry
from harness.budget import Budget, BudgetExhausted
from harness.problem import Arch, Facts, InvalidArchitecture, MissingRecord, SearchSpace, SearchView
from harness.registry import MethodInfo
from harness.seeds import derive, mix


class ToySpace(SearchSpace):
    """96 architectures: four positions with 4, 3, 2 and 4 choices, spelled ``3-0-1-2``."""

    name = "toy"
    cardinalities = (4, 3, 2, 4)

    def to_str(self, arch: Arch) -> str:
        return "-".join(map(str, arch))

    def from_str(self, text: str) -> Arch:
        parts = text.split("-")
        arch = tuple(int(part) for part in parts if part.isascii() and part.isdigit())
        if arch not in self or len(parts) != len(arch):
            raise InvalidArchitecture(f"{text!r} is not four numbers such as 3-0-1-2")
        return arch


class ToyOracle:
    """Three recorded trainings per architecture and epoch, around a value that grows with every position's choice."""

    fidelities = tuple(range(1, 13))

    def __init__(self, world: int) -> None:
        self._world = world
        self.measured = 0

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        self.measured += 1
        if arch not in ToySpace():
            raise InvalidArchitecture(f"{arch!r} is not an architecture of toy")
        epochs = 12 if fidelity is None else fidelity
        if epochs not in self.fidelities:
            raise MissingRecord(f"no record after epoch {epochs}")
        trial = mix(self._world ^ hash((arch, epochs, asked))) % 3
        noise = (mix(hash((arch, epochs, trial))) % 1000) / 1000 - 0.5
        return 60.0 + 3.0 * sum(arch) + 0.5 * epochs + noise, 10.0 * epochs, float(epochs), 1e6 * epochs


class ToyProblem:
    """The search side only; what :meth:`Method.skip` may look at."""

    space = ToySpace()
    fidelities = ToyOracle.fidelities
    checksum = "toy"
    record = "drawn"
    facts = Facts("a made table", "a made validation accuracy", {})

    def oracle(self, world: int) -> ToyOracle:
        return ToyOracle(world)


def check(info: MethodInfo) -> Iterator[tuple[str, str]]:
    """(claim, problem) for each claim of the contract and each row; the problem is empty where the claim holds."""
    for claim in (_is_described, _is_frozen):
        yield _said(claim), _problem(claim, info)
    for row in info.rows:
        values = registry.settings(info, row, ToySpace.name, {}, {})
        method = registry.build(info, values)
        if getattr(method, "skip", lambda _: None)(ToyProblem()):
            continue
        for rule in (_respects_budget, _is_deterministic, _proposes_what_it_may, _leaves_globals_alone, _ends_when_told):
            yield f"{row}: {_said(rule)}", _problem(rule, method)


class Broken(Exception):
    """A claim of the contract does not hold; the text says how."""


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise Broken(problem)


def _said(claim: Callable[..., Any]) -> str:
    return (inspect.getdoc(claim) or "").rstrip(".")


def _problem(claim: Callable[[Any], None], subject: Any) -> str:
    try:
        claim(subject)
    except Broken as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _search(method: Any, seed: int = 0, oracle: ToyOracle | None = None, **budget: Any) -> SearchView:
    limits = {"currency": "queries", "limit": 60, **budget}
    view = SearchView(ToySpace(), Budget(**limits), oracle or ToyOracle(7), seed, getattr(method, "proposes", "best_valid"))
    try:
        returned = method.search(view)
        if returned is not None:
            view.propose(returned)
    except BudgetExhausted:
        pass
    return view


def _is_described(info: MethodInfo) -> None:
    """has a docstring, a reference, and a sentence for every hyperparameter."""
    _require(bool(info.summary), "its class has no docstring")
    _require(bool(info.paper), "it has no `reference`")
    hints = typing.get_type_hints(info.cls, include_extras=True)
    for field in dataclasses.fields(info.cls):
        described = typing.get_origin(hints[field.name]) is Annotated and isinstance(hints[field.name].__metadata__[0], str)
        _require(described, f"hyperparameter {field.name} is not Annotated[type, 'what it is']")


def _is_frozen(info: MethodInfo) -> None:
    """is a frozen dataclass whose defaults are a valid method."""
    params = getattr(info.cls, "__dataclass_params__", None)
    _require(params is not None and params.frozen, "its class is not @dataclass(frozen=True)")
    info.cls()


def _respects_budget(method: Any) -> None:
    """never spends more than it may."""
    view = _search(method, currency="seconds", limit=1000.0)
    _require(view.budget.seconds <= 1000.0, f"it spent {view.budget.seconds} of 1000 seconds")
    _require(view.budget.queries > 0, "it asked nothing")


def _is_deterministic(method: Any) -> None:
    """does the same with the same seeds, and something else with another."""
    first, again, other = (_search(method, seed)._trace for seed in (0, 0, 1))
    _require(first == again, "two searches with the same seeds differ: some generator is not seeded from view.rng or view.seed")
    _require(first != other or len(first.seconds) <= 1, "another seed makes no difference")


def _proposes_what_it_may(method: Any) -> None:
    """proposes architectures of the space, and the best it saw if the harness proposes for it."""
    trace = _search(method)._trace
    _require(bool(trace.proposals), "it ended without proposing")
    for proposal in trace.proposals:
        _require(proposal.arch in ToySpace(), f"it proposed {proposal.arch!r}")


def _leaves_globals_alone(method: Any) -> None:
    """leaves the global generators of random and numpy as they were."""
    before = random.getstate(), str(np.random.get_state(legacy=False))
    torch_before = "torch" in sys.modules
    _search(method)
    _require(before == (random.getstate(), str(np.random.get_state(legacy=False))), "it drew from a global generator")
    _require(("torch" in sys.modules) == torch_before, "it imported torch, which nothing that asks a table needs")


def _ends_when_told(method: Any) -> None:
    """lets BudgetExhausted through, whatever the budget."""
    for limit in (1, 2, 5, 30):
        oracle = ToyOracle(7)
        view = _search(method, seed=derive("limit", limit), oracle=oracle, limit=limit)
        _require(view.budget.queries <= limit, f"it made {view.budget.queries} of {limit} queries")
        refused = oracle.measured - view.budget.queries
        _require(refused <= 1, f"it went on asking {refused - 1} times after BudgetExhausted")
