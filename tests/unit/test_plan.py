"""How the rows of a plan are selected, resolved and specified."""

from __future__ import annotations

import pytest

from harness import protocols
from harness.errors import UserError
from harness.plan import Opened, Plan, Resolved, Selection, _add, _resolve, _rows
from harness.protocol import Part
from harness.testing.toy import ToyProblem
from methods.multi_trial.regularized_evolution import RegularizedEvolution
from tests.unit.test_opening import MadeJudge

PART = next(part for part in protocols.protocol("smoke").parts if part.kind == "multi-trial")


class Priced(ToyProblem):
    judge = MadeJudge()
    mean_cost = 100.0


@pytest.fixture
def opened() -> Opened:
    return Opened(PART, "nb201/digits", Priced())


@pytest.fixture
def plan() -> Plan:
    return Plan(protocols.protocol("smoke"), [])


def resolve(opened: Opened, row: str, selection: Selection) -> Resolved:
    info = _rows(opened.part, Selection([row]))[row]
    return _resolve(opened, row, info, selection)


def names(part: Part, *methods: str, everything: bool = False) -> list[str]:
    return list(_rows(part, Selection(methods, everything)))


def test_rows_are_those_of_the_part_or_those_that_the_user_names() -> None:
    every = names(PART)
    assert {"random_search", "local_search"} <= set(every)
    local_search = ["local_search", "local_search:full_neighbourhood"]
    assert names(PART, "local_search", "random_search") == [*local_search, "random_search"]
    assert names(PART, "local_search", everything=True) == every
    assert names(PART, "rsps") == [], "a method of another kind"


def test_settings_from_the_command_line_name_the_row(opened: Opened) -> None:
    resolved = resolve(opened, "random_search", Selection())
    assert (resolved.name, resolved.named, resolved.changed_by) == ("random_search", False, frozenset())
    selection = Selection(["regularized_evolution"], settings={"regularized_evolution": {"sample": "3"}})
    resolved = resolve(opened, "regularized_evolution", selection)
    assert resolved.name == "regularized_evolution[sample=3]"
    assert isinstance(resolved.method, RegularizedEvolution)
    assert resolved.settings["sample"] == resolved.method.sample == 3
    assert resolved.named and resolved.changed_by == {"regularized_evolution"}
    with pytest.raises(UserError, match="no setting 'samples'; did you mean 'sample'"):
        resolve(opened, "regularized_evolution", Selection(settings={"regularized_evolution": {"samples": "3"}}))


def test_a_row_is_planned_once_with_a_run_for_each_world(opened: Opened, plan: Plan) -> None:
    for _ in range(2):
        _add(plan, opened, resolve(opened, "random_search", Selection()), range(3))
    (row,) = plan.rows
    assert [run.world for run in row.runs] == [0, 1, 2]
    assert (row.spec.row, row.spec.benchmark, row.spec.record) == ("random_search", "nb201/digits", "drawn")
    assert (PART.budget.currency, PART.budget.limit) == ("trainings", 50)
    assert (row.spec.budget["currency"], row.spec.budget["limit"]) == ("seconds", 50 * 100)


def test_a_row_that_cannot_run_is_skipped_with_its_reason(opened: Opened, plan: Plan) -> None:
    resolved = resolve(opened, "random_search", Selection())

    class Picky:
        def search(self, view: object) -> None: ...

        def skip(self, problem: object) -> str:
            return "needs a larger table"

    _add(plan, opened, type(resolved)(**{**vars(resolved), "method": Picky()}), range(3))
    assert plan.rows == []
    assert plan.skipped == {("nb201/digits", "multi-trial", "random_search"): "needs a larger table"}
