"""Every method that queries a table skips architectures without a record, at no cost."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path

import pytest

from harness import registry
from harness.budget import BudgetExhausted, Ledger
from harness.method import skip_reason
from harness.problem import MissingRecord
from harness.seeds import mix
from harness.space import Arch
from harness.testing.toy import ToyOracle, ToyProblem, ToySpace
from methods.multi_trial.parts.recorded import first_recorded
from tests.recorded import RecordedView

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "my_method.py")
ROWS = [row for info in registry.methods().values() if info.kind == "multi-trial" for row in info.rows] + [EXAMPLE]
SPACE = ToySpace()
ALL = list(itertools.product(*map(range, SPACE.cardinalities)))


class Gaps(ToyOracle):
    """A table of some architectures; for some of them the later epochs are missing too."""

    def __init__(self, share: int) -> None:
        super().__init__(7)
        self.known = {arch for arch in ALL if mix(hash((arch, 1))) % 100 < share}
        self.short = {arch for arch in self.known if mix(hash((arch, 2))) % 100 < 30}
        self.measured = 0
        self.missing: list[Arch] = []

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        if arch not in self.known or (arch in self.short and fidelity is not None and fidelity > 3):
            self.missing.append(arch)
            raise MissingRecord(f"the table has no record of {SPACE.to_str(arch)}")
        self.measured += 1
        return super().measure(arch, fidelity, asked)


def searched(row: str, oracle: ToyOracle, queries: int = 200, seed: int = 0) -> RecordedView:
    info = registry.method(row.partition(":")[0])
    method = registry.build(info, registry.settings(info, row, SPACE.name, {}, {}))
    if reason := skip_reason(method, ToyProblem()):
        pytest.skip(reason)
    view = RecordedView(SPACE, Ledger("queries", queries), oracle, seed, info.proposes)
    with suppress(BudgetExhausted):
        method.search(view)
    return view


@pytest.mark.parametrize("share", [15, 60])
@pytest.mark.parametrize("row", ROWS)
def test_a_search_spends_its_budget_on_what_is_recorded(row: str, share: int) -> None:
    for seed in range(3):
        table = Gaps(share)
        view = searched(row, table, seed=seed)
        assert table.missing, "the search met a gap"
        assert view.budget.exhausted or view.budget.queries == len(table.known), "it ended early"
        assert 0 <= table.measured - view.budget.queries <= 1, "a gap was charged"
        proposed = {proposal.arch for proposal in view.trace.proposals}
        assert proposed and proposed <= table.known


@pytest.mark.parametrize("row", ROWS)
def test_a_table_without_records_ends_a_search_with_one_line(row: str) -> None:
    line = r"^10,000 architectures in a row have no record \(.* of \d-\d-\d-\d\); search a table that covers more of the space$"
    with pytest.raises(MissingRecord, match=line) as said:
        searched(row, Gaps(0))
    assert said.value.__suppress_context__


@pytest.mark.parametrize("row", ROWS)
def test_without_gaps_a_search_makes_the_same_queries(row: str) -> None:
    oracle, same = ToyOracle(7), Gaps(100)
    same.short = set()
    assert searched(row, oracle).trace == searched(row, same).trace


def test_draws_have_the_distribution_conditioned_on_a_record() -> None:
    numbers = itertools.cycle(ALL[:4])

    def measure(arch: Arch) -> int:
        if arch == ALL[1]:
            raise MissingRecord("none")
        return arch[-1]

    drawn = [first_recorded(numbers.__next__, measure) for _ in range(6)]
    assert drawn == [(ALL[k], ALL[k][-1]) for k in (0, 2, 3, 0, 2, 3)]
