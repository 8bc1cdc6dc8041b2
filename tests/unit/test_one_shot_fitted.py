"""Every weight-sharing method fits its schedule to a budget: never above the limit, and within an epoch below it."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.budget import BudgetExhausted, BudgetTooSmall, Ledger
from harness.checkpoint import File
from methods.one_shot.parts import search as frame
from tests import made_search
from tests.made_search import small
from tests.unit.test_one_shot_resume import Counter, Killed

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]

TRAINING = [row for row in made_search.rows() if not row.startswith("random_cell")]
"""Rows that train. A random cell is charged nothing."""
QUICK = {"gdas", "rsps"}
"""A row of each kind of training; the others are slow."""
EARLY = {"ista_nas:one_stage"}
"""Rows that may end before the limit, by a rule of their own."""


def rows(without: Collection[str] = ()) -> list[Any]:
    return [row if row in QUICK else pytest.param(row, marks=pytest.mark.slow) for row in TRAINING if row not in without]


@cache
def price(row: str) -> float:
    """Return the charge of the method's own schedule of two epochs."""
    view = made_search.view()
    made_search.search(row, view)
    return float(view.ledger.seconds)


def fitted(row: str, limit: float, **more: Any) -> Any:
    """Return the view of a search that fits the limit."""
    view = made_search.view(ledger=Ledger("seconds", limit, "fit"), **more)
    arch, _ = made_search.search(row, view)
    assert arch or view.trace.proposals
    return view


@pytest.fixture(autouse=True)
def every_epoch_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "RECORDS", 10**9)


def epochs(view: Any) -> list[dict[str, float]]:
    return [line for line in view.trace.scalars if "supernet_accuracy" in line]


def final(view: Any) -> dict[str, float]:
    (line,) = [line for line in view.trace.scalars if "final_supernet_accuracy" in line]
    return dict(line)


@pytest.mark.parametrize("factor", [2.0, 5.3])
@pytest.mark.parametrize("row", rows())
def test_the_charge_is_within_an_epoch_below_the_limit_and_never_above(row: str, factor: float) -> None:
    limit = factor * price(row)
    view = fitted(row, limit)
    ends = [0.0, *(line["seconds"] for line in epochs(view))]
    longest = max(later - earlier for earlier, later in pairwise(ends))
    assert view.ledger.seconds <= limit
    if row not in EARLY:
        selection = view.ledger.seconds - ends[-1]
        assert view.ledger.seconds >= limit - longest - 0.35 * selection - 1e-9, "the kept price of a selection has a margin"


@pytest.mark.parametrize("row", rows(EARLY))
def test_twice_the_limit_gives_about_twice_the_epochs_and_the_same_end_of_the_schedule(row: str) -> None:
    once, twice = (epochs(fitted(row, factor * price(row))) for factor in (3.0, 6.0))
    assert 1.6 * len(once) - 2 <= len(twice) <= 2.6 * len(once) + 2
    own = made_search.view()
    made_search.search(row, own)
    assert twice[-1]["lr"] == pytest.approx(epochs(own)[-1]["lr"], rel=0.35)


@pytest.mark.parametrize("row", ["gdas", *(pytest.param(row, marks=pytest.mark.slow) for row in ("enas", "xnas", "rsps"))])
def test_a_killed_fitted_search_resumes_to_the_same_cell(row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "CHECKPOINT_SHARE", float("inf"))
    limit, passes = 4 * price(row), Counter()
    expected = fitted(row, limit, meter=passes)
    file = File(tmp_path / "state.ckpt", "a run")
    with pytest.raises(Killed):
        fitted(row, limit, checkpoint=file, meter=Counter(int(0.7 * passes.count)))
    resumed = fitted(row, limit, checkpoint=file)
    assert resumed.trace.proposals == expected.trace.proposals
    assert resumed.ledger.snapshot() == expected.ledger.snapshot()


@pytest.mark.parametrize("row", rows())
def test_a_budget_below_an_epoch_and_the_selection_is_too_small(row: str) -> None:
    with pytest.raises((BudgetTooSmall, BudgetExhausted)):
        fitted(row, 0.02 * price(row))


@pytest.mark.parametrize("row", rows())
def test_a_fitted_search_is_recorded_at_shares_of_its_schedule_and_at_its_end(
    row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "RECORDS", 10**9)
    every = fitted(row, 6 * price(row))
    monkeypatch.setattr(frame, "RECORDS", 3)
    some = fitted(row, 6 * price(row))
    assert some.trace.proposals == every.trace.proposals
    assert 2 <= len(epochs(some)) <= 5 < len(epochs(every)) or row in EARLY
    assert all(line in epochs(every) for line in epochs(some))
    assert epochs(some)[-1] == epochs(every)[-1]
    assert final(some) == final(every)


@pytest.mark.parametrize("row", ["gdas", pytest.param("rsps", marks=pytest.mark.slow)])
def test_a_killed_search_resumes_to_the_same_records(row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "CHECKPOINT_SHARE", float("inf"))
    monkeypatch.setattr(frame, "RECORDS", 3)
    limit, passes = 6 * price(row), Counter()
    expected = fitted(row, limit, meter=passes)
    for share in (0.3, 0.99):
        file = File(tmp_path / f"{share}.ckpt", "a run")
        with pytest.raises(Killed):
            fitted(row, limit, checkpoint=file, meter=Counter(int(share * passes.count)))
        assert fitted(row, limit, checkpoint=file).trace.scalars == expected.trace.scalars


@pytest.mark.parametrize("row", rows(EARLY))
def test_the_number_of_epochs_is_logged_and_counts_a_cut_epoch_as_its_fraction(row: str) -> None:
    own = made_search.view()
    made_search.search(row, own)
    assert final(own)["trained_epochs"] == own.trace.scalars[0]["epoch"] * 2 == 2
    view = fitted(row, 4.4 * price(row))
    assert len(epochs(view)) - 1 < final(view)["trained_epochs"] <= len(epochs(view))
