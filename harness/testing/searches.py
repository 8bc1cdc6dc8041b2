"""A search of a method on a small problem without data, in a separate process, and its outcome."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from harness import registry
from harness.budget import BudgetExhausted, Ledger
from harness.errors import UserError
from harness.outcome import Trace
from harness.space import Arch
from harness.testing.toy import ToyProblem, ToySharingProblem
from harness.view import SearchView

_HASH_SEEDS = itertools.count(1)

LIMIT_S = 60.0
"""Real seconds after which a search is stopped."""


@dataclass(frozen=True)
class Search:
    """A search to run: plain values, so that it can be sent to any process."""

    method: str
    settings: Mapping[str, Any]
    trains: bool = False
    """True if the method trains shared weights."""
    seed: int = 0
    currency: str | None = None
    limit: float = float("inf")
    twice: bool = False
    """True: run the search once before, to do all imports."""


@dataclass
class Outcome:
    """The result of a search, and the changes that it made to its process."""

    error: str = ""
    """Why the search failed; empty if it did not."""
    lost: bool = False
    """True if the search did not return, or ended its process."""
    trace: str = ""
    proposals: list[Arch] = field(default_factory=list)
    spent: float = 0.0
    """Total charge in the limited currency."""
    paid: int = 0
    """Number of charges that were booked."""
    refused: int = 0
    """Number of charges that were refused."""
    touched: str = ""
    """State of the process that the search changed."""


Run = Callable[[Search], Outcome]


def in_this_process(search: Search) -> Outcome:
    """Return the outcome of a search in this process."""
    before = _settings(search.trains)
    if search.twice:
        _attempt(search)
    before |= _generators(search.trains)
    outcome = _attempt(search)
    after = _settings(search.trains) | _generators(search.trains)
    outcome.touched = ", ".join(name for name, value in after.items() if before[name] != value)
    return outcome


def _attempt(search: Search) -> Outcome:
    outcome = Outcome()
    try:
        _search(search, outcome)
    except BudgetExhausted:
        pass
    except UserError as error:
        outcome.error = str(error)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        outcome.error = f"{registry.in_a_line(error)} (line {last.lineno} of {last.filename})"
    return outcome


def _search(search: Search, outcome: Outcome) -> None:
    info = registry.method(search.method)
    method = registry.build(info, search.settings)
    ledger = _CountingLedger(outcome, search.currency, search.limit)
    trace = Trace()
    problem = ToySharingProblem() if search.trains else ToyProblem()
    view = SearchView(
        problem.space,
        ledger,
        problem.oracle(7),
        search.seed,
        info.proposes,
        task=partial(problem.training, 7, "cpu") if problem.training else _undeclared,
        trace=trace,
    )
    try:
        returned = method.search(view)
        if returned is not None:
            view.propose(returned)
    finally:
        outcome.trace, outcome.proposals = repr(trace), [proposal.arch for proposal in trace.proposals]
        outcome.spent = ledger.spent(search.currency or "seconds")


class _CountingLedger(Ledger):
    """A ledger that counts its charges and refusals."""

    __slots__ = ("_outcome",)

    def __init__(self, outcome: Outcome, currency: str | None, limit: float) -> None:
        super().__init__(currency, limit)
        self._outcome = outcome

    def charge(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().charge(*args, **kwargs)
        except BudgetExhausted:
            self._outcome.refused += 1
            raise
        self._outcome.paid += 1


def _undeclared(_: object) -> Any:
    raise UserError('it trains through view.task without kind = "one-shot": add kind = "one-shot" to its class')


def _generators(trains: bool) -> dict[str, object]:
    """Return the states of the global generators."""
    import numpy as np

    states: dict[str, object] = {
        "the global generator of random": random.getstate(),
        "the global generator of numpy": str(np.random.get_state(legacy=False)),
    }
    if trains:
        import torch

        states["the global generator of torch"] = torch.get_rng_state().tolist()
    return states


def _settings(trains: bool) -> dict[str, object]:
    """Return the other state of a process that a search must not change."""
    settings: dict[str, object] = {"the working directory": os.getcwd(), "the environment": dict(os.environ)}
    if trains:
        import torch

        settings["torch's default dtype"] = torch.get_default_dtype()
        settings["whether torch computes gradients"] = torch.is_grad_enabled()
    else:
        settings["sys.modules: it imported torch, which no tabular method needs"] = "torch" in sys.modules
    return settings


def forked(search: Search) -> Outcome:
    """Return the outcome of a search in a copy of this process, which no earlier search has touched."""
    return _elsewhere(search, "fork")


def spawned(search: Search) -> Outcome:
    """Return the outcome of a search in a new interpreter, whose hashes of text differ from every earlier one's."""
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = str(next(_HASH_SEEDS))  # tox sets one seed for all processes
    try:
        return _elsewhere(search, "spawn")
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before


def _elsewhere(search: Search, how: str) -> Outcome:
    context: Any = multiprocessing.get_context(how)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(search, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(LIMIT_S):
            busy = f"it was still busy after {LIMIT_S:g} s: it catches BudgetExhausted, or never spends anything"
            return Outcome(error=busy, lost=True)
        outcome: Outcome = ours.recv()
        return outcome
    except EOFError:
        process.join()
        return Outcome(error=f"it ended the process (exit code {process.exitcode})", lost=True)
    finally:
        process.kill()
        process.join()


def _send(search: Search, pipe: Connection[Any, Any]) -> None:
    _scramble(search.trains)
    pipe.send(in_this_process(search))


def _scramble(trains: bool) -> None:
    """Seed the global generators at random, so that a search that draws from them gives another result each time."""
    import numpy as np

    random.seed()
    np.random.seed()
    if trains:
        import torch

        torch.seed()
