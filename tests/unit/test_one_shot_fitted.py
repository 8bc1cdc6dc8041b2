"""Every weight-sharing method in every space fits its schedule to a budget: never above it, and within an epoch below it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from harness.budget import BudgetExhausted, BudgetTooSmall
from harness.checkpoint import File
from harness.schedule import MARGIN
from harness.training import Meter
from methods.one_shot.parts import search as frame
from methods.one_shot.parts.controller import Controller
from tests import fitted
from tests.fitted import SPACES, Seen, early, enough, own, run
from tests.unit.test_one_shot_resume import Counter, Killed

QUICK = {("nb201", "gdas"), ("nb201", "rsps")}
"""A row of each kind of training; the others are slow."""


def rows(choose: Callable[[str, str], bool] = lambda space, row: True) -> pytest.MarkDecorator:
    """Return the parameters of a test of all rows, or of some."""
    chosen = [pair for pair in fitted.rows() if choose(*pair)]
    marked = [pair if pair in QUICK else pytest.param(*pair, marks=pytest.mark.slow) for pair in chosen]
    return pytest.mark.parametrize(("space", "row"), marked)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted.shrink(monkeypatch)


def drawn(space: str, row: str, claim: str) -> random.Random:
    """Return the random numbers of a test."""
    return random.Random(f"{claim} {space} {row}")


@rows()
def test_a_schedule_fits_any_limit(space: str, row: str) -> None:
    """The charge is never above the limit and within an epoch below it, and twice the limit gives about twice the epochs."""
    limit = drawn(space, row, "limit").uniform(1.2, 3) * enough(space, row)
    once, twice = run(space, row, limit), run(space, row, 2 * limit)
    for seen, amount in ((once, limit), (twice, 2 * limit)):
        assert seen.spent <= amount
        if not early(space, row):
            assert not seen.cut, "the schedule ends the search, not the ledger"
            unspent = seen.reserve - seen.selection
            assert amount - seen.spent <= seen.longest + unspent + 1e-9 * amount
            assert unspent <= (0.6 if drawn_candidates(row) else 0.2) * seen.reserve, "the kept price has a margin"
            assert_runs_through(seen, amount, own(space, row))
    if not early(space, row):
        expected = once.epochs * (2 * limit - once.reserve) / (limit - once.reserve)
        assert 0.8 * expected - 2 <= twice.epochs <= 1.25 * expected + 2


def drawn_candidates(row: str) -> bool:
    """Return whether the cells of a selection, here three, are drawn: then its price is random."""
    return row.partition(":")[0] in ("rsps", "enas")


def assert_runs_through(seen: Seen, limit: float, own: Seen) -> None:
    """Assert that a search has been through the whole schedule: its last step is within an epoch of the end."""
    last, until_last = seen.search.schedule.length - 1, limit - seen.reserve - seen.longest
    assert seen.positions[0] == 0 and seen.positions == sorted(seen.positions)
    prices = [after - before for before, after in pairwise(seen.starts[:-1])]
    known = limit - seen.reserve - min(prices, default=seen.longest)  # a warm-up makes the first epochs cheaper than the last
    assert last * (until_last - seen.longest) / known <= seen.positions[-1] <= last
    assert seen.rates[0] == own.rates[0]
    assert seen.rates[-1] == seen.search.rate(seen.positions[-1])
    assert own.rates[-1] == seen.search.rate(last)


@rows()
def test_killed_at_any_moment_a_fitted_search_resumes_to_the_same_result(
    space: str, row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "CHECKPOINT_SHARE", float("inf"))
    rng, passes = drawn(space, row, "killed"), Counter()
    limit = rng.uniform(1.1, 2) * enough(space, row)
    expected = run(space, row, limit, meter=passes)
    file = File(tmp_path / "state.ckpt", "a run")
    with pytest.raises(Killed):
        run(space, row, limit, checkpoint=file, meter=Counter(rng.randrange(passes.count)))
    assert run(space, row, limit, checkpoint=file).result == expected.result


@rows()
def test_what_a_too_small_budget_needs_suffices(space: str, row: str) -> None:
    """A limit below the first pass names that pass. Any other names an epoch and the selection; prices may be random."""
    limits = [drawn(space, row, "small").choice([1e-6, 0.01, 0.1]) * own(space, row).spent]
    reasons: list[BudgetExhausted] = []
    while len(reasons) < 5:
        try:
            run(space, row, limits[-1])
            break
        except BudgetExhausted as reason:
            reasons.append(reason)
            limits.append(_amount(reason))
    assert len(limits) > 1 and limits == sorted(set(limits)), "a reason names more than was granted"
    assert sum(isinstance(reason, BudgetTooSmall) for reason in reasons) <= 2, reasons


def test_setn_keeps_the_price_of_the_cells_that_it_ranks() -> None:
    for seed in range(3):
        seen = run("nb201", "setn", 3 * enough("nb201", "setn"), seed=seed)
        assert seen.reserve == pytest.approx(MARGIN * seen.selection)


def test_enas_draws_the_cells_that_it_prices_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    limit, drawn, sample = 1.1 * enough("nb201", "enas"), list[int](), Controller.sample

    def watched(self: Controller, count: int, *more: Any, **settings: Any) -> Any:
        drawn.append(count)
        return sample(self, count, *more, **settings)

    monkeypatch.setattr(Controller, "sample", watched)
    seen = run("nb201", "enas", limit)
    assert drawn.count(frame.PRICED_CELLS) == seen.epochs + 1


@pytest.mark.parametrize(
    "space", [pytest.param("nb201", marks=pytest.mark.slow), pytest.param("darts", marks=pytest.mark.slow)]
)
def test_conas_keeps_one_round_and_begins_no_further_round_that_does_not_fit(space: str) -> None:
    seen = run(space, "conas:repeated", 2 * enough(space, "conas:repeated"), changes={"inputs": 100, "terms": 2})
    lines = [line for line in seen.view.trace.scalars if "round" in line]
    assert [line["round"] for line in lines] == [0.0]
    assert lines[0]["measured"] == SPACES[space].method("conas:repeated").measurements
    assert not seen.cut


class DearEnd:
    """A meter whose charges are dearer once a limit is near."""

    def __init__(self, limit: float, factor: float = 20.0, near: float = 0.9) -> None:
        self.limit, self.factor, self.near, self.spent = limit, factor, near, 0.0

    def __call__(self, charge: Meter) -> Meter:
        def dearer(**amounts: Any) -> None:
            factor = self.factor if self.spent > self.near * self.limit else 1.0
            self.spent += amounts.get("seconds", 0.0)
            charge(**{name: factor * amount for name, amount in amounts.items()})

        return cast("Meter", dearer)


@pytest.mark.parametrize(
    ("space", "row"),
    [
        ("nb201", "gdas"),
        pytest.param("nb201", "gaea_gdas", marks=pytest.mark.slow),
        pytest.param("nb201", "ista_nas:two_stage", marks=pytest.mark.slow),
        pytest.param("nb201", "sparse_nas", marks=pytest.mark.slow),
        pytest.param("nb1shot1", "gdas", marks=pytest.mark.slow),
        pytest.param("nb1shot1", "rsps", marks=pytest.mark.slow),
        pytest.param("nb1shot1", "enas", marks=pytest.mark.slow),
    ],
)
def test_a_step_that_is_dearer_than_all_before_ends_the_search_in_order(space: str, row: str) -> None:
    limit = 4 * enough(space, row)
    seen = run(space, row, limit, meter=DearEnd(limit))
    assert seen.view.ledger.exhausted and not seen.cut
    (line,) = [line for line in seen.view.trace.scalars if "final_supernet_accuracy" in line]
    assert line["train_loss"] > 0 and seen.epochs - 1 <= line["trained_epochs"] <= seen.epochs
    assert seen.proposed[-1] == seen.spent, "the last epoch counts"


def _amount(reason: BaseException) -> float:
    return float(re.findall(r"[\d.]+(?:e[+-]\d+)?", str(reason))[0])


@rows()
def test_a_search_that_a_limit_cuts_proposes_from_its_first_measurement_on(space: str, row: str) -> None:
    reference = own(space, row)
    every_epoch = reference.proposed[0] <= reference.starts[1]
    first = reference.starts[1] if every_epoch else reference.starts[-1] + 0.5 * reference.selection
    limit = drawn(space, row, "cut").uniform(first, reference.spent)
    assert run(space, row, limit, "refuse").view.trace.proposals
