"""The contract of a method: its claims, checked on small problems that need no data."""

from __future__ import annotations

import dataclasses
import importlib
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from harness import registry, source
from harness.errors import UserError
from harness.method import MethodInfo, skip_reason
from harness.seeds import derive
from harness.testing.claims import Claim, Lost, problem_of, require, sentence_of
from harness.testing.searches import Outcome, Run, Search, forked
from harness.testing.toy import ToyProblem, ToySharingProblem

SHORT = 2
"""Epochs of a checked search, if the weight-sharing method has such a hyperparameter and accepts the value."""


def check(info: MethodInfo, first: Run = forked, again: Run = forked) -> Iterator[Claim]:
    """Yield each claim of the contract for each row, and how the method breaks it.

    Args:
        first: a function that runs a search.
        again: a function that runs the search once more, to compare.
    """
    for claim in (_is_described, _is_frozen):
        yield Claim(sentence_of(claim), problem_of(claim, info))
    if info.kind == "one-shot":
        for name in ["harness.testing.toy_sharing", *source.executed(info.file)]:
            if name.startswith(("harness.", "methods.")):  # once for all searches: PyTorch and scikit-learn take seconds
                importlib.import_module(name)
    for row in info.rows:
        try:
            search, reason = _row(info, row)
        except UserError as error:
            yield Claim(f"{row}: runs with its default settings", str(error))
            continue
        if reason:
            yield Claim(f"{row}: its searches: it {reason}", checked=False)
            continue
        for rule in (
            _respects_budget,
            _is_deterministic,
            _proposes_what_it_may,
            _leaves_its_process_alone,
            _ends_when_spent,
        ):
            try:
                problem = problem_of(rule, _Searches(search, first, again))
            except Lost as lost:
                yield Claim(f"{row}: {sentence_of(rule)}", str(lost))
                return
            yield Claim(f"{row}: {sentence_of(rule)}", problem)


class _Searches(NamedTuple):
    """Searches of one row, by which claims are checked."""

    search: Search
    first: Run
    again: Run

    def __call__(self, *, once_more: bool = False, **changes: Any) -> Outcome:
        """Run a search and return its outcome.

        Raises:
            Lost: the search did not return.
            Broken: the search failed.
        """
        outcome = (self.again if once_more else self.first)(dataclasses.replace(self.search, **changes))
        if outcome.lost:
            raise Lost(outcome.error)
        require(not outcome.error, outcome.error)
        return outcome

    @property
    def limited(self) -> dict[str, Any]:
        """Return a budget that is soon spent."""
        return {"currency": "epochs", "limit": 2.5} if self.search.trains else {"currency": "seconds", "limit": 1000.0}

    @property
    def complete(self) -> dict[str, Any]:
        """Return the budget of a complete search: a method that trains ends without a limit."""
        return {} if self.search.trains else {"currency": "queries", "limit": 60.0}


def _row(info: MethodInfo, row: str) -> tuple[Search, str]:
    """Return the search of a row, and the reason if it cannot be checked; else an empty text."""
    trains = info.kind == "one-shot"
    problem = ToySharingProblem() if trains else ToyProblem()
    settings = registry.settings(info, row, problem.space.name, {}, {})
    if trains:
        settings = _shortened(info, settings)
    method = registry.build(info, settings)
    if info.kind in ("one-shot", "multi-trial"):
        reason = skip_reason(method, problem)
    else:
        reason = f"is a {info.kind} method, for which there is no toy"
    return Search(info.reference, settings, trains), reason or ""


def _shortened(info: MethodInfo, settings: Mapping[str, Any]) -> dict[str, Any]:
    shorter = {name: min(value, SHORT) if name == "epochs" else value for name, value in settings.items()}
    try:
        registry.build(info, shorter)
    except UserError:
        return dict(settings)
    return shorter


def _is_described(info: MethodInfo) -> None:
    """has a docstring, a reference, and a sentence for every hyperparameter."""
    require(bool(info.summary), "its class has no docstring")
    require(bool(info.paper), "it has no `reference`")
    hints = typing.get_type_hints(info.cls, include_extras=True)
    for field in dataclasses.fields(info.cls):
        described = typing.get_origin(hints[field.name]) is Annotated and isinstance(hints[field.name].__metadata__[0], str)
        require(described, f"hyperparameter {field.name} is not Annotated[type, 'what it is']")


def _is_frozen(info: MethodInfo) -> None:
    """is a frozen dataclass whose defaults are a valid method."""
    params = getattr(info.cls, "__dataclass_params__", None)
    require(params is not None and params.frozen, "its class is not @dataclass(frozen=True)")
    registry.settings(info, info.name, "", {}, {})


def _respects_budget(run: _Searches) -> None:
    """never spends more than it may."""
    outcome = run(**run.limited)
    limit, currency = run.limited["limit"], run.limited["currency"]
    require(outcome.spent <= limit, f"it spent {outcome.spent:g} of {limit:g} {currency}")
    require(outcome.paid > 0, "it trained nothing" if run.search.trains else "it made no query")


def _is_deterministic(run: _Searches) -> None:
    """does the same with the same seeds in another process, and something else with another seed."""
    first, again, reseeded = run(**run.complete), run(once_more=True, **run.complete), run(seed=1, **run.complete)
    require(
        first.trace == again.trace,
        "two searches with the same seeds differ: it draws from a global generator, a generator is not seeded from view.seed, "
        "or an order depends on the process (a set of text, for example)",
    )
    if not run.search.trains:  # a method that trains may leave all random draws to the world
        require(first.trace != reseeded.trace or first.paid <= 1, "another seed makes no difference")


def _proposes_what_it_may(run: _Searches) -> None:
    """proposes architectures of the space, and the best it saw if the harness proposes for it."""
    outcome = run(**run.complete)
    space = (ToySharingProblem if run.search.trains else ToyProblem).space
    require(bool(outcome.proposals), "it ended without proposing")
    for arch in outcome.proposals:
        require(arch in space, f"it proposed {arch!r}")


def _leaves_its_process_alone(run: _Searches) -> None:
    """leaves global generators and settings of the process as they were."""
    outcome = run(twice=True, **run.complete)
    require(not outcome.touched, f"it changed {outcome.touched}")


def _ends_when_spent(run: _Searches) -> None:
    """does not catch BudgetExhausted, under any budget."""
    currency = "epochs" if run.search.trains else "queries"
    for limit in (0.5, 1, 3) if run.search.trains else (1, 2, 5, 30):
        outcome = run(seed=derive("limit", limit if isinstance(limit, int) else "half"), currency=currency, limit=float(limit))
        require(outcome.spent <= limit, f"it spent {outcome.spent:g} of {limit:g} {currency}")
        require(outcome.refused <= 1, f"it continued with {outcome.refused - 1} charges after BudgetExhausted")
