"""What a search logs of its supernet: under a budget at shares of the schedule, always at the end, and the number of epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint import File
from methods.one_shot.parts import recording
from methods.one_shot.parts import search as frame
from tests import fitted
from tests.fitted import Seen, early, enough, own, run
from tests.unit.test_one_shot_resume import Counter, Killed

ROWS = [(space, row) for space, row in fitted.rows() if space == "nb201"]
QUICK = {"gdas", "rsps"}
rows = pytest.mark.parametrize(
    "row", [row if row in QUICK else pytest.param(row, marks=pytest.mark.slow) for _, row in ROWS if not early("nb201", row)]
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted.shrink(monkeypatch)


def recorded(seen: Seen) -> list[dict[str, float]]:
    return [line for line in seen.view.trace.scalars if "supernet_accuracy" in line]


def final(seen: Seen) -> dict[str, Any]:
    (line,) = [line for line in seen.view.trace.scalars if "final_supernet_accuracy" in line]
    return dict(line)


@rows
def test_a_fitted_search_is_recorded_at_shares_of_its_schedule_and_at_its_end(
    row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 3 * enough("nb201", row)
    monkeypatch.setattr(recording, "RECORDS", 10**9)
    every = run("nb201", row, limit)
    monkeypatch.setattr(recording, "RECORDS", 3)
    some = run("nb201", row, limit)
    assert some.view.trace.proposals == every.view.trace.proposals
    assert 2 <= len(recorded(some)) <= 5 < len(recorded(every)) == every.epochs
    assert all(line in recorded(every) for line in recorded(some))
    assert recorded(some)[-1] == recorded(every)[-1]
    assert repr(final(some)) == repr(final(every))


@pytest.mark.parametrize("row", ["gdas", pytest.param("rsps", marks=pytest.mark.slow)])
def test_a_killed_search_resumes_to_the_same_records(row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "CHECKPOINT_SHARE", float("inf"))
    monkeypatch.setattr(recording, "RECORDS", 3)
    limit, passes = 3 * enough("nb201", row), Counter()
    expected = run("nb201", row, limit, meter=passes)
    for share in (0.3, 0.99):
        file = File(tmp_path / f"{share}.ckpt", "a run")
        with pytest.raises(Killed):
            run("nb201", row, limit, checkpoint=file, meter=Counter(int(share * passes.count)))
        assert run("nb201", row, limit, checkpoint=file).result == expected.result


@rows
def test_the_number_of_epochs_is_logged_and_counts_a_cut_epoch_as_its_fraction(row: str) -> None:
    own_schedule = own("nb201", row)
    assert final(own_schedule)["trained_epochs"] == own_schedule.epochs == 2
    seen = run("nb201", row, 2.2 * enough("nb201", row))
    assert seen.epochs - 1 < final(seen)["trained_epochs"] <= seen.epochs
