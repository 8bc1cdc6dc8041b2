"""Every weight-sharing method in every space fits its schedule to a budget: never above it, and within an epoch below it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.budget import BudgetExhausted, BudgetTooSmall
from harness.checkpoint import File
from methods.one_shot.parts import search as frame
from tests import fitted
from tests.fitted import Seen, early, enough, own, run, warms_up
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
            assert warms_up(space, row) or not seen.view.ledger.exhausted, "the schedule ends the search, not the ledger"
            kept = seen.reserve - seen.selection
            assert amount - seen.spent <= seen.longest + kept + 1e-9 * amount
            assert kept <= 0.6 * seen.reserve, "the kept price of a selection has a margin"
            assert_runs_through(seen, amount, own(space, row))
    if not early(space, row):
        expected = once.epochs * (2 * limit - once.reserve) / (limit - once.reserve)
        assert 0.8 * expected - 2 <= twice.epochs <= 1.25 * expected + 2


def assert_runs_through(seen: Seen, limit: float, own: Seen) -> None:
    """Assert that a search has been through the whole schedule: its last step is within an epoch of the end."""
    last, until_last = seen.search.schedule.length - 1, limit - seen.reserve - seen.longest
    assert seen.positions[0] == 0 and seen.positions == sorted(seen.positions)
    assert last * (1 - seen.longest / until_last) <= seen.positions[-1] <= last
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
    limits = [drawn(space, row, "small").choice([1e-6, 0.01, 0.1, 0.3]) * own(space, row).spent]
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


def _amount(reason: BaseException) -> float:
    return float(re.findall(r"[\d.]+(?:e[+-]\d+)?", str(reason))[0])


@rows()
def test_a_search_that_a_limit_cuts_proposes_from_its_first_measurement_on(space: str, row: str) -> None:
    whole = own(space, row)
    every_epoch = whole.proposed[0] <= whole.starts[1]
    first = whole.starts[1] if every_epoch else whole.starts[-1] + 0.5 * whole.selection
    limit = drawn(space, row, "cut").uniform(first, whole.spent)
    assert run(space, row, limit, "refuse").view.trace.proposals
